"""What a daemon's read-only socket says of every call, and what becomes of the same call at a gate.

The calls are well formed, one for each procedure of the three programs, and one more for each
single bit of each argument that consists of bits.
"""

import collections
import enum
import functools
import json
import socket
import struct
import subprocess
from typing import Iterable, Iterator, NamedTuple

import harness
import raw
import signatures
import writers

PROGRAMS = {"remote": raw.REMOTE, "qemu": raw.QEMU, "lxc": raw.LXC}
WIDTHS = {"flags": 32, "bits": 32, "flags64": 64}
AT_ONCE = 64  # calls under way on a connection: no more than the buffers of its socket hold

INVALID_ARGUMENT, RPC, ARGUMENT_UNSUPPORTED = 8, 39, 74

# AUTH_LIST, AUTH_SASL_INIT, AUTH_POLKIT, AUTH_SASL_START and AUTH_SASL_STEP.
AUTHENTICATION: dict[int, tuple[bytes, ...]] = {
    66: (),
    67: (),
    70: (),
    68: (raw.string("PLAIN"), raw.uint(1), raw.uint(0)),
    69: (raw.uint(1), raw.uint(0)),
}


class Procedure(NamedTuple):
    """A row of the gate's own table."""

    program: int
    number: int
    name: str
    verdict: str  # as `virtgate policy list` has it

    @property
    def takes_files(self) -> bool:
        many = writers.QEMU_WITH_FILES if self.program == raw.QEMU else writers.WITH_FILES
        return self.program != raw.LXC and self.number in many


class Question(NamedTuple):
    procedure: Procedure
    argument: str  # the one with the bit
    bit: int  # 0: none is set anywhere
    body: bytes

    def __str__(self) -> str:
        which = f" with {self.argument} {self.bit:#x}" if self.bit else ""
        return self.procedure.name + which


class Answer(NamedTuple):
    """Code 0 means that it went well, and -1 that the connection ended instead."""

    code: int
    text: str

    @property
    def undecodable(self) -> bool:
        return self.code == RPC and self.text == "Unable to decode message payload"

    @property
    def stance(self) -> "Stance":
        if self.code == raw.OPERATION_DENIED:
            return Stance.REFUSES
        if self.code == RPC and self.text.startswith("unknown procedure"):
            return Stance.UNKNOWN
        if self.code in (INVALID_ARGUMENT, ARGUMENT_UNSUPPORTED) or self.undecodable:
            return Stance.REJECTS
        return Stance.ALLOWS


class Stance(enum.Enum):
    """Of a daemon on a call that came by its read-only socket."""

    ALLOWS = enum.auto()  # it went on from there, whether or not its driver can do it
    REFUSES = enum.auto()  # because it may only be read from
    REJECTS = enum.auto()  # whoever calls: the arguments will not do
    UNKNOWN = enum.auto()  # no such procedure


@functools.cache
def table() -> list[Procedure]:
    command = [harness.GATE, "policy", "list", "--json"]
    rows = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return [
        Procedure(PROGRAMS[row["program"]], row["number"], row["name"], row["verdict"])
        for row in rows
    ]


def number_of(name: str, program: int = raw.REMOTE) -> int:
    (number,) = [one.number for one in table() if (one.name, one.program) == (name, program)]
    return number


def signature(one: Procedure) -> list[str]:
    if one.program == raw.QEMU:
        return writers.QEMU_SIGNATURES.get(one.number, [])
    if one.program == raw.LXC:
        return writers.LXC_SIGNATURES[one.number]
    return signatures.SIGNATURES.get(one.number) or writers.SIGNATURES.get(one.number, [])


def arguments(one: Procedure) -> tuple[bytes, ...]:
    if one.program == raw.REMOTE:
        found = AUTHENTICATION.get(one.number) or signatures.arguments(one.number)
        if found is not None:
            return found
    return tuple(writers.VALUES[kind] for kind in signature(one))


def questions(procedures: Iterable[Procedure]) -> Iterator[Question]:
    for one in procedures:
        parts = arguments(one)
        yield Question(one, "", 0, b"".join(parts))
        for at, kind in enumerate(signature(one)):
            for shift in range(WIDTHS.get(kind, 0)):
                bit = 1 << shift
                changed = struct.pack(">Q", bit)[-len(parts[at]) :]
                body = b"".join((*parts[:at], changed, *parts[at + 1 :]))
                yield Question(one, "flags" if kind == "flags64" else kind, bit, body)


def _post(client: raw.Client, one: Question, files: bool) -> int:
    number, program = one.procedure.number, one.procedure.program
    if not files or not one.procedure.takes_files:
        return client.post(number, one.body, program)
    client.serial += 1
    body = raw.uint(1) + one.body
    call = {"program": program, "kind": raw.CALL_WITH_FDS, "serial": client.serial}
    client.send(raw.frame(number, body, **call))
    with socket.socket() as passed:
        socket.send_fds(client.socket, [b"\0"], [passed.fileno()])
    return client.serial


class _Talk:
    """A batch on one connection, as far as it gets before that ends."""

    def __init__(self, client: raw.Client, some: list[Question], files: bool) -> None:
        self.found: dict[Question, Answer] = {}
        self.under_way: dict[int, Question] = {}
        self.waiting = collections.deque(some)
        try:
            while self.waiting or self.under_way:
                if self.waiting and len(self.under_way) < AT_ONCE:
                    one = self.waiting.popleft()
                    self.under_way[_post(client, one, files)] = one
                else:
                    self._take(client.receive())
        except ConnectionError:
            pass

    def _take(self, reply: raw.Frame) -> None:
        if reply.kind != raw.REPLY:
            return
        error = raw.error_of(reply) if reply.status else raw.LibvirtError(0, 0, "")
        self.found[self.under_way.pop(reply.serial)] = Answer(error.code, error.text)


def answers(
    address: harness.Address, name: str, some: list[Question], files: bool = False
) -> dict[Question, Answer]:
    """`files`: descriptors go with the calls that take such."""
    found: dict[Question, Answer] = {}
    batches = [some]
    while batches:
        batch = batches.pop()
        with raw.connect(address, name) as client:
            talk = _Talk(client, batch, files)
        found |= talk.found
        if len(batch) == 1:
            found.setdefault(batch[0], Answer(-1, "the connection ended"))
        elif talk.under_way:
            # One of these did it.
            batches += [[one] for one in talk.under_way.values()]
            batches += [list(talk.waiting)] if talk.waiting else []
    return found
