"""Sockets that a service manager holds for the gate."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
from typing import Callable, Iterator

import pytest

import harness
import manager
import raw
import visitors

Folders = Iterator[pathlib.Path]
Hold = Callable[[str], socket.socket]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """A listening socket that is ours."""
    with contextlib.ExitStack() as stack:
        yield lambda address: stack.enter_context(manager.listening(address))


@pytest.fixture
def gate(daemon: harness.Daemon, folders: Folders) -> Iterator[harness.Gate]:
    """Not started."""
    one = harness.Gate(next(folders), {"machines": daemon.uri("unix")})
    try:
        yield one
    finally:
        one.stop()


def end_badly(gate: harness.Gate) -> str:
    """What it says when it does not start."""
    done = subprocess.run(
        [*gate.launcher, harness.GATE, "serve", "--config", str(gate.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
        pass_fds=gate.descriptors,
    )
    assert done.returncode == 1
    return done.stderr


def serve_once(gate: harness.Gate) -> None:
    with raw.connect(gate.socket, "machines") as client:
        assert client.version() > 0


def test_a_passed_socket_is_served_and_left(gate: harness.Gate, hold: Hold) -> None:
    mine = hold(gate.socket)
    before = os.stat(gate.socket)
    manager.pass_on(gate, {"clients": mine})
    gate.start()
    serve_once(gate)
    line = f"listen socket={gate.socket} target=- passed_as=clients"
    assert line in gate.log()
    assert not os.path.exists(gate.socket + ".lock")
    gate.stop()
    after = os.stat(gate.socket)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    with harness.dial(gate.socket):
        pass


def test_an_abstract_socket_and_one_of_its_own(
    daemon: harness.Daemon, folders: Folders, hold: Hold
) -> None:
    listen = (harness.Listen("first"), harness.Listen("second"))
    gate = harness.Gate(next(folders), {"machines": daemon.uri("unix")}, listen)
    name = f"@virtgate-passed-{os.getpid()}"
    gate.config.write_text(gate.config.read_text().replace(gate.path("first"), name))
    gate.accepts = lambda: harness.answers(gate.path("second"))
    manager.pass_on(gate, {"abstract": hold(name)})
    try:
        gate.start()
        for address in ("\0" + name[1:], gate.path("second")):
            with raw.connect(address, "machines") as client:
                assert client.version() > 0
    finally:
        gate.stop()
    assert not os.path.exists(gate.path("second"))


def test_a_socket_that_nothing_names_is_an_error(gate: harness.Gate, hold: Hold) -> None:
    other = gate.path("other")
    manager.pass_on(gate, {"clients": hold(gate.socket), "more": hold(other)})
    text = end_badly(gate)
    assert "start-failed" in text
    assert f"no [[listen]] has that path: {other} (more)" in text


def test_what_is_no_listening_socket_is_an_error(gate: harness.Gate) -> None:
    with socket.socket(socket.AF_INET) as inet:
        inet.bind(("127.0.0.1", 0))
        inet.listen(1)
        manager.pass_on(gate, {"odd": inet})
        assert "passed as 'odd': descriptor 3: this is no listening Unix" in end_badly(gate)


FOR_ANOTHER = """
import os, sys
os.environ["LISTEN_PID"] = "1"
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_sockets_of_another_process_are_not_taken(gate: harness.Gate, hold: Hold) -> None:
    """LISTEN_PID does not name us."""
    mine = hold(gate.path("other"))
    manager.pass_on(gate, {"other": mine})
    gate.launcher += [sys.executable, "-c", FOR_ANOTHER]
    gate.start()
    serve_once(gate)


def test_restarts_lose_nobody(gate: harness.Gate, hold: Hold) -> None:
    manager.pass_on(gate, {"clients": hold(gate.socket)})
    gate.start()
    with visitors.nobody_lost(gate.socket, "machines") as crowd:
        for _ in range(12):
            crowd.progress(3)
            gate.stop()
            gate.start()
