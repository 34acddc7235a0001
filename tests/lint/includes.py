"""Checks that the includes point where the design lets them point, and that files stay short.

A library may include only what its line in ALLOWED names; a library of others may be used only
where EXTERNAL says. Everything else is printed as file:line: what is wrong.
"""

import pathlib
import re
import sys
from typing import Iterable, Iterator, NamedTuple

# The first folder that matches a file decides, so that tunnel/io comes before tunnel.
# A name that ends in a slash allows the folder; any other allows that one header.
ALLOWED = {
    "base/": ("base/",),
    "policy/": ("base/", "policy/"),
    "tunnel/io/": ("base/", "tunnel/io/"),
    "tunnel/": ("base/", "tunnel/"),
    # The two headers of values that conf fills, and what the first one of them needs.
    "conf/": ("base/", "conf/", "tunnel/target.h", "tunnel/io/clock.h", "policy/rules.h"),
    "proxy/": ("base/", "policy/", "tunnel/", "conf/", "proxy/"),
    "tests/": ("base/", "policy/", "tunnel/", "conf/", "proxy/", "tests/"),
}

EXTERNAL = {
    "uv.h": ("tunnel/io/", "tests/"),
    "toml++/": ("conf/", "tests/"),
    "libssh2": ("tunnel/", "tests/"),
    "mbedtls/": ("tunnel/", "tests/"),
}

LONGEST = 500
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]*)[>"]')


class Finding(NamedTuple):
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def first_match(table: Iterable[str], name: str) -> str | None:
    return next((entry for entry in table if name.startswith(entry)), None)


def matches(name: str, allowed: Iterable[str]) -> bool:
    return any(name.startswith(a) if a.endswith("/") else name == a for a in allowed)


def judge(path: str, quote: str, name: str) -> str | None:
    """What is wrong with one include, or nothing."""
    if quote == "<":
        library = first_match(EXTERNAL, name)
        if library and first_match(EXTERNAL[library], path) is None:
            return f"<{name}> is for {EXTERNAL[library][0]} only"
        return None
    if ".." in name.split("/") or first_match(ALLOWED, name) is None:
        return f'"{name}" does not name its folder'
    folder = first_match(ALLOWED, path)
    if folder is None:
        return f"{path} is in no folder that the design knows"
    if not matches(name, ALLOWED[folder]):
        return f'{folder} may not include "{name}"'
    return None


def check_text(path: str, text: str) -> Iterator[Finding]:
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        include = INCLUDE.match(line)
        problem = judge(path, *include.groups()) if include else None
        if problem:
            yield Finding(path, number, problem)
    if len(lines) > LONGEST and not path.endswith(".def"):
        yield Finding(path, len(lines), f"{len(lines)} lines; {LONGEST} are the limit")


def main(paths: list[str]) -> int:
    found = 0
    for path in paths:
        for finding in check_text(path, pathlib.Path(path).read_text(encoding="utf-8")):
            print(finding)
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
