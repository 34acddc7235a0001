"""A daemon whose machines get stuck when they are told to.

It speaks libvirt's RPC as far as a gate and its clients need it here, with as many workers as
libvirtd has and as many requests of one connection at a time, so that what hangs takes a worker and
a place. It is a process of its own, to leave the time of those who measure alone.
"""

import asyncio
import collections
import contextlib
import json
import signal
import struct
import subprocess
import sys
import uuid
from typing import Any, Iterator

import harness
import raw

WORKERS = 20  # of libvirtd, for all connections
REQUESTS = 5  # of one connection; then libvirtd stops reading it
MACHINES = 200

GET_XML_DESC, GET_INFO, GET_OS_TYPE, GET_STATE, GET_AUTOSTART = 14, 16, 19, 212, 17
NETWORK_IS_ACTIVE, POOL_GET_INFO, VOLUME_GET_INFO = 152, 87, 98
STATISTICS = raw.CONNECT_GET_ALL_DOMAIN_STATS
LISTS = raw.CONNECT_LIST_ALL_DOMAINS
ABOUT_MACHINES = (GET_XML_DESC, GET_INFO, GET_OS_TYPE, GET_STATE, GET_AUTOSTART)
NAMED = (*ABOUT_MACHINES, raw.DOMAIN_LOOKUP_BY_NAME, NETWORK_IS_ACTIVE, POOL_GET_INFO)
TYPED_PARAM_INT = 1
NO_SUPPORT, FROM_RPC, LEVEL_ERROR = 3, 7, 2


def hyper(value: int) -> bytes:
    return struct.pack(">Q", value)


def machine(number: int) -> bytes:
    """A domain as it is on the wire."""
    unique = uuid.UUID(f"00000000-0000-4000-8000-{number:012d}").bytes
    return raw.string(f"machine{number}") + unique + raw.uint(number)


def group(name: str) -> bytes:
    """A network or a storage pool."""
    return raw.string(name) + uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes


def volume(name: str) -> bytes:
    return raw.string("shelf") + raw.string(name) + raw.string(f"/shelf/{name}")


def subject(procedure: int, body: bytes) -> str:
    """The name of the object that a call is about, or its procedure."""
    if procedure in NAMED:
        return raw.read_string(body)[0].decode()
    if procedure == VOLUME_GET_INFO:
        return raw.read_string(body, len(raw.string("shelf")))[0].decode()
    if procedure == STATISTICS and body[:4] == raw.uint(1):
        return raw.read_string(body, 4)[0].decode()
    return str(procedure)


def error(text: str) -> bytes:
    nothing = raw.optional(None)
    words = raw.uint(NO_SUPPORT) + raw.uint(FROM_RPC) + raw.optional(raw.string(text))
    return words + raw.uint(LEVEL_ERROR) + 4 * nothing + 2 * raw.uint(0) + nothing


def statistics(number: int) -> bytes:
    state = raw.string("state.state") + raw.uint(TYPED_PARAM_INT) + raw.uint(1)
    return machine(number) + raw.uint(1) + state


def answer(procedure: int, body: bytes) -> bytes | None:
    """None: it knows no such call."""
    if procedure in (raw.CONNECT_OPEN, raw.CONNECT_CLOSE):
        return b""
    if procedure == raw.AUTH_LIST:
        return raw.uint(1) + raw.uint(0)
    if procedure == raw.CONNECT_SUPPORTS_FEATURE:
        return raw.uint(int(body == raw.uint(raw.FEATURE_KEEPALIVE)))
    if procedure == raw.CONNECT_GET_LIB_VERSION:
        return hyper(9000000)
    every = range(1, MACHINES + 1)
    if procedure == LISTS:
        return raw.uint(MACHINES) + b"".join(map(machine, every)) + raw.uint(MACHINES)
    if procedure == STATISTICS:
        return raw.uint(MACHINES) + b"".join(map(statistics, every))
    if procedure == raw.DOMAIN_LOOKUP_BY_NAME:
        return machine(int(subject(procedure, body).removeprefix("machine")))
    about: dict[int, bytes] = {
        GET_INFO: raw.uint(1) + hyper(1 << 20) + hyper(1 << 20) + raw.uint(2) + hyper(1),
        GET_STATE: raw.uint(1) + raw.uint(1),
        GET_AUTOSTART: raw.uint(0),
        NETWORK_IS_ACTIVE: raw.uint(1),
        POOL_GET_INFO: raw.uint(2) + 3 * hyper(1 << 30),
        VOLUME_GET_INFO: raw.uint(0) + 2 * hyper(1 << 30),
        GET_OS_TYPE: raw.string("hvm"),
        GET_XML_DESC: raw.string("<domain/>"),
    }
    return about.get(procedure)


class Connection(asyncio.Protocol):
    """Of a gate, or of whoever else comes."""

    def __init__(self, daemon: "Libvirtd") -> None:
        self.daemon = daemon
        self.taken = 0  # requests that are not answered
        self.transport: Any = None
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.daemon.count("connections")

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._read()

    def _read(self) -> None:
        while self.taken < REQUESTS and len(self._data) >= raw.HEADER.size:
            length, *fields = raw.HEADER.unpack_from(self._data)
            if len(self._data) < length:
                break
            one = raw.Frame(*fields, body=bytes(self._data[raw.HEADER.size : length]))
            del self._data[:length]
            if one.program == raw.KEEPALIVE:
                self._pong(one)
                continue
            self.taken += 1
            self.daemon.take(self, one)
        if self.taken >= REQUESTS:
            self.transport.pause_reading()

    def _pong(self, ping: raw.Frame) -> None:
        if ping.procedure == raw.PING:
            self._write(raw.frame(raw.PONG, program=raw.KEEPALIVE, kind=raw.MESSAGE))

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def reply(self, call: raw.Frame) -> None:
        long = self.daemon.description if call.procedure == GET_XML_DESC else None
        body = long or answer(call.procedure, call.body)
        status = raw.ERROR if body is None else raw.OK
        body = error(f"no procedure {call.procedure} here") if body is None else body
        head = {"program": call.program, "kind": raw.REPLY, "serial": call.serial}
        self._write(raw.frame(call.procedure, body, status=status, **head))
        if call.procedure == raw.CONNECT_CLOSE:
            self.transport.close()
        self.taken -= 1
        if not self.transport.is_closing():
            self.transport.resume_reading()
        self._read()


class Libvirtd:
    """One daemon: its workers, and what it is told to hang at."""

    def __init__(self) -> None:
        self.hung: set[str] = set()
        self.slow: dict[str, float] = {}  # seconds of a worker; "*": of whatever is not named
        self.description: bytes | None = None  # of each machine, in place of a short one
        self._lying: collections.Counter[str] = collections.Counter()
        self._most: collections.Counter[str] = collections.Counter()
        self._counts: collections.Counter[str] = collections.Counter()
        self._waiting: collections.deque[tuple[Connection, raw.Frame, str]] = collections.deque()
        self._held: list[tuple[Connection, raw.Frame, str]] = []
        self._busy = 0

    def count(self, what: str) -> None:
        self._counts[what] += 1

    def take(self, connection: Connection, call: raw.Frame) -> None:
        about = subject(call.procedure, call.body)
        self.count("calls")
        self._lying[about] += 1
        self._most[about] = max(self._most[about], self._lying[about])
        together = sum(self._lying[one] for one in self.hung)
        self._most["hung"] = max(self._most["hung"], together)
        self._waiting.append((connection, call, about))
        self._work()

    def _work(self) -> None:
        while self._waiting and self._busy < WORKERS:
            job = self._waiting.popleft()
            self._busy += 1
            delay = self.slow.get(job[2], self.slow.get("*", 0.0))
            if job[2] in self.hung:
                self._held.append(job)
            elif delay > 0:
                asyncio.get_running_loop().call_later(delay, self._finish, job)
            else:
                self._finish(job)

    def _finish(self, job: tuple[Connection, raw.Frame, str]) -> None:
        connection, call, about = job
        self._busy -= 1
        self._lying[about] -= 1
        self.count("answers")
        connection.reply(call)
        self._work()

    def hang(self, *subjects: str) -> None:
        self.hung = set(subjects)
        self._most.clear()
        held, self._held = self._held, []
        for job in held:
            if job[2] in self.hung:
                self._held.append(job)
            else:
                self._finish(job)

    def report(self) -> dict[str, Any]:
        lying = {name: number for name, number in self._lying.items() if number}
        return {**self._counts, "lying": lying, "most": dict(self._most), "busy": self._busy}


async def serve(paths: list[str]) -> None:
    """A daemon at each path. A line of JSON asks them all something, and a line answers."""
    loop = asyncio.get_running_loop()
    daemons = []
    for path in paths:
        daemons.append(Libvirtd())
        await loop.create_unix_server(lambda one=daemons[-1]: Connection(one), path, backlog=4096)
    print("[]", flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        order = json.loads(line)
        for daemon in daemons:
            daemon.slow.update(order.get("slow", {}))
            if "describe" in order:
                daemon.description = raw.string("x" * order["describe"])
            if "hang" in order:
                daemon.hang(*order["hang"])
        print(json.dumps([daemon.report() for daemon in daemons]), flush=True)


class StuckDaemon:
    """From outside. With several paths it is as many daemons, which are told the same."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.process = subprocess.Popen(
            [sys.executable, __file__, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def _line(self) -> list[dict[str, Any]]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise harness.Failure("the daemon that gets stuck has ended")
        found = json.loads(line)
        assert isinstance(found, list)
        return found

    def _tell(self, **order: Any) -> list[dict[str, Any]]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._line()

    def uri(self, number: int = 0) -> str:
        return f"test+unix:///default?socket={self.paths[number]}"

    def hang(self, *subjects: str) -> None:
        """At calls about these and no others: names of machines, or numbers of procedures."""
        self._tell(hang=subjects)

    def slow(self, **seconds: float) -> None:
        """How long a worker has to do with a call about each; `every` means whatever else."""
        self._tell(slow={"*" if name == "every" else name: s for name, s in seconds.items()})

    def describe(self, size: int) -> None:
        """How many bytes the description of each machine has."""
        self._tell(describe=size)

    def report(self, number: int = 0) -> dict[str, Any]:
        """`lying`: calls that have come and are not answered, by subject; `most`: at once."""
        return self._tell()[number]

    def most(self, subject_or_all: str = "hung") -> int:
        return int(self.report()["most"].get(subject_or_all, 0))

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.thaw()
        self.process.stdin.close()
        self.process.wait(harness.PATIENCE)
        self.process.stdout.close()


@contextlib.contextmanager
def running(*paths: str) -> Iterator[StuckDaemon]:
    one = StuckDaemon(*paths)
    try:
        yield one
    finally:
        one.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
