"""What clients could once do to a daemon by its readers' socket or by their arguments.

Each test is named after the CVE, sends what an attacker sends, and shows that it ends at the gate:
with a libvirt error, on a connection that goes on, and with nothing sent to the daemon. Left out is
what a daemon did wrong with calls that are in order.
"""

import struct
from typing import Callable, Iterable, NamedTuple

import pytest

import harness
import node
import oracle
import raw
import recorder
import signatures
from raw import optional, string, uint
from signatures import DOMAIN

ADMIN = 0x06900690
AUTH_FAILED = 45
REFUSALS = (raw.OPERATION_DENIED, oracle.RPC)
LEAST, MOST = -(1 << 31), (1 << 31) - 1

EVIL = "<domain type='qemu'><devices><emulator>/tmp/evil</emulator></devices></domain>"


class Call(NamedTuple):
    number: int
    body: bytes
    program: int = raw.REMOTE


def written(*numbers: int, program: int = raw.REMOTE) -> list[Call]:
    """Well-formed calls of procedures that write."""
    rows = (oracle.Procedure(program, number, "", "") for number in numbers)
    return [Call(one.number, b"".join(oracle.arguments(one)), program) for one in rows]


def read(number: int, **others: int) -> Call:
    """A call that would read, but for the integers at some places of its arguments: at0=-1."""
    parts = list(signatures.arguments(number) or ())
    for place, value in others.items():
        parts[int(place.removeprefix("at"))] = uint(value)
    return Call(number, b"".join(parts))


class Attacked:
    """A gate with something between it and its daemon that saw all that went through."""

    def __init__(self, gate: harness.Gate, between: recorder.Recorder) -> None:
        self.gate = gate
        self.between = between

    def ends(self, calls: Iterable[Call], codes: Iterable[int] = REFUSALS) -> None:
        calls = list(calls)
        assert calls
        with raw.connect(self.gate.socket, "machines") as client:
            self.between.forget()
            for one in calls:
                reply = client.ask(one.number, one.body, one.program)
                assert reply.status == raw.ERROR, one
                error = raw.error_of(reply)
                assert error.code in codes, (one, error)
                assert error.text, one
            assert client.version() > 0
        assert {one.procedure for one in self.between.said()} == {raw.CONNECT_GET_LIB_VERSION}


@pytest.fixture(scope="module")
def attacked(
    daemon: harness.Daemon,
    make_module_gate: Callable[..., harness.Gate],
    make_module_recorder: Callable[[harness.Daemon], recorder.Recorder],
) -> Attacked:
    between = make_module_recorder(daemon)
    path = daemon.file.with_name("attacked.xml")
    path.write_text(node.node_xml(domains=1))
    return Attacked(make_module_gate({"machines": between.uri(path)}), between)


def test_cve_2008_5086(attacked: Attacked) -> None:
    attacked.ends(written(61, 62, 63, 108, 109, 103, 104, 29, 48, 75, 90))


def test_cve_2011_1146(attacked: Attacked) -> None:
    native = string("qemu-argv") + string(EVIL) + uint(0)
    attacked.ends([Call(136, native), *written(118, 119, 120, 192, 193)])


def test_cve_2012_4423(attacked: Attacked) -> None:
    events = [one for one in oracle.table() if one.verdict == "event"]
    assert len(events) == 54
    attacked.ends(
        Call(one.number, body, one.program) for one in events for body in (b"", bytes(64))
    )


def test_cve_2013_0170(attacked: Attacked) -> None:
    """A message that fails while it is decoded, and then the end of the connection."""
    broken = [uint(9) + b"machine1", uint(0xFFFFFFFF), b"", string("machine1") + b"\0\0\0\0"]
    attacked.ends(Call(raw.DOMAIN_LOOKUP_BY_NAME, body) for body in broken)
    attacked.between.forget()
    for body in broken:
        with raw.connect(attacked.gate.socket, "machines") as client:
            client.send(raw.frame(raw.DOMAIN_LOOKUP_BY_NAME, body) * 20)
    with raw.connect(attacked.gate.socket, "machines") as client:
        assert client.version() > 0
    assert attacked.between.calls(raw.DOMAIN_LOOKUP_BY_NAME) == []


def test_cve_2013_4153(attacked: Attacked) -> None:
    attacked.ends([read(200, at1=8), read(200, at1=9)])


def test_cve_2013_4154(attacked: Attacked) -> None:
    agent = [read(200, at1=8), *written(261, 294, 335, 336)]
    attacked.ends(agent + written(3, program=raw.QEMU))


def test_cve_2013_4292(attacked: Attacked) -> None:
    """Counts of parameters that are far more than those that follow."""
    for count in (1 << 16, MOST, 0xFFFFFFFF):
        attacked.ends(Call(number, DOMAIN + uint(count)) for number in range(302, 308))
        attacked.ends(Call(number, uint(count) + bytes(64)) for number in (303, 304, 306))


def test_cve_2013_4296(attacked: Attacked) -> None:
    attacked.ends(read(159, at1=many) for many in (1025, 65536, MOST, LEAST, -1))


def test_cve_2013_4311(attacked: Attacked) -> None:
    """Who the client is was said by the kernel; nobody looks at its process."""
    attacked.ends([Call(70, b"")], [AUTH_FAILED])


def test_cve_2013_4401(attacked: Attacked) -> None:
    attacked.ends([Call(136, string("qemu-argv") + string(EVIL) + uint(0))])


def test_cve_2013_5651(attacked: Attacked) -> None:
    """A list of processors that no parser should see: of NUMA parameters, and of vcpus."""
    for text in ("1-,", "^", "0-4294967295", "1,,2", "a"):
        nodes = uint(1) + string("numa_nodeset") + uint(7) + string(text)
        vcpus = DOMAIN + string(text) + uint(1) + uint(0)
        attacked.ends([Call(254, DOMAIN + nodes + uint(0)), Call(384, vcpus), Call(372, vcpus)])


ENTITY = "<!DOCTYPE cpu [<!ENTITY x SYSTEM 'file:///dev/zero'>]><cpu>&x;</cpu>"


@pytest.mark.parametrize(
    "document",
    [
        ENTITY,
        "<?xml version='1.0'?>\n" + ENTITY,
        "<!DOCTYPE cpu SYSTEM 'http://example.com/x.dtd'><cpu/>",
        "<cpu/><!-- --><!DOCTYPE cpu []>",
        ENTITY.lower(),
        "<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE cpu+AD4-<cpu/>",
    ],
    ids=["entity", "declared", "external", "late", "lower", "utf7"],
)
def test_cve_2014_0179(attacked: Attacked, document: str) -> None:
    plain = string("<cpu/>")
    attacked.ends(
        [
            Call(158, string(document) + uint(0)),
            Call(162, uint(1) + string(document) + uint(0)),
            Call(162, uint(2) + plain + string(document) + uint(0)),
        ]
    )
    define = string(document)
    attacked.ends([Call(11, define), Call(41, define), Call(77, define + uint(0))])


def test_cve_2014_1447(attacked: Attacked) -> None:
    """Keepalive is between the client and the gate; its daemon never hears of it."""
    with raw.connect(attacked.gate.socket, "machines") as client:
        assert client.version() > 0
    attacked.between.forget()
    for _ in range(50):
        with raw.Client(attacked.gate.socket) as client:
            client.post(raw.CONNECT_SUPPORTS_FEATURE, uint(raw.FEATURE_KEEPALIVE))
    with raw.connect(attacked.gate.socket, "machines") as client:
        assert client.version() > 0
    assert attacked.between.calls(raw.CONNECT_SUPPORTS_FEATURE) == []


def test_cve_2014_7823(attacked: Attacked) -> None:
    attacked.ends(read(14, at1=flags) for flags in (8, 9, 10, 12, 15))


def test_cve_2014_8135(attacked: Attacked) -> None:
    volume = signatures.VALUES["volume"]
    edges = (0, 1, MOST, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    attacked.ends(
        Call(208, volume + struct.pack(">QQ", offset, length) + uint(0))
        for offset in edges
        for length in edges
    )


def test_cve_2014_8136(attacked: Attacked) -> None:
    attacked.ends(written(62, 216, 305, 63, 109, 217, 306, 218, 307))


def test_cve_2015_0236(attacked: Attacked) -> None:
    attacked.ends([read(186, at1=1), Call(235, string("/etc/passwd") + uint(1))])


def test_cve_2015_5247(attacked: Attacked) -> None:
    attacked.ends(written(93, 125))


def test_cve_2015_5313(attacked: Attacked) -> None:
    volume = "<volume><name>../../etc/evil</name><capacity>1</capacity></volume>"
    pool = signatures.POOL
    clone = string(volume) + signatures.VALUES["volume"] + uint(0)
    attacked.ends([Call(93, pool + string(volume) + uint(0)), Call(125, pool + clone)])


def test_cve_2016_10746(attacked: Attacked) -> None:
    attacked.ends(written(337))


def test_cve_2019_3840(attacked: Attacked) -> None:
    attacked.ends([read(353, at1=1)])


def test_cve_2019_3886(attacked: Attacked) -> None:
    attacked.ends(written(277, 337))


def test_cve_2019_10132(attacked: Attacked) -> None:
    attacked.ends(
        Call(number, body, ADMIN) for number in range(1, 21) for body in (b"", bytes(64))
    )


def test_cve_2019_10161(attacked: Attacked) -> None:
    attacked.ends(Call(235, string(path) + uint(0)) for path in ("/etc/shadow", "/dev/zero", ""))


def test_cve_2019_10166(attacked: Attacked) -> None:
    attacked.ends([Call(389, DOMAIN + optional(string(EVIL)) + uint(0))])


def test_cve_2019_10167(attacked: Attacked) -> None:
    none = optional(None)
    emulator = optional(string("/tmp/evil"))
    attacked.ends(Call(342, first + none * 3 + uint(0)) for first in (emulator, none))


def test_cve_2019_10168(attacked: Attacked) -> None:
    emulator = optional(string("/tmp/evil")) + optional(None) * 3
    cpu = string("<cpu><arch>x86_64</arch></cpu>")
    attacked.ends(
        [Call(393, emulator + cpu + uint(0)), Call(394, emulator + uint(1) + cpu + uint(0))]
    )


def test_cve_2019_20485(attacked: Attacked) -> None:
    agent = [read(200, at1=8), read(353, at1=1)]
    agent += written(277, 294, 335, 336, 337, 338, 349, 357, 371, 372, 418, 424, 425)
    attacked.ends(agent + written(3, program=raw.QEMU))


def test_cve_2020_10701(attacked: Attacked) -> None:
    attacked.ends(
        Call(420, DOMAIN + uint(seconds) + uint(0)) for seconds in (-2, -1, 0, 1, MOST)
    )


def test_cve_2020_25637(attacked: Attacked) -> None:
    attacked.ends([read(353, at1=1), read(353, at1=1, at2=1)])


def test_cve_2024_1441(attacked: Attacked) -> None:
    attacked.ends([read(127, at0=0), read(138, at0=0)])


# Where lengths are in the arguments.
LENGTHS = {
    20: (1, 2), 21: (0,), 36: (0,), 37: (0,), 38: (0,), 57: (1,), 72: (0,), 74: (0,), 92: (1,),
    101: (1,), 112: (1,), 117: (1,), 127: (0,), 138: (0,), 140: (0,), 179: (0,), 188: (1,),
    198: (1,), 206: (1,), 223: (1,), 227: (1,), 228: (0,), 230: (1, 2), 243: (2,), 247: (1,),
    253: (2,), 255: (1,), 257: (2,), 280: (1,), 289: (0,), 407: (1,),
}  # fmt: skip


@pytest.mark.parametrize("number", LENGTHS)
def test_cve_2024_2494(attacked: Attacked, number: int) -> None:
    attacked.ends(
        read(number, **{f"at{place}": value})
        for place in LENGTHS[number]
        for value in (-1, -2, -16384, LEAST, LEAST + 1, MOST)
    )


def test_cve_2024_8235(attacked: Attacked) -> None:
    attacked.ends([read(127, at0=0), read(138, at0=0)])


def test_cve_2025_12748(attacked: Attacked) -> None:
    nested = "<domain>" * 10000
    path = string("/x")
    attacked.ends(
        [
            Call(10, string(nested) + uint(0)),
            Call(11, string(nested)),
            Call(350, string(nested) + uint(0)),
            Call(54, path),
            Call(233, path + optional(string(nested)) + uint(0)),
            Call(236, path + string(nested) + uint(0)),
            Call(185, DOMAIN + string(nested) + uint(0)),
        ]
    )


@pytest.mark.parametrize(
    ("pages", "cells"),
    [(1023, 4198405), (1024, 4194304), (1, 0xFFFFFFFF), (2, 1 << 31), (1024, 2), (1, 1025)],
)
def test_cve_2026_18917(attacked: Attacked, pages: int, cells: int) -> None:
    """The number of counts that are wanted, in 32 bits, comes out small."""
    body = uint(pages) + uint(4) * pages + uint(0) + uint(cells) + uint(0)
    attacked.ends([Call(340, body)])


def test_cve_2026_61477(attacked: Attacked) -> None:
    network = "<network><name>x</name><dns><txt name='x' value='a&#10;b'/></dns></network>"
    xml = string(network)
    section = uint(1) + uint(11) + uint(-1)
    attacked.ends(
        [
            Call(40, xml),
            Call(41, xml),
            Call(432, xml + uint(0)),
            Call(437, xml + uint(0)),
            Call(291, signatures.NETWORK + section + xml + uint(0)),
            Call(39, signatures.NETWORK),
        ]
    )


@pytest.mark.parametrize("lines", [100, 700, 100000])
@pytest.mark.parametrize("blank", ["\n", "\r\n", " \n", "\t\r"], ids=["n", "rn", "space", "tab"])
def test_cve_2026_61478(attacked: Attacked, lines: int, blank: str) -> None:
    for document in (f"<cpu>{blank * lines}<", blank * lines + "<cpu", f"<cpu>{blank * lines}"):
        xml = string(document)
        attacked.ends([Call(158, xml + uint(0)), Call(162, uint(1) + xml + uint(0))])
