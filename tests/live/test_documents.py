"""Help texts, manual pages, completions and the reference configuration say the same things."""

import dataclasses
import pathlib
import re
import shlex
import subprocess
from typing import Callable

import pytest

import harness

PACKAGING = harness.TOP / "packaging"
MAN = PACKAGING / "man"
COMPLETIONS = PACKAGING / "completions"
UNKNOWN = "zzzzzzzzzzzzzzzzzzzzzzzz"  # like no key there is


def output(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, input=stdin
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclasses.dataclass
class Command:
    """A command's own options, less --help, and its subcommands."""

    words: tuple[str, ...]
    options: set[str] = dataclasses.field(default_factory=set)
    arguments: dict[str, str] = dataclasses.field(default_factory=dict)
    subcommands: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return " ".join(("virtgate", *self.words))


def read_help(words: tuple[str, ...]) -> Command:
    command = Command(words)
    section = ""
    for line in output(harness.GATE, *words, "--help").splitlines():
        if re.fullmatch(r"[A-Z][a-z]+:", line):
            section = line
        elif not line:
            section = ""
        elif found := re.match(r"  (-\S+)(.*)$", line):
            assert section == "Options:", line
            names = set(found[1].split(",")) - {"-h", "--help"}
            command.options |= names
            rest = re.split(r"  |:| \.\.\.| x \d| REQUIRED| Excludes| Needs", found[2])[0]
            command.arguments.update({name: rest.strip() for name in names})
        elif section == "Subcommands:" and (found := re.match(r"  (\S+) ", line)):
            command.subcommands.append(found[1])
    return command


def all_commands(words: tuple[str, ...] = ()) -> list[Command]:
    command = read_help(words)
    found = [command]
    for name in command.subcommands:
        found += all_commands((*words, name))
    return found


COMMANDS = all_commands()
COMMAND = pytest.mark.parametrize("command", COMMANDS, ids=str)


def sections(page: str) -> dict[str, list[str]]:
    """Lines of a manual page by the heading that they stand under, of a section or a part of one."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (MAN / page).read_text().splitlines():
        if line.startswith((".Sh ", ".Ss ")):
            lines = found.setdefault(line[4:], [])
        else:
            lines.append(line)
    return found


def manual_commands() -> dict[str, list[str]]:
    """Lines of virtgate(1) by command; a heading goes on with its arguments."""
    found = {}
    for heading, lines in sections("virtgate.1").items():
        words = re.split(r" (?:Op|Oo|Ar|Fl)\b", heading)[0]
        if words.startswith("virtgate "):
            found[words] = lines
    found["virtgate"] = sections("virtgate.1")["OPTIONS"]
    return found


def manual_options(lines: list[str]) -> dict[str, str]:
    """An item of n , -count Ar COUNT gives -n and --count, both with COUNT."""
    found = {}
    for line in lines:
        if not line.startswith(".It Fl "):
            continue
        names, _, argument = line.removeprefix(".It Fl ").partition(" Ar ")
        for name in names.split(" , "):
            found[f"-{name}"] = argument.removesuffix(" ...")
    return found


@COMMAND
def test_the_manual_page_has_each_option_and_no_other(command: Command) -> None:
    lines = manual_commands().get(str(command))
    if command.subcommands and command.words:
        assert lines is None, f"{command} is documented by its subcommands"
        assert not command.options
        return
    assert lines is not None, f"virtgate(1) has no {command}"
    options = manual_options(lines)
    assert set(options) - {"-h", "--help"} == command.options
    for name in command.options:
        assert options[name] == command.arguments[name], name


def test_the_manual_page_has_no_other_command() -> None:
    assert set(manual_commands()) <= {str(command) for command in COMMANDS}


def program_names() -> list[str]:
    text = (harness.TOP / "proxy" / "command" / "other_programs.cc").read_text()
    names = re.findall(r'^    \{"([a-z-]+)",', text, re.MULTILINE)
    assert len(names) > 2
    return names


@pytest.mark.parametrize("name", program_names())
def test_the_manual_page_has_each_other_name(name: str) -> None:
    run = f'exec -a {shlex.quote(name)} {shlex.quote(harness.GATE)} --help'
    usage = output("bash", "-c", run).splitlines()[0]
    lines = sections("virtgate.1")[name]
    if name not in ("virt-ssh-helper",):
        assert name in (harness.TOP / "Makefile").read_text()
    given = {found[0][1:] for found in re.finditer(r"(?<=[ \[])-[a-zA-Z-](?=[ \]])", usage)}
    shown = set()
    for line in lines:
        if found := re.match(r"\.(?:Op )?Fl (\S)", line):
            shown.add(found[1])
    assert shown == given


def bash_offers(words: tuple[str, ...], typed: str) -> set[str]:
    line = shlex.join(("virtgate", *words, typed))
    script = f"""
        source {shlex.quote(str(COMPLETIONS / "virtgate.bash"))}
        virtgate() {{ :; }}
        COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _virtgate
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    return set(output("bash", "-c", script).split())


def fish_offers(words: tuple[str, ...], typed: str) -> set[str]:
    line = " ".join(("virtgate", *words, typed))
    script = f"""
        function virtgate; end
        source {shlex.quote(str(COMPLETIONS / "virtgate.fish"))}
        complete -C {shlex.quote(line)}"""
    return {line.split("\t")[0] for line in output("fish", "--no-config", "-c", script).splitlines()}


def zsh_offers(words: tuple[str, ...], typed: str) -> set[str]:
    """What _arguments is told: options, and the words of a list of commands."""
    line = shlex.join(("virtgate", *words, ""))
    script = f"""
        compdef() {{ : }}
        _arguments() {{ print -rl -- "$@" }}
        words=({line}) CURRENT=$#words
        source {shlex.quote(str(COMPLETIONS / "_virtgate"))}"""
    found = set()
    for spec in output("zsh", "-fc", script).splitlines():
        if option := re.match(r"(?:\([^)]*\))?\*?(--?[a-zA-Z-]+)=?\[", spec):
            found.add(option[1])
        elif spec.startswith(f"{len(words) + 1}:"):
            found |= set(re.findall(r'([a-z]+)\\:"', spec))
    return {word for word in found if word.startswith("-") == typed.startswith("-")}


@pytest.mark.parametrize("offers", [bash_offers, zsh_offers, fish_offers])
@COMMAND
def test_a_completion_offers_each_option_and_no_other(
    command: Command, offers: Callable[[tuple[str, ...], str], set[str]]
) -> None:
    offered = offers(command.words, "-") | offers(command.words, "--")
    assert offered == command.options | {"-h", "--help"}
    if command.subcommands:
        assert offers(command.words, "") == set(command.subcommands)


def known_keys(folder: pathlib.Path, heading: str) -> set[str] | None:
    """The keys that a table takes, as the program itself lists them for one that it does not know."""
    config = folder / "virtgate.toml"
    config.write_text(f"{heading}\n{UNKNOWN} = 1\n")
    command = [harness.GATE, "serve", "--check", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(rf'unknown key "{UNKNOWN}" in .*; known are (.*)$', done.stderr, re.MULTILINE)
    return set(found[1].split(", ")) if found else None


def children(folder: pathlib.Path, path: str) -> dict[str, set[str]]:
    """Keys by heading of all tables at and below a path."""
    # Where names are free, nothing is unknown but what a table of that name may hold.
    for inner in (path, f"{path}.NAME"):
        for heading in (f"[{inner}]", f"[[{inner}]]"):
            keys = known_keys(folder, heading)
            if keys is None:
                continue
            found = {heading: keys}
            for key in keys:
                found |= children(folder, f"{inner}.{key}")
            return found
    return {}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What the program takes: keys by heading, of all tables that there are."""
    folder = tmp_path_factory.mktemp("keys")
    top = known_keys(folder, "")
    assert top
    found = {}
    for section in sorted(top):
        below = children(folder, section)
        assert below, f"no table of {section} tells its keys"
        found |= below
    # Tables in a list of texts, which have no heading anywhere.
    inline = found.pop("[[policy.open_uris]]")
    page = " ".join(sections("virtgate.toml.5")["[policy]"])
    assert all(f".Li {key}" in page for key in inline)
    return found


def manual_keys() -> dict[str, dict[str, str | None]]:
    """Keys and defaults by heading, from virtgate.toml(5)."""
    found: dict[str, dict[str, str | None]] = {}
    for heading, lines in sections("virtgate.toml.5").items():
        keys: dict[str, str | None] = {}
        last = ""
        for line, following in zip(lines, [*lines[1:], ""]):
            if line.startswith(".It Va "):
                last = line.removeprefix(".It Va ")
                keys[last] = None
            elif line.endswith("The default is"):
                keys[last] = following.removeprefix(".Li ").removesuffix(" .")
        if keys:
            found[heading] = keys
    return found


def reference_keys() -> dict[str, dict[str, tuple[str, bool]]]:
    """Keys by heading with their values, and whether they are in force, from the reference file."""
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    heading = ""
    for line in (PACKAGING / "virtgate.toml").read_text().splitlines():
        in_force = not line.startswith("#")
        line = line.removeprefix("#")
        if re.fullmatch(r"\[.*\]", line):
            heading = re.sub(r"^\[targets\..*\]$", "[targets.NAME]", line)
        elif pair := re.match(r"([a-z_]+) = (.*)$", line):
            value = pair[2].strip('"')
            found.setdefault(heading, {}).setdefault(pair[1], (value, in_force))
    return found


def test_the_manual_page_has_each_key_and_no_other(known: dict[str, set[str]]) -> None:
    assert {heading: set(keys) for heading, keys in manual_keys().items()} == known


def test_the_reference_configuration_has_each_key_and_no_other(known: dict[str, set[str]]) -> None:
    reference = {heading: set(keys) for heading, keys in reference_keys().items()}
    reference.pop("[targets]")
    for heading, keys in known.items():
        # A key whose value is tables of its own is there as their heading.
        tables = {key for key in keys if f"[[{heading[1:-1]}.{key}]]" in known}
        assert reference.pop(heading) == keys - tables, heading
    assert not reference


def test_manual_page_and_reference_configuration_have_the_same_defaults() -> None:
    """Those of the reference configuration are held against the program by unit tests."""
    reference = reference_keys()
    compared = 0
    for heading, keys in manual_keys().items():
        for key, default in keys.items():
            if key == "rule":
                continue
            value, in_force = reference[heading][key]
            needed = key == "path"
            if default is not None:
                assert value == default, f"{heading} {key}"
                compared += 1
            else:
                assert needed or not in_force, f"{heading} {key} has a default"
    assert compared > 20


def test_the_manual_page_repeats_the_claim_of_the_filter() -> None:
    head = (harness.TOP / "policy" / "filter.h").read_text().split("The claim:")[1]
    head = head.split("\n//\n")[0].replace("//", " ")
    page = sections("virtgate.8")["What it claims"]
    assert " ".join(page).lower().split() == head.lower().split()


@pytest.mark.parametrize("page", sorted(path.name for path in MAN.iterdir()))
def test_a_manual_page_is_well_formed(page: str) -> None:
    command = ["man", "--warnings", "--local-file", "--encoding=UTF-8", str(MAN / page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) > 50
