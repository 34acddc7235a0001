"""Remotes and visitors that talk without end before anybody has logged in: they lose the connection soon,
whatever it is that they say, and clients of other targets are answered meanwhile."""

import pathlib
import socket
import struct
import threading
from typing import Callable, Iterator

import pytest

import certificates
import harness
import raw
import stand_in
import victims

MakeGate = Callable[..., harness.Gate]

MANY = 8  # clients that want the target that floods
# What may have been sent on a connection that is closed: the gate takes 256 KiB, and both ends' kernels
# keep some megabytes.
MOST = 32 << 20


def ssh_packet(kind: int, body: bytes) -> bytes:
    """Before a key exchange: RFC 4253, section 6."""
    payload = bytes([kind]) + body
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def ssh_text(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


VERSION = b"SSH-2.0-flood\r\n"
IGNORE = ssh_packet(2, ssh_text(b"x" * 200))
DEBUG = ssh_packet(4, b"\1" + ssh_text(b"x" * 200) + ssh_text(b""))
UNIMPLEMENTED = ssh_packet(3, struct.pack(">I", 7))
ALERT = bytes([21, 3, 3, 0, 2, 1, 112])  # a warning: unrecognized_name
PING = raw.frame(raw.PING, program=raw.KEEPALIVE, kind=raw.MESSAGE)

FLOODS = {
    "ssh_lines": ("ssh", b"", b"%060d\r\n" % 7),
    "ssh_one_line": ("ssh", b"", b"x" * 64),
    "ssh_ignore": ("ssh", VERSION, IGNORE),
    "ssh_debug": ("ssh", VERSION, DEBUG),
    "ssh_unimplemented": ("ssh", VERSION, UNIMPLEMENTED),
    "tls_alerts": ("tls", b"", ALERT),
    "rpc_pings": ("tcp", b"", PING),
}


TEXTS = (
    "the server sent more than 262144 bytes",
    "the daemon sent more than 262144 bytes",
    "the server sends warnings in place of a handshake",
)


class Flood(stand_in.StandIn):
    """Says `first`, and then `again` without end, to whoever connects."""

    def __init__(self, port: int, first: bytes, again: bytes) -> None:
        super().__init__(("127.0.0.1", port))
        self._first, self._again = first, again * (65536 // len(again))
        self._lock = threading.Lock()
        self.sent: list[int] = []  # of each connection that has ended
        self._there: list[socket.socket] = []

    def on_connection(self, client: socket.socket) -> None:
        self._there.append(client)
        self._begin(self._pour, client)

    def on_close(self) -> None:
        for one in self._there:
            one.close()

    def _pour(self, client: socket.socket) -> None:
        sent = 0
        try:
            client.settimeout(harness.PATIENCE)
            client.sendall(self._first)
            while sent <= MOST:
                sent += client.send(self._again)
        except OSError:
            pass
        with self._lock:
            self.sent.append(sent)
        client.close()


def uri(kind: str, port: int, folder: pathlib.Path, tls: pathlib.Path) -> str:
    where = f"127.0.0.1:{port}/default"
    if kind == "ssh":
        return f"test+ssh://nobody@{where}?known_hosts={folder / 'known'}&keyfile={folder / 'key'}"
    return f"test+tls://{where}?pkipath={tls}" if kind == "tls" else f"test+tcp://{where}"


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_before_the_login(
    daemon: harness.Daemon,
    client: certificates.ClientFolder,
    folders: Iterator[pathlib.Path],
    make_gate: MakeGate,
    kind: str,
) -> None:
    transport, first, again = FLOODS[kind]
    port = harness.free_port()
    flood = Flood(port, first, again)
    flood.run()
    try:
        flooded = uri(transport, port, next(folders), client.folder)
        gate = make_gate({"well": daemon.uri("unix"), "flood": flooded})
        with victims.Victims(gate.socket, ["well"] * 2, range(1, 100)) as others:
            refused: list[str] = []

            def ask() -> None:
                try:
                    raw.connect(gate.socket, "flood").close()
                except raw.LibvirtError as error:
                    refused.append(str(error))

            def trouble() -> None:
                threads = [threading.Thread(target=ask) for _ in range(MANY)]
                for one in threads:
                    one.start()
                for one in threads:
                    one.join(2 * harness.PATIENCE)

            others.bear(f"a flood of {kind}", trouble, 4.0)
        assert len(refused) == MANY
        # Not its deadline, nor a thing that the flood was taken for.
        assert all(any(text in one for text in TEXTS) for one in refused), refused
        harness.wait_for("the end of the flood", lambda: flood.sent)
        assert max(flood.sent) <= MOST
    finally:
        flood.close()


# Of HTTP, where nobody logs in: what a question or an answer begins with, and what follows without end.
LINES, ONE_LINE = b"X-Flood: %060d\r\n" % 7, b"x" * 64
ANSWER = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "lines": (ANSWER, LINES),
    "one_line": (b"", ONE_LINE),
    "body": (ANSWER + b"Content-Type: application/sxp\r\n\r\n", ONE_LINE),
    "lists": (ANSWER + b"Content-Length: 262001\r\n\r\n(" + b"(x)" * 87333 + b")", ONE_LINE),
}
QUESTION = b"GET /metrics HTTP/1.1\r\n"
QUESTIONS = {
    "lines": (QUESTION, LINES),
    "one_line": (b"", ONE_LINE),
    "body": (QUESTION + b"Content-Length: 99999999999\r\n\r\n", ONE_LINE),
}
OF_VISITORS = 12 << 20  # the kernel keeps a few megabytes at either end


def told(address: harness.Address) -> bytes:
    """How the gate answers a question about the target behind a xend socket."""
    with harness.dial(address) as one:
        one.settimeout(harness.PATIENCE)
        one.sendall(b"GET /xend/node/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while more := one.recv(65536):
            answer += more
    return answer


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_flood_of_a_xend(daemon: harness.Daemon, make_gate: MakeGate, kind: str) -> None:
    port = harness.free_port()
    flood = Flood(port, *ANSWERS[kind])
    flood.run()
    try:
        targets = {"well": daemon.uri("unix"), "flood": f"http://127.0.0.1:{port}/"}
        flooded = harness.Listen("flood.sock", target="flood")
        gate = make_gate(targets, harness.Listen(), flooded)
        answers: list[bytes] = []

        def trouble() -> None:
            path = gate.path(flooded.name)
            threads = [
                threading.Thread(target=lambda: answers.append(told(path))) for _ in range(MANY)
            ]
            for one in threads:
                one.start()
            for one in threads:
                one.join(2 * harness.PATIENCE)

        with victims.Victims(gate.socket, ["well"] * 2, range(1, 100)) as others:
            others.bear(f"a xend that floods with {kind}", trouble, 4.0)
        assert len(answers) == MANY
        status = b"200 " if kind == "lists" else b"502 "
        assert all(one.startswith(b"HTTP/1.1 " + status) for one in answers), answers
        harness.wait_for("the end of the flood", lambda: flood.sent)
        assert max(flood.sent) <= MOST
    finally:
        flood.close()


class Pourers:
    """Visitors that say something without end to a socket of the gate."""

    def __init__(self, address: harness.Address, first: bytes, again: bytes) -> None:
        self.sent: list[int] = []
        self._address, self._first = address, first
        self._again = again * (65536 // len(again))
        self._threads = [threading.Thread(target=self._pour) for _ in range(MANY)]

    def run(self) -> None:
        for one in self._threads:
            one.start()
        for one in self._threads:
            one.join(2 * harness.PATIENCE)

    def _pour(self) -> None:
        sent = 0
        try:
            with harness.dial(self._address) as one:
                one.settimeout(harness.PATIENCE)
                one.sendall(self._first)
                while sent <= OF_VISITORS:
                    sent += one.send(self._again)
        except TimeoutError:
            sent = OF_VISITORS + 1
        except OSError:
            pass
        self.sent.append(sent)


@pytest.mark.parametrize("kind", QUESTIONS)
@pytest.mark.parametrize("place", ["port", "control", "xend"])
def test_a_flood_of_visitors(
    daemon: harness.Daemon, make_gate: MakeGate, place: str, kind: str
) -> None:
    targets = {"well": daemon.uri("unix"), "old": "http://127.0.0.1:1/"}
    port = harness.free_port()
    old = harness.Listen("old.sock", target="old")
    gate = make_gate(
        targets,
        harness.Listen(),
        old,
        sections={"metrics": {"listen": f"127.0.0.1:{port}"}},
    )
    addresses: dict[str, harness.Address] = {
        "port": ("127.0.0.1", port),
        "control": gate.control,
        "xend": gate.path(old.name),
    }
    pourers = Pourers(addresses[place], *QUESTIONS[kind])
    with victims.Victims(gate.socket, ["well"] * 2, range(1, 100)) as others:
        others.bear(f"visitors that flood the {place} with {kind}", pourers.run, 4.0)
    assert len(pourers.sent) == MANY
    assert max(pourers.sent) <= OF_VISITORS
