"""The gate's verdict on every call and every bit, held against a real daemon's read-only socket.

Where the two differ, oracle_exceptions.tsv says so and why. What is there must be true, and what is
true must be there: `gate` is what the gate does with calls that have one of the `bits` (or none),
while a daemon does the opposite; `until` the last daemon that does, if later ones agree.
"""

import csv
import pathlib
from typing import Callable, NamedTuple

import pytest

import harness
import node
import oracle
import raw
import recorder
from oracle import Answer, Question, Stance

BY_THE_GATE = "answered by the gate"
UNASKED = (raw.CONNECT_OPEN, raw.CONNECT_CLOSE)  # they begin and end a connection
REFUSALS = ("read only access prevents", "with secure flag")


# What is sent on for a call with the lowest bit of its flags alone, which are the last argument.
AMENDED = {
    "DOMAIN_GET_XML_DESC": 0,
    "DOMAIN_SNAPSHOT_GET_XML_DESC": 0,
    "DOMAIN_MANAGED_SAVE_GET_XML_DESC": 0,
    "DOMAIN_CHECKPOINT_GET_XML_DESC": 0,
    "DOMAIN_GET_JOB_STATS": 3,
}


def is_amended(one: Question) -> bool:
    return one.procedure.name in AMENDED and one.argument == "flags" and one.bit == 1


class Difference(NamedTuple):
    procedure: str
    bits: str  # "none", "any", or the argument and a mask
    gate: str
    until: str
    reason: str

    def __str__(self) -> str:
        return f"{self.procedure} {self.bits}"

    def covers(self, one: Question) -> bool:
        if one.procedure.name != self.procedure:
            return False
        if self.bits in ("none", "any"):
            return self.bits == "any" or one.bit == 0
        argument, mask = self.bits.split()
        return one.argument == argument and bool(one.bit & int(mask, 16))

    def outlived_by(self, version: int) -> bool:
        """`version` as libvirt has it: a million for the first number, a thousand for the next."""
        if not self.until:
            return False
        major, minor, micro = map(int, self.until.split("."))
        return version > major * 1000000 + minor * 1000 + micro


def differences() -> list[Difference]:
    path = pathlib.Path(__file__).with_name("oracle_exceptions.tsv")
    with path.open(encoding="ascii", newline="") as lines:
        return [Difference(**row) for row in csv.DictReader(lines, delimiter="\t")]


@pytest.fixture(scope="module")
def node_file(daemon: harness.Daemon) -> pathlib.Path:
    """One machine is enough, and each connection to it is made in a moment."""
    path = daemon.file.with_name("oracle.xml")
    path.write_text(node.node_xml(domains=1))
    return path


class Truth(NamedTuple):
    version: int  # of the daemon
    daemon: dict[Question, Answer]
    gate: dict[Question, Answer]
    passed: set[tuple[int, int, bytes]]

    def passes(self, one: Question) -> bool:
        return (one.procedure.program, one.procedure.number, one.body) in self.passed

    def difference(self, one: Question) -> str | None:
        """What the gate does while the daemon does the opposite."""
        stance = self.daemon[one].stance
        if self.passes(one):
            return "passes" if stance is Stance.REFUSES else None
        if is_amended(one):
            return None
        by_the_gate = one.procedure.verdict == BY_THE_GATE
        return "refuses" if stance is Stance.ALLOWS and not by_the_gate else None


@pytest.fixture(scope="module")
def truth(
    daemon: harness.Daemon,
    node_file: pathlib.Path,
    make_module_gate: Callable[..., harness.Gate],
    make_module_recorder: Callable[[harness.Daemon], recorder.Recorder],
) -> Truth:
    procedures = [
        one for one in oracle.table() if one.program != raw.REMOTE or one.number not in UNASKED
    ]
    asked = list(oracle.questions(procedures))
    name = f"test://{node_file}"
    with raw.connect(daemon.read_only, name) as client:
        version = client.version()
    direct = oracle.answers(daemon.read_only, name, asked, files=True)
    between = make_module_recorder(daemon)
    gate = make_module_gate({"machines": between.uri(node_file)})
    through = oracle.answers(gate.socket, "machines", asked)
    passed = {(one.program, one.procedure, one.body) for one in between.said()}
    return Truth(version, direct, through, passed)


def test_every_procedure_and_every_bit_is_asked(truth: Truth) -> None:
    procedures = {(one.procedure.program, one.procedure.number) for one in truth.daemon}
    assert {number for program, number in procedures if program == raw.REMOTE} == {
        number for number in range(1, 454) if number not in UNASKED
    }
    assert len(procedures) == 451 + 7 + 1
    assert len(truth.daemon) > 9000
    assert sum(answer.stance is Stance.REFUSES for answer in truth.daemon.values()) > 5000


def test_the_daemon_refuses_for_one_reason_only(truth: Truth) -> None:
    odd = [
        f"{one}: {answer}"
        for one, answer in truth.daemon.items()
        if answer.stance is Stance.REFUSES and not any(why in answer.text for why in REFUSALS)
    ]
    assert odd == []


def test_what_the_gate_always_refuses_is_well_formed(truth: Truth) -> None:
    """Else the daemon's answer would say nothing of reading."""
    wrong = [
        f"{one}: {answer}"
        for one, answer in truth.daemon.items()
        if one.bit == 0
        and one.procedure.verdict != BY_THE_GATE
        and not truth.passes(one)
        and answer.stance is Stance.REJECTS
    ]
    assert wrong == []
    assert [str(one) for one, answer in truth.daemon.items() if answer.code == -1] == []


def test_the_arguments_are_as_long_as_the_daemon_has_them(
    truth: Truth, daemon: harness.Daemon, node_file: pathlib.Path
) -> None:
    """It ignores what is too much, and so only less can tell."""
    known = {
        one
        for one, answer in truth.daemon.items()
        if one.bit == 0 and one.body and answer.stance is not Stance.UNKNOWN
    }
    assert len(known) > 350
    short = [one._replace(body=one.body[:-4]) for one in known]
    cut = oracle.answers(daemon.read_only, f"test://{node_file}", short)
    assert [str(one) for one, answer in cut.items() if not answer.undecodable] == []
    assert [str(one) for one in known if truth.daemon[one].undecodable] == []


def test_nothing_passes_that_the_daemon_refuses(truth: Truth) -> None:
    known = [one for one in differences() if one.gate == "passes"]
    wrong = [
        f"{one}: {truth.daemon[one]}"
        for one in truth.daemon
        if truth.difference(one) == "passes" and not any(each.covers(one) for each in known)
    ]
    assert wrong == []


def test_what_the_gate_refuses_besides_is_known(truth: Truth) -> None:
    known = [one for one in differences() if one.gate == "refuses"]
    wrong = [
        f"{one}: {truth.daemon[one]} but {truth.gate[one]}"
        for one in truth.daemon
        if truth.difference(one) == "refuses" and not any(each.covers(one) for each in known)
    ]
    assert wrong == []


@pytest.mark.parametrize("known", differences(), ids=str)
def test_a_known_difference_is_one(truth: Truth, known: Difference) -> None:
    assert known.reason
    covered = [one for one in truth.daemon if known.covers(one)]
    assert covered
    if known.outlived_by(truth.version):
        return
    if truth.daemon[covered[0]].stance is Stance.UNKNOWN:
        assert not any(truth.passes(one) for one in covered)
        return
    assert [str(one) for one in covered if truth.difference(one) != known.gate] == []


def test_what_does_not_pass_is_an_error_or_answered_by_the_gate(truth: Truth) -> None:
    wrong = [
        f"{one}: {answer}"
        for one, answer in truth.gate.items()
        if one.procedure.verdict != BY_THE_GATE
        and not truth.passes(one)
        and not is_amended(one)
        and answer.code < 1
    ]
    assert wrong == []


@pytest.mark.parametrize("name", AMENDED)
def test_what_has_a_twin_that_reads_is_sent_on_as_that(truth: Truth, name: str) -> None:
    (one,) = [each for each in truth.gate if is_amended(each) and each.procedure.name == name]
    twin = one._replace(body=one.body[:-4] + raw.uint(AMENDED[name]))
    assert truth.passes(twin) and not truth.passes(one)
    assert truth.gate[one].stance is Stance.ALLOWS


def test_what_the_gate_answers_is_never_refused_to_readers(truth: Truth) -> None:
    """Of this hop are the calls that make a connection, and those for events."""
    ours = [one for one in truth.daemon if one.procedure.verdict == BY_THE_GATE]
    assert len({one.procedure for one in ours}) == 22
    for one in ours:
        assert truth.gate[one].code != raw.OPERATION_DENIED, one
        # AUTH_POLKIT of a daemon without it brings whatever error its thread had last.
        if one.procedure.number not in oracle.AUTHENTICATION:
            assert truth.daemon[one].stance is Stance.ALLOWS, one


def test_an_open_is_to_read_whatever_its_flags_say(
    daemon: harness.Daemon,
    node_file: pathlib.Path,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: Callable[..., harness.Gate],
) -> None:
    """A daemon takes any flags, and lets a client write when the lowest is not among them."""
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(node_file)})
    every = [0, *(1 << shift for shift in range(32))]
    for flags in every:
        raw.connect(daemon.read_only, f"test://{node_file}", flags).close()
        raw.connect(gate.socket, "machines", flags).close()
        between.cut()
    opens = [one.body for one in between.calls(raw.CONNECT_OPEN)]
    assert len(opens) >= len(every)
    assert set(opens) == {raw.open_body(f"test://{node_file}", 1)}


def test_no_number_beyond_the_table_passes(
    daemon: harness.Daemon,
    node_file: pathlib.Path,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: Callable[..., harness.Gate],
) -> None:
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(node_file)})
    beyond = {raw.REMOTE: range(454, 600), raw.QEMU: range(8, 50), raw.LXC: range(2, 50)}
    asked = [
        Question(oracle.Procedure(program, number, f"{program:#x}/{number}", ""), "", 0, bytes(64))
        for program, numbers in beyond.items()
        for number in (0, -1, *numbers)
    ]
    before = len(between.said())
    through = oracle.answers(gate.socket, "machines", asked)
    assert {answer.stance for answer in through.values()} == {Stance.UNKNOWN}
    sent = {one.procedure for one in between.said()[before:]}
    assert sent <= {raw.AUTH_LIST, raw.CONNECT_SUPPORTS_FEATURE, raw.CONNECT_OPEN}
