"""libvirt's RPC protocol, as bare as possible: for what virsh cannot or will not send."""

import collections
import contextlib
import socket
import struct
import time
from typing import Iterator, NamedTuple

import harness

REMOTE, QEMU, LXC, KEEPALIVE = 0x20008086, 0x20008087, 0x00068000, 0x6B656570
CALL, REPLY, MESSAGE, STREAM, CALL_WITH_FDS, REPLY_WITH_FDS, STREAM_HOLE = range(7)
OK, ERROR, CONTINUE = range(3)
PING, PONG = 1, 2

CONNECT_OPEN, CONNECT_CLOSE, CONNECT_GET_URI = 1, 2, 110
CONNECT_GET_LIB_VERSION, CONNECT_SUPPORTS_FEATURE, AUTH_LIST = 157, 60, 66
DOMAIN_DESTROY, DOMAIN_LOOKUP_BY_NAME, DOMAIN_SUSPEND, DOMAIN_RESUME = 12, 23, 34, 28
CONNECT_GET_ALL_DOMAIN_STATS, CONNECT_LIST_ALL_DOMAINS = 344, 273
CONNECT_DOMAIN_EVENT_REGISTER, CONNECT_DOMAIN_EVENT_DEREGISTER = 105, 106
CONNECT_DOMAIN_EVENT_REGISTER_ANY, CONNECT_DOMAIN_EVENT_DEREGISTER_ANY = 167, 168
CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY = 316
CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY = 317
DOMAIN_EVENT_LIFECYCLE, DOMAIN_EVENT_CALLBACK_LIFECYCLE = 107, 318
CONNECT_REGISTER_CLOSE_CALLBACK, CONNECT_EVENT_CONNECTION_CLOSED = 360, 362
FEATURE_KEEPALIVE = 10
OPERATION_DENIED = 29

HEADER = struct.Struct(">IIIiIII")


def uint(value: int) -> bytes:
    return struct.pack(">I", value & 0xFFFFFFFF)


def string(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return uint(len(data)) + data + b"\0" * (-len(data) % 4)


def optional(value: bytes | None) -> bytes:
    """An XDR pointer: `value` is what it points to, already encoded."""
    return uint(0) if value is None else uint(1) + value


def open_body(name: str | bytes | None, flags: int = 1) -> bytes:
    return optional(None if name is None else string(name)) + uint(flags)


def frame(
    procedure: int,
    body: bytes = b"",
    *,
    program: int = REMOTE,
    version: int = 1,
    kind: int = CALL,
    serial: int = 0,
    status: int = OK,
) -> bytes:
    length = HEADER.size + len(body)
    return HEADER.pack(length, program, version, procedure, kind, serial, status) + body


class Frame(NamedTuple):
    program: int
    version: int
    procedure: int
    kind: int
    serial: int
    status: int
    body: bytes


class LibvirtError(Exception):
    def __init__(self, code: int, domain: int, text: str) -> None:
        super().__init__(f"code {code}, domain {domain}: {text}")
        self.code, self.domain, self.text = code, domain, text


class Closed(ConnectionError):
    """The other side has ended the connection."""


def read_string(body: bytes, offset: int = 0) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">I", body, offset)
    start = offset + 4
    return body[start : start + length], start + length + (-length % 4)


def error_of(reply: Frame) -> LibvirtError:
    code, domain, present = struct.unpack_from(">iii", reply.body)
    text = read_string(reply.body, 12)[0].decode(errors="replace") if present else ""
    return LibvirtError(code, domain, text)


def frames_of(data: bytearray) -> Iterator[Frame]:
    """Takes the whole frames that `data` begins with out of it."""
    while len(data) >= 4:
        (length,) = struct.unpack_from(">I", data)
        if length < HEADER.size:
            raise Closed(f"a frame of {length} bytes")
        if len(data) < length:
            return
        fields = HEADER.unpack_from(data)
        yield Frame(*fields[1:], body=bytes(data[HEADER.size : length]))
        del data[:length]


class Client:
    """One connection. Messages that answer nothing are kept in `messages`."""

    def __init__(self, address: harness.Address, patience: float = harness.PATIENCE) -> None:
        self.socket = harness.dial(address, patience)
        self.patience = patience
        self.serial = 0
        self.pings = 0
        self.answer_pings = True
        self.messages: collections.deque[Frame] = collections.deque()
        self._data = bytearray()
        self._frames: collections.deque[Frame] = collections.deque()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, patience: float | None = None) -> Frame:
        """The next frame of any kind. Raises Closed at the end, and TimeoutError."""
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        while not self._frames:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("nothing came")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionError as error:
                raise Closed(str(error)) from error
            finally:
                with contextlib.suppress(OSError):
                    self.socket.settimeout(self.patience)
            if not data:
                raise Closed("end of stream")
            self._data += data
            self._frames.extend(frames_of(self._data))
        return self._frames.popleft()

    def _file(self, one: Frame) -> None:
        if one.program != KEEPALIVE:
            self.messages.append(one)
        elif one.procedure == PING:
            self.pings += 1
            if self.answer_pings:
                self.send(frame(PONG, program=KEEPALIVE, kind=MESSAGE))

    def listen(self, patience: float) -> None:
        """Files whatever comes within so many seconds. Raises Closed."""
        deadline = time.monotonic() + patience
        with contextlib.suppress(TimeoutError):
            while True:
                self._file(self.receive(max(0.0, deadline - time.monotonic())))

    def message(self, patience: float = harness.PATIENCE) -> Frame:
        """The next message that is no reply."""
        deadline = time.monotonic() + patience
        while not self.messages:
            self._file(self.receive(max(0.0, deadline - time.monotonic())))
        return self.messages.popleft()

    def post(self, procedure: int, body: bytes = b"", program: int = REMOTE) -> int:
        """Sends a call, and returns the serial that its reply will have."""
        self.serial += 1
        self.send(frame(procedure, body, program=program, serial=self.serial))
        return self.serial

    def reply(self, serial: int) -> Frame:
        while True:
            one = self.receive()
            if one.kind in (REPLY, REPLY_WITH_FDS) and one.serial == serial:
                return one
            self._file(one)

    def ask(self, procedure: int, body: bytes = b"", program: int = REMOTE) -> Frame:
        """The reply, good or bad."""
        return self.reply(self.post(procedure, body, program))

    def call(self, procedure: int, body: bytes = b"", program: int = REMOTE) -> bytes:
        """The result; raises LibvirtError."""
        reply = self.ask(procedure, body, program)
        if reply.status != OK:
            raise error_of(reply)
        return reply.body

    def open(self, name: str | bytes | None, flags: int = 1) -> "Client":
        self.call(AUTH_LIST)
        self.call(CONNECT_OPEN, open_body(name, flags))
        return self

    def version(self) -> int:
        return int.from_bytes(self.call(CONNECT_GET_LIB_VERSION), "big")

    def domain(self, name: str) -> bytes:
        """A domain as it is on the wire."""
        return self.call(DOMAIN_LOOKUP_BY_NAME, string(name))


def connect(address: harness.Address, name: str | bytes | None = "", flags: int = 1) -> Client:
    """A client with an open connection."""
    client = Client(address)
    try:
        return client.open(name, flags)
    except BaseException:
        client.close()
        raise
