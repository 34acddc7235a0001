"""The test runner's arithmetic, of which every other number depends."""

import pathlib

import pytest

import count

GOOD = "All tests passed (12 assertions in 3 test cases)\n"
ONE_BAD = "test cases:  5 |  4 passed | 1 failed\nassertions: 60 | 59 passed | 1 failed\n"
ALL_BAD = "test cases: 1 | 1 failed\nassertions: 1 | 1 failed\n"
LIVE = "<testsuites><testsuite>{}</testsuite></testsuites>"
PASSED = '<testcase name="a"/>'
FAILED = '<testcase name="b"><failure message="no">why</failure></testcase>'
BROKEN = '<testcase name="c"><error message="teardown">why</error></testcase>'
SKIPPED = '<testcase name="d"><skipped/></testcase>'


@pytest.mark.parametrize(
    ("unit_status", "unit", "live_status", "live", "last"),
    [
        (0, GOOD, 0, LIVE.format(PASSED * 2), "5 passed, 0 failed"),
        (1, ONE_BAD, 0, LIVE.format(PASSED), "5 passed, 1 failed"),
        (1, ALL_BAD, 0, LIVE.format(PASSED), "1 passed, 1 failed"),
        (0, GOOD, 1, LIVE.format(PASSED + FAILED + BROKEN), "4 passed, 2 failed"),
        (0, GOOD, 0, LIVE.format(PASSED + SKIPPED), "4 passed, 1 failed"),
        (139, "", 0, LIVE.format(PASSED), "1 passed, 1 failed"),
        (134, GOOD, 0, LIVE.format(PASSED), "4 passed, 1 failed"),
        (0, "No tests ran\n", 0, LIVE.format(PASSED), "1 passed, 1 failed"),
        (0, GOOD, 5, LIVE.format(""), "3 passed, 1 failed"),
        (0, GOOD, 3, "<testsui", "3 passed, 1 failed"),
        (0, GOOD, 3, LIVE.format(PASSED), "4 passed, 1 failed"),
    ],
)
def test_every_failure_counts(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    unit_status: int,
    unit: str,
    live_status: int,
    live: str,
    last: str,
) -> None:
    (tmp_path / "unit.txt").write_text(unit)
    (tmp_path / "live.xml").write_text(live)
    status = count.main(
        str(unit_status), str(tmp_path / "unit.txt"), str(live_status), str(tmp_path / "live.xml")
    )
    assert capsys.readouterr().out.splitlines()[-1] == last
    assert status == (0 if last.endswith(" 0 failed") else 1)


def test_a_missing_report_counts(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert count.main("127", nowhere, "127", nowhere) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 2 failed"
