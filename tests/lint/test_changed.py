"""What clang-tidy reads again after a change."""

import changed

SOURCES = ["base/text.cc", "proxy/pool.cc", "proxy/gate.cc"]
INCLUDES = {
    "base/text.cc": {"base/text.h", "base/bytes.h"},
    "proxy/pool.cc": {"proxy/pool.h", "base/text.h"},
    "proxy/gate.cc": {"proxy/pool.h", "base/bytes.h"},
}


def chosen(*names: str) -> list[str]:
    return changed.choose(SOURCES, set(names), INCLUDES)


def test_a_source_that_has_changed_is_read_and_no_other() -> None:
    assert chosen("proxy/gate.cc", "README.md", "gone.cc") == ["proxy/gate.cc"]


def test_a_header_is_read_through_its_own_source_or_the_first_that_includes_it() -> None:
    assert chosen("proxy/pool.h") == ["proxy/pool.cc"]
    assert chosen("base/bytes.h") == ["base/text.cc"]
    assert chosen("elsewhere/unused.h") == []


def test_a_change_of_the_checks_reads_everything() -> None:
    assert chosen(".clang-tidy") == SOURCES
    assert chosen("tests/lint/tidy") == SOURCES


def test_what_git_cannot_tell_reads_everything() -> None:
    assert changed.choose(SOURCES, None, INCLUDES) == SOURCES
    assert changed.changed_since("no-such-revision") is None


def test_git_tells_what_has_changed() -> None:
    assert changed.changed_since("HEAD") is not None


def test_a_header_that_nobody_reads_directly_means_everything() -> None:
    sources = ["a/one.cc", "a/two.cc"]
    includes = {"a/one.cc": {"a/one.h"}, "a/two.cc": set()}
    assert changed.choose(sources, {"a/deep.h"}, includes) == sources
    assert changed.choose(sources, {"a/one.h"}, includes) == ["a/one.cc"]
