"""A client of the old Xen proxy, for both layouts: packets as libvirt 0.1 to 0.8.5 had them."""

import contextlib
import struct
from typing import NamedTuple

import harness

(
    NONE,
    VERSION,
    NODE_INFO,
    LIST,
    NUM_DOMAIN,
    LOOKUP_ID,
    LOOKUP_UUID,
    LOOKUP_NAME,
    MAX_MEMORY,
    DOMAIN_INFO,
    DOMAIN_XML,
    DOMAIN_OS_TYPE,
    CAPABILITIES,
) = range(13)
FAILED, TOO_LONG = -1, -2

HEADER = struct.Struct("=HHHH8s")
NAMES = ("@/tmp/livirt_proxy_conn", "@/tmp/libvirt_proxy_conn")

# Of a long; and of virNodeInfo and virDomainInfo, with their padding written out.
LONG = {"x86-64": "=q", "i386": "=i4x"}
NODE = {"x86-64": struct.Struct("=32sQ6I"), "i386": struct.Struct("=32sI6I")}
DOMAIN = {"x86-64": struct.Struct("=B7xQQH6xQ"), "i386": struct.Struct("=B3xIIH2xQ")}


def address_of(name: str) -> str:
    """What is connected to: for an abstract name, all 108 bytes, as those clients had it."""
    return "\0" + name[1:].ljust(107, "\0") if name.startswith("@") else name


def packet(
    command: int,
    number: bytes = bytes(8),
    extra: bytes = b"",
    *,
    version: int = 1,
    serial: int = 1,
    length: int | None = None,
) -> bytes:
    length = HEADER.size + len(extra) if length is None else length
    return HEADER.pack(version, command, serial, length, number) + extra


class Answer(NamedTuple):
    command: int
    serial: int
    number: bytes
    extra: bytes
    abi: str

    @property
    def arg(self) -> int:
        return int(struct.unpack_from("=i", self.number)[0])

    @property
    def larg(self) -> int:
        return int(struct.unpack(LONG[self.abi], self.number)[0])


class Domain(NamedTuple):
    state: int
    max_memory: int
    memory: int
    cpus: int
    time: int


class Client:
    def __init__(self, name: str, abi: str = "x86-64", patience: float = harness.PATIENCE) -> None:
        self.socket = harness.dial(address_of(name), patience)
        self.abi = abi
        self.serial = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError(f"the end after {len(data)} bytes")
            data += more
        return data

    def receive(self) -> Answer:
        """Raises EOFError at the end, and TimeoutError."""
        version, command, serial, length, number = HEADER.unpack(self._exactly(HEADER.size))
        assert version == 1
        assert HEADER.size <= length <= 4096
        return Answer(command, serial, number, self._exactly(length - HEADER.size), self.abi)

    def ended(self) -> bool:
        """The gate must say nothing more, and end the connection."""
        with contextlib.suppress(ConnectionResetError):
            assert self.socket.recv(1) == b""
        return True

    def ask(self, command: int, argument: int = 0, extra: bytes = b"") -> Answer:
        """Counts its serials as those clients did: from 1 to 4095, then 0."""
        self.serial = (self.serial + 1) % 4096
        self.send(packet(command, struct.pack("=ii", argument, 0), extra, serial=self.serial))
        answer = self.receive()
        assert (answer.command, answer.serial) == (command, self.serial)
        return answer

    def by_name(self, name: str) -> Answer:
        return self.ask(LOOKUP_NAME, extra=name.encode() + b"\0")

    def domain_info(self, number: int) -> Domain:
        return Domain(*DOMAIN[self.abi].unpack(self.ask(DOMAIN_INFO, number).extra))
