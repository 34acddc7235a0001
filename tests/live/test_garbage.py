"""What one client sends or fails to read is nobody else's trouble."""

import contextlib
import pathlib
import random
import socket
import struct
import threading
import time
from typing import Callable, Iterator

import pytest

import busy
import harness
import raw

CALL = raw.frame(raw.CONNECT_GET_LIB_VERSION, serial=9)


def lengths() -> dict[str, bytes]:
    bad = [*range(28), 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 33554437]
    return {f"length_{value:#x}": struct.pack(">I", value) + bytes(24) for value in bad}


GARBAGE: dict[str, bytes] = {
    **lengths(),
    "random": random.Random(1).randbytes(100000),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "zeros": bytes(100000),
    "with_fds": raw.frame(23, raw.uint(1) + raw.string("machine1"), kind=raw.CALL_WITH_FDS),
    "with_33_fds": raw.frame(23, raw.uint(33), kind=raw.CALL_WITH_FDS),
    "stream": raw.frame(208, b"x" * 1000, kind=raw.STREAM, status=raw.CONTINUE),
    "hole": raw.frame(208, bytes(12), kind=raw.STREAM_HOLE, status=raw.CONTINUE),
    "reply": raw.frame(23, b"", kind=raw.REPLY),
    "reply_with_fds": raw.frame(23, raw.uint(1), kind=raw.REPLY_WITH_FDS),
    "event": raw.frame(318, bytes(40), kind=raw.MESSAGE, serial=1),
    "type_99": raw.frame(23, b"", kind=99),
    "status": raw.frame(23, raw.string("machine1"), status=raw.ERROR),
    "program": raw.frame(1, bytes(8), program=0x12345678),
    "version": raw.frame(23, raw.string("machine1"), version=2),
    "admin": raw.frame(1, bytes(8), program=0x06900690),
    "negative": raw.frame(-1, bytes(8)),
    "long_call": raw.frame(23, raw.string(b"m" * (900 << 10))),
    "ping_as_call": raw.frame(raw.PING, program=raw.KEEPALIVE),
    "ten_thousand_pings": raw.frame(raw.PING, program=raw.KEEPALIVE, kind=raw.MESSAGE) * 10000,
}

# Announced, but never finished.
HALVES = {
    "nothing": b"",
    "one_byte": CALL[:1],
    "three_bytes": CALL[:3],
    "header_less_one": CALL[:27],
    "body_missing": raw.frame(23, raw.string("machine1"))[:30],
    "much_announced": struct.pack(">I", 1 << 20) + CALL[4:],
}


@pytest.fixture(scope="module")
def gate(daemon: harness.Daemon, make_module_gate: Callable[..., harness.Gate]) -> harness.Gate:
    return make_module_gate({"machines": daemon.uri("unix")})


@pytest.fixture(scope="module")
def bystanders(gate: harness.Gate) -> Iterator[busy.Crew]:
    with busy.Crew(gate.socket, "machines", 2) as crew:
        yield crew


def swallow(client: raw.Client, patience: float) -> bool:
    """Reads whatever comes, for so long at most; says whether the connection has ended."""
    client.socket.settimeout(patience)
    try:
        while client.socket.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def throw(client: raw.Client, data: bytes) -> None:
    """The other side may end the connection before it has everything."""
    with contextlib.suppress(ConnectionError):
        client.send(data)


@pytest.mark.parametrize("opened", [False, True], ids=["before_open", "after_open"])
@pytest.mark.parametrize("label", GARBAGE)
def test_garbage_disturbs_nobody(
    gate: harness.Gate, bystanders: busy.Crew, label: str, opened: bool
) -> None:
    with raw.Client(gate.socket) as client:
        if opened:
            client.open("machines")
        throw(client, GARBAGE[label])
        ended = swallow(client, 0.05)
        if label.startswith("length_"):
            assert ended or swallow(client, harness.PATIENCE)
    bystanders.progress(2)
    assert not bystanders.failed()


def test_hanging_halves_disturb_nobody(gate: harness.Gate, bystanders: busy.Crew) -> None:
    with contextlib.ExitStack() as stack:
        for half in HALVES.values():
            for _ in range(10):
                throw(stack.enter_context(raw.connect(gate.socket, "machines")), half)
        bystanders.progress(20)
        assert not bystanders.failed()


def test_a_call_byte_by_byte(gate: harness.Gate) -> None:
    with raw.connect(gate.socket, "machines") as client:
        for byte in raw.frame(23, raw.string("machine7"), serial=5):
            client.send(bytes([byte]))
        assert client.receive().body.startswith(raw.string("machine7"))


def test_what_a_daemon_ignores_does_not_end_the_connection(gate: harness.Gate) -> None:
    """Replies and unknown types nobody waits for, and trailing keepalive messages."""
    with raw.connect(gate.socket, "machines") as client:
        client.send(GARBAGE["reply"] + GARBAGE["event"] + GARBAGE["type_99"])
        client.send(raw.frame(raw.PONG, program=raw.KEEPALIVE, kind=raw.MESSAGE))
        client.send(raw.frame(9, program=raw.KEEPALIVE, kind=raw.MESSAGE))
        assert client.version() > 0


def test_an_error_leaves_the_connection_open(gate: harness.Gate) -> None:
    with raw.connect(gate.socket, "machines") as client:
        for label in ("program", "version", "admin", "negative", "status"):
            client.send(GARBAGE[label])
            assert client.receive().status == raw.ERROR
        assert client.version() > 0


def test_passed_descriptors_do_not_stay(gate: harness.Gate, bystanders: busy.Crew) -> None:
    with socket.socketpair()[0] as passed, raw.connect(gate.socket, "machines") as client:
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                socket.send_fds(client.socket, [GARBAGE["with_fds"]], [passed.fileno()])
                socket.send_fds(client.socket, [b"\0"], [passed.fileno()])
        swallow(client, 0.2)
    bystanders.progress(2)
    assert not bystanders.failed()


def test_a_hundred_at_once_disturb_nobody(gate: harness.Gate, bystanders: busy.Crew) -> None:
    source = random.Random(2)
    choices = [*GARBAGE.values(), *HALVES.values()]
    attacks = [(source.random() < 0.5, source.choice(choices)) for _ in range(100)]

    def attack(opened: bool, data: bytes) -> None:
        with contextlib.suppress(OSError, raw.LibvirtError), raw.Client(gate.socket) as client:
            if opened:
                client.open("machines")
            throw(client, data)
            swallow(client, 0.2)

    threads = [threading.Thread(target=attack, args=one) for one in attacks]
    for one in threads:
        one.start()
    bystanders.progress(10)
    for one in threads:
        one.join(harness.PATIENCE)
    assert not any(one.is_alive() for one in threads)
    assert not bystanders.failed()


def test_a_client_that_never_reads(gate: harness.Gate, bystanders: busy.Crew) -> None:
    """It asks for far more than may be kept for it; the rest is not even read from it."""
    question = raw.frame(raw.CONNECT_GET_ALL_DOMAIN_STATS, raw.uint(0) * 3, serial=3)
    with raw.connect(gate.socket, "machines") as client:
        reply = client.ask(raw.CONNECT_GET_ALL_DOMAIN_STATS, raw.uint(0) * 3)
        assert len(reply.body) > 10000
        before = harness.memory(gate.pid)
        client.socket.setblocking(False)
        block = question * 500
        sent = 0
        idle_since = time.monotonic()
        while sent < 64 << 20 and time.monotonic() - idle_since < 1.0:
            try:
                sent += client.socket.send(block)
                idle_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < 64 << 20
        bystanders.progress(100)
        assert not bystanders.failed()
        # One client's buffer is 16 MiB by default; an allocator may take twice that.
        assert harness.memory(gate.pid) - before < 64 << 20
        client.socket.settimeout(harness.PATIENCE)
        answered = sum(1 for _ in range(200) if client.receive().status == raw.OK)
        assert answered == 200


def test_descriptors_do_not_leak(gate: harness.Gate) -> None:
    """After all of the above; only the bystanders of this file are still connected."""
    def held() -> int:
        return len(list(pathlib.Path(f"/proc/{gate.pid}/fd").iterdir()))

    harness.wait_for("the gate to close what has ended", lambda: held() < 40)
