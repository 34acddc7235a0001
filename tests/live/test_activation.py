"""Sockets that a service manager holds for the gate."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
from typing import Any, Callable, Iterator

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
    gate.logged(line)
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


def test_a_socket_that_nothing_names_answers_with_an_error(gate: harness.Gate, hold: Hold) -> None:
    other = gate.path("other")
    manager.pass_on(gate, {"clients": hold(gate.socket), "more": hold(other)})
    gate.start()
    serve_once(gate)
    with raw.Client(other) as client, pytest.raises(raw.LibvirtError) as refused:
        client.open("machines")
    assert f"the service manager passed {other} (more), which no [[listen]] serves" in str(
        refused.value
    )
    gate.logged("degraded reason=")


def test_what_is_no_listening_socket_is_left_out(gate: harness.Gate, hold: Hold) -> None:
    with socket.socket(socket.AF_INET) as inet:
        inet.bind(("127.0.0.1", 0))
        inet.listen(1)
        manager.pass_on(gate, {"clients": hold(gate.socket), "odd": inet})
        gate.start()
        serve_once(gate)
        gate.logged("passed as 'odd': descriptor 4: this is no listening Unix")


def status(gate: harness.Gate) -> dict[str, Any]:
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    command = [harness.GATE, "status", "--json", "--control", gate.control]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("configured, real", [("0666", 0o600), ("0660", 0o666), ("0666", 0o666)])
def test_the_mode_of_a_passed_socket_says_whether_everybody_may_use_it(
    gate: harness.Gate, hold: Hold, configured: str, real: int
) -> None:
    """Without rules, and whatever the configuration says of the mode."""
    text = gate.config.read_text()
    assert 'mode = "0666"' in text
    gate.config.write_text(text.replace("0666", configured))
    mine = hold(gate.socket)
    os.chmod(gate.socket, real)
    manager.pass_on(gate, {"clients": mine})
    gate.start()
    serve_once(gate)
    warnings = status(gate)["warnings"]
    told = f'everybody on this host may use the socket "{gate.socket}"'
    if real & 0o002:
        assert len(warnings) == 1 and told in warnings[0]
        gate.logged("configuration-warning")
        assert told in gate.log().replace('\\"', '"')
    else:
        assert warnings == []
        assert "configuration-warning" not in gate.log()


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
