"""Many clients share a few upstreams."""

import asyncio
import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from typing import Callable

import ask
import harness
import raw
import recorder

CROWD = 1000
UPSTREAMS = 4
USER = 3  # clients that a user may have
MADE = USER + 64  # clients of whom something is made, if only to tell them that they are too many

COME_AND_GO = """
import socket, sys
while True:
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(sys.argv[1])
        except ConnectionError:
            break
"""


async def visit(path: str, name: str, arrived: asyncio.Barrier) -> int:
    """Opens, calls, stays until all have called, and leaves as libvirt's clients do."""
    # A full backlog makes a blocking connect wait, and one that does not block fail.
    reader, writer = await asyncio.open_unix_connection(sock=harness.dial(path))

    async def call(serial: int, procedure: int, body: bytes = b"") -> raw.Frame:
        writer.write(raw.frame(procedure, body, serial=serial))
        head = await reader.readexactly(raw.HEADER.size)
        length, *fields = raw.HEADER.unpack(head)
        reply = raw.Frame(*fields, body=await reader.readexactly(length - raw.HEADER.size))
        assert (reply.serial, reply.kind) == (serial, raw.REPLY)
        if reply.status != raw.OK:
            raise raw.error_of(reply)
        return reply

    try:
        await call(0, raw.AUTH_LIST)
        await call(1, raw.CONNECT_OPEN, raw.open_body(name, 0))
        version = int.from_bytes((await call(2, raw.CONNECT_GET_LIB_VERSION)).body, "big")
        await arrived.wait()
        await call(3, raw.CONNECT_CLOSE)
        assert await reader.read() == b""
        return version
    except BaseException:
        await arrived.abort()
        raise
    finally:
        writer.close()


async def crowd(path: str, name: str) -> list[int | BaseException]:
    arrived = asyncio.Barrier(CROWD)
    visits = [visit(path, name, arrived) for _ in range(CROWD)]
    gathered = asyncio.gather(*visits, return_exceptions=True)
    return await asyncio.wait_for(gathered, 60)


def test_a_thousand_clients_share_few_upstreams(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: Callable[..., harness.Gate],
) -> None:
    between = make_recorder(daemon)
    gate = make_gate(
        {"machines": {"uri": between.uri(daemon.file), "upstreams": UPSTREAMS}},
        clients_per_user=2 * CROWD,
    )
    results = asyncio.run(crowd(gate.socket, "machines"))
    # One failure lets nobody else wait.
    failures = [one for one in results if isinstance(one, BaseException)]
    assert [one for one in failures if not isinstance(one, asyncio.BrokenBarrierError)] == []
    assert len(results) == CROWD
    assert len(set(results)) == 1
    assert 1 <= between.peak <= UPSTREAMS
    # Those that ask the same at the same time share an answer.
    assert 1 <= len(between.calls(raw.CONNECT_GET_LIB_VERSION)) < CROWD
    assert len(between.calls(raw.CONNECT_OPEN)) == between.accepted


def test_at_most_four_calls_are_in_flight_on_an_upstream(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: Callable[..., harness.Gate],
    connect: Callable[..., raw.Client],
) -> None:
    """libvirtd stops reading a connection that has five calls in progress."""
    between = make_recorder(daemon)
    gate = make_gate({"machines": {"uri": between.uri(daemon.file), "upstreams": 1, "spare": 0}})
    clients = [connect(gate.socket, "machines") for _ in range(6)]
    between.forget()
    between.hold()
    asked = raw.DOMAIN_LOOKUP_BY_NAME
    names = iter(f"machine{number}" for number in range(1, 31))
    serials = [[one.post(asked, raw.string(next(names))) for _ in range(5)] for one in clients]
    # What the gate answers itself tells that it has read what was sent before.
    for one in clients:
        one.call(raw.AUTH_LIST)
    harness.wait_for("calls", lambda: len(between.calls(asked)) >= 4)
    assert len(between.calls(asked)) == 4
    between.release()
    for client, expected in zip(clients, serials):
        assert sorted(client.receive().serial for _ in expected) == expected
    assert between.peak == 1


def test_replies_find_their_clients(
    daemon: harness.Daemon,
    make_gate: Callable[..., harness.Gate],
    connect: Callable[..., raw.Client],
) -> None:
    """Everybody uses the same serials, and asks for something else."""
    gate = make_gate({"machines": {"uri": daemon.uri("unix"), "upstreams": 2}})
    clients = [connect(gate.socket, "machines") for _ in range(40)]
    for round_ in range(5):
        wanted = [f"machine{1 + (i * 5 + round_) % 200}" for i in range(len(clients))]
        serials = [c.post(23, raw.string(name)) for c, name in zip(clients, wanted)]
        assert len(set(serials)) == 1
        for client, name, serial in zip(clients, wanted, serials):
            assert client.reply(serial).body.startswith(raw.string(name))


def test_serials_are_the_clients_own(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate]
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    with raw.connect(gate.socket, "machines") as client:
        for serial in (0, 0xFFFFFFFF, 0x80000000, 7, 7):
            client.send(raw.frame(raw.CONNECT_GET_LIB_VERSION, serial=serial))
            reply = client.receive()
            assert (reply.serial, reply.status, reply.kind) == (serial, raw.OK, raw.REPLY)


def newcomer(gate: harness.Gate, daemon: harness.Daemon) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["virsh", "-c", gate.uri(daemon.file), "domstate machine1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )


def check_limit(gate: harness.Gate, daemon: harness.Daemon) -> None:
    clients = [raw.connect(gate.socket, "machines") for _ in range(3)]
    refused = newcomer(gate, daemon)
    assert refused.returncode == 1
    assert "error: " in refused.stderr
    # What virsh says when nobody told it anything.
    for bare in ("End of file", "Cannot recv data", "Connection reset", "Broken pipe"):
        assert bare not in refused.stderr
    assert "client" in refused.stderr
    assert all(one.version() > 0 for one in clients)
    clients.pop().close()
    harness.wait_for("a place", lambda: newcomer(gate, daemon).returncode == 0)
    for one in clients:
        one.close()


def test_above_the_limit_a_client_is_told(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate]
) -> None:
    check_limit(make_gate({"machines": daemon.uri("unix")}, clients=3), daemon)


def test_above_the_limit_of_a_user_a_client_is_told(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate]
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")}, clients=100, clients_per_user=3)
    check_limit(gate, daemon)



def has_ended(one: socket.socket) -> bool:
    readable = select.select([one], [], [], 0)[0]
    return bool(readable) and one.recv(1, socket.MSG_PEEK) == b""


def made(gate: harness.Gate, name: str) -> int:
    """How many clients the gate has ever had, by the number that it gives to another."""
    with raw.connect(gate.socket, name):
        return max(int(one["client"]) for one in ask.status(gate)["clients"])


def test_a_crowd_at_the_door_is_ended_before_anything_is_made_of_it(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate]
) -> None:
    """Who opens connections in a loop costs neither objects nor records, nor others their calls."""
    gate = make_gate({"machines": daemon.uri("unix")}, clients_per_user=USER)
    with raw.connect(gate.socket, "machines") as first:
        crowd_ = [harness.dial(gate.socket) for _ in range(CROWD)]
        harness.wait_for("ends", lambda: sum(map(has_ended, crowd_)) >= CROWD - MADE)
        assert first.version() > 0
        for one in crowd_:
            one.close()
    harness.wait_for("a place", lambda: newcomer(gate, daemon).returncode == 0)
    tries = ask.status(gate)["accepted"] - CROWD
    assert ask.status(gate)["turned_away"] >= CROWD - MADE
    assert made(gate, "machines") <= MADE + tries + 1
    gate.logged(f"turned-away uid={os.getuid()} ")


def visits(gate: harness.Gate, name: str) -> int:
    """Where the system's queue is full, as libvirt does: it waits for a place there."""
    while True:
        try:
            with raw.connect(gate.socket, name) as one:
                return one.version()
        except BlockingIOError:
            time.sleep(0.001)


def test_who_connects_and_closes_in_a_loop_keeps_nobody_out(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate]
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            command = [sys.executable, "-c", COME_AND_GO, gate.socket]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        for _ in range(50):
            assert visits(gate, "machines") > 0
        harness.wait_for("a storm", lambda: ask.status(gate)["accepted"] >= 10 * CROWD)
        assert visits(gate, "machines") > 0
