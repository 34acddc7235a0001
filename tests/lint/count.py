"""count.py [STATUS CATCH2-OUTPUT] STATUS JUNIT-REPORT: counts the test cases of all suites given.

The last line that it prints is "N passed, M failed". A suite that ended badly although no case of
it failed, that left no report, or that ran nothing, is a failure itself.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as xml
from typing import NamedTuple


class Count(NamedTuple):
    passed: int
    failed: int


NOTHING = Count(0, 0)


def of_catch2(text: str) -> Count:
    """From its last lines; nothing when it did not get to write them."""
    everything = re.search(r"^All tests passed \(.* in (\d+) test cases?\)$", text, re.MULTILINE)
    if everything:
        return Count(int(everything[1]), 0)
    summary = re.search(r"^test cases: +(\d+) \|(.*)$", text, re.MULTILINE)
    if not summary:
        return NOTHING
    passed = re.search(r"(\d+) passed", summary[2])
    good = int(passed[1]) if passed else 0
    return Count(good, int(summary[1]) - good)


def of_junit(text: str) -> Count:
    """A skipped case has not passed."""
    try:
        cases = list(xml.fromstring(text).iter("testcase"))
    except xml.ParseError:
        return NOTHING
    good = sum(1 for case in cases if case.find("./failure") is None
               and case.find("./error") is None and case.find("./skipped") is None)  # fmt: skip
    return Count(good, len(cases) - good)


def judge(name: str, status: int, count: Count) -> Count:
    if count == NOTHING:
        print(f"{name}: nothing was run to its end (status {status})")
        return Count(0, 1)
    if status != 0 and count.failed == 0:
        print(f"{name}: ended with status {status}")
        return Count(count.passed, 1)
    return count


def read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def main(*arguments: str) -> int:
    *unit, live_status, live = arguments
    counts = [judge("live tests", int(live_status), of_junit(read(live)))]
    if unit:
        counts.insert(0, judge("unit tests", int(unit[0]), of_catch2(read(unit[1]))))
    failed = sum(one.failed for one in counts)
    print(f"{sum(one.passed for one in counts)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
