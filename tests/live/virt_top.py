"""virt-top, which Debian 12 does not have: tests/debian13 runs this."""

import csv
import pathlib
import subprocess
from typing import Callable, Iterator

import harness

MakeGate = Callable[..., harness.Gate]


def rows(folder: pathlib.Path, uri: str) -> list[list[str]]:
    """One look at the machines, as virt-top writes it for spreadsheets."""
    file = folder / "top.csv"
    file.unlink(missing_ok=True)
    command = ["virt-top", "--connect", uri, "--script", "-n", "2", "-d", "1", "--csv", str(file)]
    env = harness.environment(folder) | {"TERM": "xterm"}
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=harness.PATIENCE)
    with file.open() as lines:
        return list(csv.reader(lines))


def machines(row: list[str]) -> list[str]:
    """Names of machines in a row: from a machine's id on there are as many fields for each."""
    return sorted(word for word in row if word.startswith("machine"))


def test_virt_top(
    daemon: harness.Daemon, make_gate: MakeGate, folders: Iterator[pathlib.Path]
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    folder = next(folders)
    expected = rows(folder, daemon.uri("unix"))
    found = rows(folder, gate.uri(daemon.file))
    assert found[0] == expected[0]
    assert len(found) == len(expected) == 3
    assert machines(found[1]) == machines(expected[1])
    assert machines(found[1])
