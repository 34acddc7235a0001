"""A daemon that dies is a delay to clients, unless it stays away."""

import time
from typing import Callable

import pytest

import busy
import harness
import raw
import recorder

MakeGate = Callable[..., harness.Gate]


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_clients_do_not_notice_a_crash(
    own_daemon: harness.Daemon, make_gate: MakeGate, kind: str
) -> None:
    gate = make_gate({"machines": own_daemon.uri(kind)})
    with busy.Crew(gate.socket, "machines", 8) as crew:
        for _ in range(2):
            crew.progress(50)
            own_daemon.kill()
            time.sleep(1.0)
            own_daemon.start()
            crew.progress(50)


def test_calls_in_flight_are_sent_again(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: MakeGate,
    connect: Callable[..., raw.Client],
) -> None:
    """The daemon has the calls, and its connection ends before any reply comes."""
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(daemon.file)})
    clients = [connect(gate.socket, "machines") for _ in range(6)]
    between.forget()
    between.hold()
    serials = [one.post(23, raw.string(f"machine{i}")) for i, one in enumerate(clients, 1)]
    harness.wait_for("a call at the daemon", lambda: between.calls(23))
    between.cut()
    for number, (client, serial) in enumerate(zip(clients, serials), 1):
        reply = client.reply(serial)
        assert reply.status == raw.OK
        assert reply.body.startswith(raw.string(f"machine{number}"))
    assert len(between.calls(23)) > len(clients)


def test_a_call_is_not_sent_for_ever(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: MakeGate,
    connect: Callable[..., raw.Client],
) -> None:
    """At most twice again: a call that kills its daemon must not kill it all day."""
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(daemon.file)})
    client = connect(gate.socket, "machines")
    between.forget()
    between.deadly = 23
    with pytest.raises(raw.LibvirtError) as failure:
        client.domain("machine1")
    assert "machines" in failure.value.text
    assert 1 <= len(between.calls(23)) <= 3
    between.deadly = None
    assert client.domain("machine1")


def test_a_target_that_stays_away_is_named(
    own_daemon: harness.Daemon, make_gate: MakeGate, connect: Callable[..., raw.Client]
) -> None:
    target = {"uri": own_daemon.uri("unix"), "retry_timeout": "1s", "call_timeout": "3s"}
    gate = make_gate({"machines": target})
    client = connect(gate.socket, "machines")
    own_daemon.kill()
    with pytest.raises(raw.LibvirtError) as failure:
        client.version()
    assert "machines" in failure.value.text
    with raw.Client(gate.socket) as late, pytest.raises(raw.LibvirtError) as failure:
        late.open("machines")
    assert "machines" in failure.value.text
    own_daemon.start()
    with raw.connect(gate.socket, "machines") as again:
        assert again.version() > 0


def test_a_gate_starts_without_its_daemon(
    own_daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    own_daemon.stop()
    gate = make_gate({"machines": {"uri": own_daemon.uri("tcp"), "retry_timeout": "1s"}})
    with raw.Client(gate.socket) as early, pytest.raises(raw.LibvirtError):
        early.open("machines")
    own_daemon.start()
    with raw.connect(gate.socket, "machines") as client:
        assert client.version() > 0
