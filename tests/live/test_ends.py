"""Connections that end because we end them: nobody's loss, whatever way leads to the daemon."""

import contextlib
import json
import pathlib
import subprocess
from typing import Callable, Iterator

import pytest

import ask
import harness
import raw
import scene

MakeGate = Callable[..., harness.Gate]

WAYS = ("unix", "tcp", "tls", "ssh", "command", "ext", "ext that fails")


@pytest.fixture(scope="module")
def place(folders: Iterator[pathlib.Path]) -> Iterator[scene.Scene]:
    with scene.playing(next(folders)) as one:
        yield one


@pytest.fixture(scope="module")
def uri_of(place: scene.Scene, folders: Iterator[pathlib.Path]) -> Callable[[str], str]:
    folder = next(folders)

    def find(way: str) -> str:
        if way == "command":
            return place.direct("ssh")
        if not way.startswith("ext"):
            return place.uri(way)
        program = folder / way.replace(" ", "-")
        end = "echo ended; exit 3" if way.endswith("fails") else "exit 0"
        program.write_text(f"#!/bin/sh\nnc -U {place.daemon.unix}\n{end}\n")
        program.chmod(0o755)
        return f"test+ext://{place.daemon.file}?command={program}"

    return find


def ping(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [harness.GATE, "ping", *arguments],
        env=harness.environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_ping_of_what_answers_succeeds(
    way: str, uri_of: Callable[[str], str], folders: Iterator[pathlib.Path]
) -> None:
    folder = next(folders)
    for count in ("1", "3"):
        done = ping(folder, uri_of(way), "-n", count)
        assert (done.returncode, "failed" in done.stdout) == (0, False), done.stdout + done.stderr
    done = ping(folder, uri_of(way), "--json")
    assert done.returncode == 0, done.stdout
    answer = json.loads(done.stdout)
    assert answer["version"]
    assert "error" not in answer


def test_what_the_gate_ends_is_no_loss(
    uri_of: Callable[[str], str], make_gate: MakeGate
) -> None:
    """One gate for all ways, since each takes its seconds to be idle."""
    names = {way: way.replace(" ", "-") for way in WAYS}
    targets = {names[way]: {"uri": uri_of(way), "idle_timeout": "1s"} for way in WAYS}
    gate = make_gate(targets)
    for name in names.values():
        with raw.connect(gate.socket, name) as one:
            assert one.version() > 0

    def all_idle() -> bool:
        found = ask.status(gate)["targets"]
        return all(not one["upstreams"] for one in found)

    harness.wait_for("all connections to be closed", all_idle)
    status = ask.status(gate)
    for name in names.values():
        found = ask.named(status["targets"], name)
        assert (found["state"], found["last_failure"]) == ("idle", []), name
        counted = ask.named(status["counters"], name)
        assert (counted["opened"], counted["breaches"]) == (1, 0), name
        assert sum(counted["lost"].values()) == 0, name
    # Those that are open when the gate ends are no loss either.
    with contextlib.ExitStack() as stack:
        for name in names.values():
            assert stack.enter_context(raw.connect(gate.socket, name)).version() > 0
    gate.stop()
    log = (gate.folder / "gate.log").read_text()
    assert "upstream-open" in log
    for word in (" warning upstream", " error ", "upstream-lost", "upstream-failed"):
        assert word not in log, log
