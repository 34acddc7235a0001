"""Remotes that talk without end before anybody has logged in: they lose the connection soon, whatever
it is that they say, and clients of other targets are answered meanwhile."""

import pathlib
import socket
import struct
import threading
from typing import Callable, Iterator

import pytest

import busy
import certificates
import harness
import raw
import stand_in

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
        with busy.Crew(gate.socket, "well", 2) as crew:
            refused: list[str] = []

            def ask() -> None:
                try:
                    raw.connect(gate.socket, "flood").close()
                except raw.LibvirtError as error:
                    refused.append(str(error))

            threads = [threading.Thread(target=ask) for _ in range(MANY)]
            for one in threads:
                one.start()
            crew.progress(100)
            for one in threads:
                one.join(2 * harness.PATIENCE)
            crew.progress(20)
        assert len(refused) == MANY
        # Not its deadline, nor a thing that the flood was taken for.
        assert all(any(text in one for text in TEXTS) for one in refused), refused
        harness.wait_for("the end of the flood", lambda: flood.sent)
        assert max(flood.sent) <= MOST
    finally:
        flood.close()
