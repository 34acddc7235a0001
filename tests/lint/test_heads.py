"""Each file of tests begins with a comment that says what it proves."""

import itertools
import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PATTERNS = ("tests/unit/*_test.cc", "tests/fuzz/*.cc", "tests/simulate/*.cc")
LEAST_WORDS = 4


def complaint(text: str) -> str | None:
    lines = list(itertools.takewhile(lambda line: line.startswith("//"), text.splitlines()))
    if not lines or not lines[0].startswith("// "):
        return "does not begin with a comment"
    if not lines[-1].endswith("."):
        return "has a head that does not end with a full stop"
    sentences = re.split(r"[.:;] ", " ".join(line.removeprefix("//").strip() for line in lines))
    if max(len(re.findall(r"[A-Za-z]\S*", one)) for one in sentences) < LEAST_WORDS:
        return "has a head that names a topic and says nothing of it"
    return None


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_file_says_what_it_proves(pattern: str) -> None:
    files = sorted(TOP.glob(pattern))
    assert files
    found = {
        str(path.relative_to(TOP)): said
        for path in files
        if (said := complaint(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("", "does not begin"),
        ("\n// A loop ends when nothing is left.\n", "does not begin"),
        ("//\n// A loop ends when nothing is left.\n", "does not begin"),
        ("// A loop ends when nothing is left\n", "full stop"),
        ("// A loop ends.\n// When nothing is left\n", "full stop"),
        ("// Work beside it.\n", "topic"),
        ("// [control] and [metrics].\n", "topic"),
    ],
)
def test_a_file_without_a_head_is_found(head: str, said: str) -> None:
    found = complaint(f'{head}#include "tests/unit/support/catch.h"\n')
    assert found is not None
    assert said in found


def test_a_head_of_two_lines_passes() -> None:
    assert complaint("// A loop ends when nothing\n// is left.\n#include <vector>\n") is None
