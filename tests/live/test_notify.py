"""What the gate tells a service manager."""

import os
import pathlib
import signal
import time
from typing import Any, Callable, Iterator

import pytest

import harness
import manager
import raw
import recorder

MakeRecorder = Callable[[harness.Daemon], recorder.Recorder]
MakeGate = Callable[..., harness.Gate]


@pytest.fixture
def listener(folders: Iterator[pathlib.Path]) -> Iterator[manager.Listener]:
    one = manager.Listener(next(folders) / "notify")
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def make(
    listener: manager.Listener, folders: Iterator[pathlib.Path]
) -> Iterator[Callable[..., harness.Gate]]:
    """A gate that speaks to the listener."""
    made = []

    def one(
        targets: dict[str, Any],
        watchdog_usec: int = 0,
        longest_turn: int = harness.LONGEST_TURN,
        **limits: Any,
    ) -> harness.Gate:
        gate = harness.Gate(next(folders), targets, **limits)
        gate.environment = {
            "NOTIFY_SOCKET": listener.path,
            "VIRTGATE_LONGEST_TURN": str(longest_turn),
        }
        if watchdog_usec:
            gate.environment["WATCHDOG_USEC"] = str(watchdog_usec)
        made.append(gate)
        return gate.start()

    yield one
    for gate in made:
        gate.stop()


def test_ready_when_it_serves(
    daemon: harness.Daemon, make: MakeGate, listener: manager.Listener
) -> None:
    gate = make({"hail": daemon.uri("unix"), "sleet": daemon.uri("tcp")})
    ready = listener.expect("READY")
    # The one that everybody may use the socket.
    status = "targets: 2, sockets: 1, warnings: 1"
    assert ready == {"READY": "1", "MAINPID": str(gate.pid), "STATUS": status}
    assert listener.heard == [ready]
    with raw.connect(gate.socket, "hail") as client:
        assert client.version() > 0


def test_no_word_of_being_ready_when_it_fails(
    daemon: harness.Daemon, make: MakeGate, listener: manager.Listener, make_gate: MakeGate
) -> None:
    other = make_gate({"hail": daemon.uri("unix")})
    gate = harness.Gate(other.folder, {"hail": daemon.uri("unix")})
    gate.environment = {"NOTIFY_SOCKET": listener.path}
    gate.accepts = lambda: False
    with pytest.raises(harness.Failure, match="start-failed"):
        gate.start()
    assert listener.listen() is None


def test_stopping_is_said_before_the_last_calls_are_through(
    daemon: harness.Daemon, make: MakeGate, listener: manager.Listener, make_recorder: MakeRecorder
) -> None:
    between = make_recorder(daemon)
    gate = make({"hail": between.uri(daemon.file)})
    with raw.connect(gate.socket, "hail") as client:
        between.hold()
        serial = client.post(raw.CONNECT_GET_LIB_VERSION)
        harness.wait_for("the call", lambda: between.calls(raw.CONNECT_GET_LIB_VERSION))
        gate.terminate()
        said = listener.expect("STOPPING")
        assert int(said["EXTEND_TIMEOUT_USEC"]) > 10_000_000
        assert said["STATUS"].endswith("clients: 1")
        assert gate.process is not None and gate.process.running()
        between.release()
        assert client.reply(serial).status == raw.OK


def test_the_watchdog_is_fed_by_the_loop(
    daemon: harness.Daemon, make: MakeGate, listener: manager.Listener
) -> None:
    """A process that stands still, as one with a stuck loop does, says nothing."""
    gate = make({"hail": daemon.uri("unix")}, watchdog_usec=200_000, longest_turn=10_000)
    started = time.monotonic()
    for _ in range(10):
        assert listener.expect("WATCHDOG")["WATCHDOG"] == "1"
    assert time.monotonic() - started > 0.4
    os.kill(gate.pid, signal.SIGSTOP)
    while listener.listen(0.5) is not None:
        pass
    os.kill(gate.pid, signal.SIGCONT)
    listener.expect("WATCHDOG")


def test_a_manager_that_does_not_read_holds_up_nobody(
    daemon: harness.Daemon, make: MakeGate, listener: manager.Listener
) -> None:
    """Its socket takes some ten messages (net.unix.max_dgram_qlen), and then none."""
    gate = make({"hail": daemon.uri("unix")}, watchdog_usec=20_000)
    with raw.connect(gate.socket, "hail") as client:
        for _ in range(20):
            assert client.version() > 0
            time.sleep(0.02)
    assert listener.expect("READY")["READY"] == "1"


def test_the_watchdog_of_another_process_is_not_fed(
    daemon: harness.Daemon, make: MakeGate, listener: manager.Listener, monkeypatch: Any
) -> None:
    monkeypatch.setenv("WATCHDOG_PID", "1")
    make({"hail": daemon.uri("unix")}, watchdog_usec=20_000)
    listener.expect("READY")
    assert listener.listen(0.5) is None
