"""Completion in the shells themselves, at a terminal: names of targets and procedures."""

import os
import pathlib
import pty
import select
import shlex
import subprocess
import time
from typing import Iterator

import pytest

import harness

COMPLETIONS = harness.TOP / "packaging" / "completions"
TOML = '[[listen]]\npath = "/run/gate"\n[targets]\nsnowfall = "qemu+ssh://h.example.com/system"\n'
READY = "sllehs eht"  # what it prints is not what is typed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("completion")
    (path / "bin").mkdir()
    (path / "bin" / "virtgate").symlink_to(pathlib.Path(harness.GATE).resolve())
    (path / "gate.toml").write_text(TOML)
    (path / "_virtgate").symlink_to(COMPLETIONS / "_virtgate")
    return path


class Terminal:
    """A shell that believes to be used by a person."""

    def __init__(self, command: list[str], folder: pathlib.Path) -> None:
        self.child, self.file = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            env = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder), "TERM": "dumb"}
            os.execvpe(command[0], command, env | {"LANG": "C.UTF-8", "PS1": "$ "})
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self.file, text.encode())

    def shows(self, wanted: str) -> None:
        deadline = time.monotonic() + harness.PATIENCE
        while wanted not in self.text:
            if time.monotonic() > deadline:
                raise harness.Failure(f"no {wanted!r} in:\n{self.text}")
            if select.select([self.file], [], [], 0.1)[0]:
                text = os.read(self.file, 65536).decode(errors="replace")
                self.text += text.replace("\b", "")

    def close(self) -> None:
        os.close(self.file)
        os.waitpid(self.child, 0)


SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        f"bind 'set bell-style none'; source {shlex.quote(str(COMPLETIONS / 'virtgate.bash'))}",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "unsetopt prompt_sp; fpath=($HOME $fpath); autoload -Uz compinit; compinit -u -D",
    ),
}


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, folder: pathlib.Path) -> Iterator[Terminal]:
    command, setup = SHELLS[request.param]
    one = Terminal(command, folder)
    try:
        one.type(f"{setup}; echo {READY} | rev\n")
        one.shows(READY[::-1])
        yield one
    finally:
        one.close()


@pytest.mark.parametrize(
    "typed, completed",
    [
        ("virtgate ping --config gate.toml sno", "snowfall"),
        ("virtgate ping --config=gate.toml sno", "snowfall"),
        ("virtgate resolve --config ~/gate.toml sno", "snowfall"),
        ("virtgate policy explain --config gate.toml --user root --target sno", "snowfall"),
        ("virtgate policy show --config gate.toml --user root --target sno", "snowfall"),
        ("virtgate policy list domain_get_xml", "DOMAIN_GET_XML_DESC"),
        ("virtgate policy list DOMAIN_GET_XML", "DOMAIN_GET_XML_DESC"),
        ("virtgate policy explain --user root Domain_Get_XML_D", "DOMAIN_GET_XML_DESC"),
    ],
)
def test_a_shell_completes(terminal: Terminal, typed: str, completed: str) -> None:
    terminal.type(f"{typed}\t")
    terminal.shows(completed)


@pytest.mark.parametrize(
    "typed, completed",
    [
        ("virtgate ping --config gate.toml sno", "snowfall"),
        ("virtgate ping --config=gate.toml sno", "snowfall"),
        ("virtgate policy show --config gate.toml --user root --target sno", "snowfall"),
        ("virtgate policy list domain_get_xml", "DOMAIN_GET_XML_DESC"),
        ("virtgate policy explain --user root DOMAIN_GET_XML_D", "DOMAIN_GET_XML_DESC"),
    ],
)
def test_fish_completes(folder: pathlib.Path, typed: str, completed: str) -> None:
    script = f"source {shlex.quote(str(COMPLETIONS / 'virtgate.fish'))}; complete -C {shlex.quote(typed)}"
    env = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=3 * harness.PATIENCE,
    )
    assert completed in [line.split("\t")[0] for line in done.stdout.splitlines()], done.stderr
