"""Chooses, of the sources on standard input, those that a check has to read again.

The argument is the revision that was checked before; without one, or when it cannot be told what
has changed since, all of them are chosen. A header that has changed is read through one source that
includes it, its own if there is one, and a change of the checks themselves chooses all.
"""

import pathlib
import re
import subprocess
import sys
from typing import Iterable

CHECKS = (".clang-tidy", "tests/lint/tidy", "tests/lint/lint", "tests/lint/changed.py")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def changed_since(revision: str) -> set[str] | None:
    """The tracked and new files that differ from `revision`; None: git does not know it."""
    names: set[str] = set()
    for command in (
        ["git", "diff", "--name-only", "--no-renames", revision],
        ["git", "ls-files", "--others", "--exclude-standard"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        names.update(done.stdout.split())
    return names


def reader_of(header: str, includes: dict[str, set[str]]) -> str | None:
    """The source through which a header is read."""
    own = header.removesuffix(".h") + ".cc"
    if own in includes:
        return own
    return next((source for source, named in sorted(includes.items()) if header in named), None)


def choose(
    sources: Iterable[str], changed: set[str] | None, includes: dict[str, set[str]]
) -> list[str]:
    everything = list(sources)
    if changed is None or any(name.startswith(CHECKS) for name in changed):
        return everything
    chosen = changed & set(everything)
    folders = {name.split("/")[0] for name in everything}
    for header in sorted(name for name in changed if name.endswith(".h")):
        reader = reader_of(header, includes)
        if reader is not None:
            chosen.add(reader)
        elif header.split("/")[0] in folders:
            return everything  # read through another header
    return [name for name in everything if name in chosen]


def main(arguments: list[str]) -> int:
    sources = sys.stdin.read().split()
    revision = arguments[0] if arguments else ""
    changed = changed_since(revision) if revision else None
    includes = {name: set(INCLUDE.findall(pathlib.Path(name).read_text("utf-8"))) for name in sources}
    for name in choose(sources, changed, includes):
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
