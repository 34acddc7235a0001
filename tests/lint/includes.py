"""Checks that the includes point where the design lets them point and are used, that files stay short, and that a
class is whole in one source.

A library may include only what its line in ALLOWED names; a library of others may be used only
where EXTERNAL says. Everything else is printed as file:line: what is wrong.
"""

import pathlib
import re
import sys
from typing import Iterable, Iterator, NamedTuple

# The rooms of proxy, each with those that it may use besides itself.
ROOMS = {
    "record": (),
    "visitor": ("record",),
    "upstream": ("record", "visitor"),
    "xend": ("record", "visitor"),
    "client": ("record", "visitor", "upstream"),
    "gate": ("record", "visitor", "upstream", "xend", "client"),
    "report": ("record", "gate"),
    "probe": ("upstream", "xend"),
    "service": ("record", "visitor", "upstream", "gate", "report"),
    "command": ("record", "gate", "report", "probe", "service"),
}
BELOW_PROXY = ("base/", "policy/", "tunnel/", "conf/")


def room_includes(room: str) -> tuple[str, ...]:
    return (*BELOW_PROXY, *(f"proxy/{name}/" for name in (room, *ROOMS[room])))


# The first folder that matches a file decides, so that tunnel/io comes before tunnel.
# A name that ends in a slash allows the folder; any other allows that one header.
ALLOWED = {
    "base/": ("base/",),
    "policy/": ("base/", "policy/"),
    "tunnel/io/": ("base/", "tunnel/io/"),
    "tunnel/": ("base/", "tunnel/"),
    # The headers of values that conf fills, and what the first one of them needs.
    "conf/": (
        "base/",
        "conf/",
        "tunnel/target.h",
        "tunnel/io/clock.h",
        "policy/rules.h",
        "policy/xen_abi.h",
    ),
    **{f"proxy/{room}/": room_includes(room) for room in ROOMS},
    "proxy/main.cc": (*BELOW_PROXY, "proxy/record/", "proxy/command/"),
    "tests/": ("base/", "policy/", "tunnel/", "conf/", "proxy/", "tests/"),
}

KNOWN = (*ALLOWED, "proxy/")

EXTERNAL = {
    "uv.h": ("tunnel/io/", "tests/"),
    "toml++/": ("conf/", "tests/"),
    "libssh2": ("tunnel/", "tests/"),
    "gnutls/": ("tunnel/", "tests/"),
    "expat.h": ("policy/redact/", "tests/"),
}

LONGEST = 800
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]*)[>"]')


MEMBER = re.compile(r"(?:[\w:<>,&*\[\] ]+ )?[&*]?([A-Z]\w*)::(?:[\w~]+::)*~?\w+\(")
DECLARED = re.compile(r"(?:class|struct) (\w+)\b[^;]*$")

COMMENT = re.compile(r"//[^\n]*")
OWN_NAMES = (
    re.compile(r"\b(?:class|struct|enum|union) (?:class )?(?:\[\[\w+\]\] )?(\w+)"),
    re.compile(r"\busing (\w+) ="),
    re.compile(r"\busing (?:\w+::)+(\w+);"),
    re.compile(r"#define (\w+)"),
    re.compile(r"^(?:inline )?(?:constexpr|extern) [^=;(]*?(\w+)(?:\[\w*\])?\s*[=;{]", re.MULTILINE),
    re.compile(r"^[^\s#/}][^=;\n]*?\b(\w+)\(", re.MULTILINE),
)
MEMBER_NAMES = re.compile(r"^ +.*?\b(\w+)(?:\(|;| = )", re.MULTILINE)
# They stand for a library's own headers.
STAND_INS = ("tunnel/tls/library.h", "tests/unit/support/catch.h")


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
    if ".." in name.split("/") or first_match(KNOWN, name) is None:
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


def check_classes(texts: dict[str, str]) -> Iterator[Finding]:
    """Classes of headers whose members are defined in more than one source of their folder."""
    declared: set[tuple[str, str]] = set()
    first: dict[tuple[str, str], str] = {}
    for path, text in sorted(texts.items(), key=lambda one: (not one[0].endswith(".h"), one[0])):
        folder = str(pathlib.PurePath(path).parent)
        own = {(folder, match.group(1)) for match in map(DECLARED.match, text.splitlines()) if match}
        if path.endswith(".h"):
            declared |= own
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            member = MEMBER.match(line)
            key = (folder, member.group(1)) if member else None
            if key is None or key in own or key not in declared:
                continue
            if first.setdefault(key, path) != path:
                yield Finding(path, number, f"{key[1]} is in {first[key]} too; a class that needs cutting is two classes")
                break


class Names(NamedTuple):
    """What a header declares: what a file that includes it can name, and what it can reach through a dot or an
    arrow."""

    own: frozenset[str]
    members: frozenset[str]


def names_of(header: str) -> Names:
    text = COMMENT.sub("", header)
    own = frozenset(name for pattern in OWN_NAMES for name in pattern.findall(text))
    return Names(own, frozenset(MEMBER_NAMES.findall(text)))


def check_used(texts: dict[str, str]) -> Iterator[Finding]:
    """Includes of which the file names nothing. A transitive use does not count: it has a header of its own."""
    headers = {path: names_of(text) for path, text in texts.items() if path.endswith(".h")}
    for path, text in texts.items():
        plain = COMMENT.sub("", text)
        code = "\n".join(line for line in plain.splitlines() if not INCLUDE.match(line))
        words = set(re.findall(r"\w+", code))
        reached = set(re.findall(r"(?:\.|->)(\w+)", code))
        for number, line in enumerate(text.splitlines(), start=1):
            include = INCLUDE.match(line)
            name = include.group(2) if include else ""
            if name not in headers or name in (*STAND_INS, str(pathlib.PurePath(path).with_suffix(".h"))):
                continue
            if not headers[name].own & words and not headers[name].members & reached:
                yield Finding(path, number, f'nothing of "{name}" is used')


def check_arrows(texts: dict[str, str]) -> Iterator[Finding]:
    """Rooms that may use others and do not."""
    used = {
        (pathlib.PurePath(path).parent.name, pathlib.PurePath(name).parent.name)
        for path, text in texts.items()
        for _, name in map(re.Match.groups, filter(None, map(INCLUDE.match, text.splitlines())))
        if path.startswith("proxy/") and name.startswith("proxy/")
    }
    for room, others in ROOMS.items():
        for other in others:
            if (room, other) not in used:
                yield Finding("tests/lint/includes.py", 1, f"proxy/{room} may include proxy/{other}/ and never does")


def main(paths: list[str]) -> int:
    texts = {path: pathlib.Path(path).read_text(encoding="utf-8") for path in paths}
    findings = [finding for path, text in texts.items() for finding in check_text(path, text)]
    findings += [*check_classes(texts), *check_used(texts), *check_arrows(texts)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
