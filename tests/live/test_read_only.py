"""What a daemon refuses to its readers, the gate refuses to everybody, and sends nothing on."""

import subprocess
from typing import Callable, NamedTuple

import pytest

import harness
import raw
import recorder
import signatures

NUMBERS = {raw.REMOTE: range(1, 461), raw.QEMU: range(1, 11), raw.LXC: range(1, 6)}
LENGTHS = (0, 4, 8, 16, 32, 64, 256, 1024)
# A second open, even one that fails, and a close take a daemon's connection away.
UNASKED = (raw.CONNECT_OPEN, raw.CONNECT_CLOSE)

# Of this hop: the gate answers them itself, or has callback ids of its own.
LOCAL = {1, 2, 60, 66, 67, 68, 69, 70, 105, 106, 167, 168, 313, 314, 316, 317, 360, 361}
LOCAL |= {368, 369, 374, 375, 380, 381, 419}
# The test driver takes these from the clock: DOMAIN_GET_INFO, DOMAIN_GET_VCPUS, DOMAIN_BLOCK_STATS,
# DOMAIN_INTERFACE_STATS, DOMAIN_BLOCK_STATS_FLAGS.
VOLATILE = {16, 20, 64, 65, 243}
# NODE_DEVICE_GET_AUTOSTART, which libvirt 9.0.0 refuses though it reads; later ones do not.
REFUSED_BY_MISTAKE = {433}


class Question(NamedTuple):
    program: int
    number: int
    body: bytes

    def __str__(self) -> str:
        return f"{self.program:#x}/{self.number} with {len(self.body)} bytes"


class Answer(NamedTuple):
    """Code 0 means that it went well, and -1 that the connection ended instead."""

    code: int
    text: str
    body: bytes


def arguments_of(program: int, number: int) -> bytes | None:
    """Well-formed ones, if the procedure can be read with."""
    return signatures.well_formed(number) if program == raw.REMOTE else None


def questions() -> list[Question]:
    found = []
    for program, numbers in NUMBERS.items():
        for number in numbers:
            if program == raw.REMOTE and number in UNASKED:
                continue
            bodies = [bytes(length) for length in LENGTHS]
            good = arguments_of(program, number)
            if good is not None:
                bodies.append(good)
            found += [Question(program, number, body) for body in bodies]
    return found


def answers(address: harness.Address, name: str) -> dict[Question, Answer]:
    found: dict[Question, Answer] = {}
    client = raw.connect(address, name)
    try:
        for question in questions():
            try:
                reply = client.ask(question.number, question.body, question.program)
            except ConnectionError as end:
                found[question] = Answer(-1, str(end), b"")
                client.close()
                client = raw.connect(address, name)
                continue
            if reply.status == raw.OK:
                found[question] = Answer(0, "", reply.body)
            else:
                error = raw.error_of(reply)
                found[question] = Answer(error.code, error.text, b"")
    finally:
        client.close()
    return found


class Both(NamedTuple):
    daemon: dict[Question, Answer]
    gate: dict[Question, Answer]
    forwarded: list[raw.Frame]


@pytest.fixture(scope="module")
def both(
    daemon: harness.Daemon,
    make_module_gate: Callable[..., harness.Gate],
    make_module_recorder: Callable[[harness.Daemon], recorder.Recorder],
) -> Both:
    between = make_module_recorder(daemon)
    gate = make_module_gate({"machines": between.uri(daemon.file)})
    through = answers(gate.socket, "machines")
    return Both(answers(daemon.read_only, daemon.name), through, between.said())


def test_the_daemon_refuses_most_of_what_writes(both: Both) -> None:
    refused = {
        (q.program, q.number) for q, a in both.daemon.items() if a.code == raw.OPERATION_DENIED
    }
    assert len(refused) >= 190


def test_the_gate_refuses_what_the_daemon_refuses(both: Both) -> None:
    wrong = [
        f"{question}: {both.gate[question]}"
        for question, answer in both.daemon.items()
        if answer.code == raw.OPERATION_DENIED and both.gate[question].code in (0, -1)
    ]
    assert wrong == []


def test_a_refusal_is_code_29_and_says_why(both: Both) -> None:
    """Of what is refused whatever its arguments are, the procedure alone decides."""
    always = {
        (q.program, q.number)
        for q, a in both.daemon.items()
        if a.code == raw.OPERATION_DENIED and arguments_of(q.program, q.number) is None
    }
    wrong = [
        f"{question}: {answer}"
        for question, answer in both.gate.items()
        if (question.program, question.number) in always
        and (answer.code != raw.OPERATION_DENIED or not answer.text)
    ]
    assert wrong == []


def test_nothing_that_the_daemon_refuses_is_sent_on(both: Both) -> None:
    refused = {
        (question.program, question.number, question.body)
        for question, answer in both.daemon.items()
        if answer.code == raw.OPERATION_DENIED and question.number not in REFUSED_BY_MISTAKE
    }
    sent = {(one.program, one.procedure, one.body) for one in both.forwarded}
    assert sorted(sent & refused) == []
    programs = {one.program for one in both.forwarded}
    assert programs <= {raw.REMOTE, raw.KEEPALIVE}
    written = [
        one.procedure
        for one in both.forwarded
        if one.program == raw.REMOTE and signatures.well_formed(one.procedure) is None
    ]
    assert set(written) <= {raw.AUTH_LIST}


def test_every_frame_upstream_is_a_call_of_a_reader(both: Both) -> None:
    odd = [
        one
        for one in both.forwarded
        if one.program == raw.REMOTE and (one.kind, one.status) != (raw.CALL, raw.OK)
    ]
    assert odd == []
    assert not any(one.procedure == 419 for one in both.forwarded)


def test_what_reads_is_answered_as_by_the_daemon(both: Both) -> None:
    wrong = []
    compared = 0
    for question, direct in both.daemon.items():
        good = arguments_of(question.program, question.number)
        if good is None or question.body != good or question.number in LOCAL:
            continue
        through = both.gate[question]
        compared += 1
        if through.code != direct.code or (
            through.body != direct.body and question.number not in VOLATILE
        ):
            wrong.append(f"{question}: {direct} became {through}")
    assert wrong == []
    assert compared >= 150


def test_an_unknown_number_is_an_error(both: Both) -> None:
    wrong = [
        str(question)
        for question, answer in both.daemon.items()
        if answer.code == 39 and "unknown procedure" in answer.text and both.gate[question].code < 1
    ]
    assert wrong == []


# Arguments that are out of bounds, or not well formed: a daemon may crash on them, so they are for
# the gate alone.
HOSTILE = {
    "free_pages_none": (340, raw.uint(0) + raw.uint(0) + raw.uint(0) + raw.uint(0)),
    "vcpus_product": (20, signatures.DOMAIN + raw.uint(16384) + raw.uint(0x7FFFFFFF)),
    "defined_huge": (21, raw.uint(0x7FFFFFFF)),
    "inner_nul": (23, raw.string(b"machine1\0x")),
    "left_over": (23, raw.string("machine1") + b"\0\0\0\0"),
    "short": (23, raw.uint(9) + b"machine1"),
    "long_name": (23, raw.string(b"m" * 100000)),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_arguments_stay_here(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: Callable[..., harness.Gate],
    connect: Callable[..., raw.Client],
    case: str,
) -> None:
    number, body = HOSTILE[case]
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(daemon.file)})
    client = connect(gate.socket, "machines")
    reply = client.ask(number, body)
    assert reply.status == raw.ERROR
    assert between.calls(number) == []
    assert client.version() > 0


def test_padding_does_not_go_through(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: Callable[..., harness.Gate],
    connect: Callable[..., raw.Client],
) -> None:
    """What is sent on is what was judged, encoded anew."""
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(daemon.file)})
    client = connect(gate.socket, "machines")
    reply = client.ask(23, raw.uint(9) + b"machine10" + b"\xde\xad\xbe")
    assert all(one.body == raw.string("machine10") for one in between.calls(23))
    assert reply.status == raw.ERROR or len(between.calls(23)) == 1


def test_virsh_prints_the_refusal_and_goes_on(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate]
) -> None:
    """A read-write virsh is not told by its own library, only by the gate."""
    gate = make_gate({"machines": daemon.uri("unix")})
    script = "domstate machine1; destroy machine1; domstate machine1"
    done = subprocess.run(
        ["virsh", "-q", "-c", gate.uri(daemon.file), script],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    assert done.stdout.split() == ["running", "running"]
    assert "error: Failed to destroy domain 'machine1'" in done.stderr
    reason = done.stderr.partition("'machine1'")[2].lower()
    assert "forbidden" in reason
    assert "destroy" in reason

