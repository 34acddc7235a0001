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

MIGRATIONS_WITH_PARAMETERS = (
    "DOMAIN_MIGRATE_BEGIN3_PARAMS",
    "DOMAIN_MIGRATE_PREPARE3_PARAMS",
    "DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS",
    "DOMAIN_MIGRATE_PERFORM3_PARAMS",
    "DOMAIN_MIGRATE_FINISH3_PARAMS",
    "DOMAIN_MIGRATE_CONFIRM3_PARAMS",
)


class Call(NamedTuple):
    procedure: str | int  # its name, or the number of one that has none
    body: bytes
    program: int = raw.REMOTE

    @property
    def number(self) -> int:
        if isinstance(self.procedure, int):
            return self.procedure
        return oracle.number_of(self.procedure, self.program)


def written(*names: str, program: int = raw.REMOTE) -> list[Call]:
    """Well-formed calls of procedures that write."""
    rows = (oracle.Procedure(program, oracle.number_of(name, program), name, "") for name in names)
    return [Call(one.name, b"".join(oracle.arguments(one)), program) for one in rows]


def read(name: str, **others: int) -> Call:
    """A call that would read, but for the integers at some places of its arguments: at0=-1."""
    parts = list(signatures.arguments(oracle.number_of(name, raw.REMOTE)) or ())
    for place, value in others.items():
        parts[int(place.removeprefix("at"))] = uint(value)
    return Call(name, b"".join(parts))


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
    attacked.ends(
        written(
            "DOMAIN_MIGRATE_PREPARE",
            "DOMAIN_MIGRATE_PERFORM",
            "DOMAIN_MIGRATE_FINISH",
            "DOMAIN_MIGRATE_PREPARE2",
            "DOMAIN_MIGRATE_FINISH2",
            "DOMAIN_BLOCK_PEEK",
            "DOMAIN_MEMORY_PEEK",
            "DOMAIN_SET_AUTOSTART",
            "NETWORK_SET_AUTOSTART",
            "CONNECT_FIND_STORAGE_POOL_SOURCES",
            "STORAGE_POOL_SET_AUTOSTART",
        )
    )


def test_cve_2011_1146(attacked: Attacked) -> None:
    native = string("qemu-argv") + string(EVIL) + uint(0)
    attacked.ends(
        [
            Call("CONNECT_DOMAIN_XML_TO_NATIVE", native),
            *written(
                "NODE_DEVICE_DETTACH",
                "NODE_DEVICE_RE_ATTACH",
                "NODE_DEVICE_RESET",
                "DOMAIN_REVERT_TO_SNAPSHOT",
                "DOMAIN_SNAPSHOT_DELETE",
            ),
        ]
    )


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
    attacked.ends([read("DOMAIN_GET_VCPUS_FLAGS", at1=8), read("DOMAIN_GET_VCPUS_FLAGS", at1=9)])


def test_cve_2013_4154(attacked: Attacked) -> None:
    agent = [
        read("DOMAIN_GET_VCPUS_FLAGS", at1=8),
        *written(
            "DOMAIN_PM_SUSPEND_FOR_DURATION",
            "DOMAIN_FSTRIM",
            "DOMAIN_FSFREEZE",
            "DOMAIN_FSTHAW",
        ),
    ]
    attacked.ends(agent + written("DOMAIN_AGENT_COMMAND", program=raw.QEMU))


def test_cve_2013_4292(attacked: Attacked) -> None:
    """Counts of parameters that are far more than those that follow."""
    for count in (1 << 16, MOST, 0xFFFFFFFF):
        attacked.ends(Call(name, DOMAIN + uint(count)) for name in MIGRATIONS_WITH_PARAMETERS)
        attacked.ends(
            Call(name, uint(count) + bytes(64))
            for name in (
                "DOMAIN_MIGRATE_PREPARE3_PARAMS",
                "DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS",
                "DOMAIN_MIGRATE_FINISH3_PARAMS",
            )
        )


def test_cve_2013_4296(attacked: Attacked) -> None:
    attacked.ends(read("DOMAIN_MEMORY_STATS", at1=many) for many in (1025, 65536, MOST, LEAST, -1))


def test_cve_2013_4311(attacked: Attacked) -> None:
    """Who the client is was said by the kernel; nobody looks at its process."""
    attacked.ends([Call("AUTH_POLKIT", b"")], [AUTH_FAILED])


def test_cve_2013_4401(attacked: Attacked) -> None:
    attacked.ends(
        [Call("CONNECT_DOMAIN_XML_TO_NATIVE", string("qemu-argv") + string(EVIL) + uint(0))]
    )


def test_cve_2013_5651(attacked: Attacked) -> None:
    """A list of processors that no parser should see: of NUMA parameters, and of vcpus."""
    for text in ("1-,", "^", "0-4294967295", "1,,2", "a"):
        nodes = uint(1) + string("numa_nodeset") + uint(7) + string(text)
        vcpus = DOMAIN + string(text) + uint(1) + uint(0)
        attacked.ends(
            [
                Call("DOMAIN_SET_NUMA_PARAMETERS", DOMAIN + nodes + uint(0)),
                Call("DOMAIN_SET_VCPU", vcpus),
                Call("DOMAIN_SET_GUEST_VCPUS", vcpus),
            ]
        )


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
            Call("CONNECT_COMPARE_CPU", string(document) + uint(0)),
            Call("CONNECT_BASELINE_CPU", uint(1) + string(document) + uint(0)),
            Call("CONNECT_BASELINE_CPU", uint(2) + plain + string(document) + uint(0)),
        ]
    )
    define = string(document)
    attacked.ends(
        [
            Call("DOMAIN_DEFINE_XML", define),
            Call("NETWORK_DEFINE_XML", define),
            Call("STORAGE_POOL_DEFINE_XML", define + uint(0)),
        ]
    )


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
    attacked.ends(read("DOMAIN_GET_XML_DESC", at1=flags) for flags in (8, 9, 10, 12, 15))


def test_cve_2014_8135(attacked: Attacked) -> None:
    volume = signatures.VALUES["volume"]
    edges = (0, 1, MOST, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    attacked.ends(
        Call("STORAGE_VOL_UPLOAD", volume + struct.pack(">QQ", offset, length) + uint(0))
        for offset in edges
        for length in edges
    )


def test_cve_2014_8136(attacked: Attacked) -> None:
    attacked.ends(
        written(
            "DOMAIN_MIGRATE_PERFORM",
            "DOMAIN_MIGRATE_PERFORM3",
            "DOMAIN_MIGRATE_PERFORM3_PARAMS",
            "DOMAIN_MIGRATE_FINISH",
            "DOMAIN_MIGRATE_FINISH2",
            "DOMAIN_MIGRATE_FINISH3",
            "DOMAIN_MIGRATE_FINISH3_PARAMS",
            "DOMAIN_MIGRATE_CONFIRM3",
            "DOMAIN_MIGRATE_CONFIRM3_PARAMS",
        )
    )


def test_cve_2015_0236(attacked: Attacked) -> None:
    attacked.ends([Call("DOMAIN_SAVE_IMAGE_GET_XML_DESC", string("/etc/passwd") + uint(1))])
    secure = read("DOMAIN_SNAPSHOT_GET_XML_DESC", at1=1)
    with raw.connect(attacked.gate.socket, "machines") as client:
        attacked.between.forget()
        assert client.ask(secure.number, secure.body).status == raw.OK
        (sent,) = attacked.between.calls(secure.number)
    assert sent.body == secure.body[:-4] + uint(0)


def test_cve_2015_5247(attacked: Attacked) -> None:
    attacked.ends(written("STORAGE_VOL_CREATE_XML", "STORAGE_VOL_CREATE_XML_FROM"))


def test_cve_2015_5313(attacked: Attacked) -> None:
    volume = "<volume><name>../../etc/evil</name><capacity>1</capacity></volume>"
    pool = signatures.POOL
    clone = string(volume) + signatures.VALUES["volume"] + uint(0)
    attacked.ends(
        [
            Call("STORAGE_VOL_CREATE_XML", pool + string(volume) + uint(0)),
            Call("STORAGE_VOL_CREATE_XML_FROM", pool + clone),
        ]
    )


def test_cve_2016_10746(attacked: Attacked) -> None:
    attacked.ends(written("DOMAIN_GET_TIME"))


def test_cve_2019_3840(attacked: Attacked) -> None:
    attacked.ends([read("DOMAIN_INTERFACE_ADDRESSES", at1=1)])


def test_cve_2019_3886(attacked: Attacked) -> None:
    attacked.ends(written("DOMAIN_GET_HOSTNAME", "DOMAIN_GET_TIME"))


def test_cve_2019_10132(attacked: Attacked) -> None:
    attacked.ends(
        Call(number, body, ADMIN) for number in range(1, 21) for body in (b"", bytes(64))
    )


def test_cve_2019_10161(attacked: Attacked) -> None:
    attacked.ends(
        Call("DOMAIN_SAVE_IMAGE_GET_XML_DESC", string(path) + uint(0))
        for path in ("/etc/shadow", "/dev/zero", "")
    )


def test_cve_2019_10166(attacked: Attacked) -> None:
    attacked.ends(
        [Call("DOMAIN_MANAGED_SAVE_DEFINE_XML", DOMAIN + optional(string(EVIL)) + uint(0))]
    )


def test_cve_2019_10167(attacked: Attacked) -> None:
    none = optional(None)
    emulator = optional(string("/tmp/evil"))
    attacked.ends(
        Call("CONNECT_GET_DOMAIN_CAPABILITIES", first + none * 3 + uint(0))
        for first in (emulator, none)
    )


def test_cve_2019_10168(attacked: Attacked) -> None:
    emulator = optional(string("/tmp/evil")) + optional(None) * 3
    cpu = string("<cpu><arch>x86_64</arch></cpu>")
    attacked.ends(
        [
            Call("CONNECT_COMPARE_HYPERVISOR_CPU", emulator + cpu + uint(0)),
            Call("CONNECT_BASELINE_HYPERVISOR_CPU", emulator + uint(1) + cpu + uint(0)),
        ]
    )


def test_cve_2019_20485(attacked: Attacked) -> None:
    agent = [read("DOMAIN_GET_VCPUS_FLAGS", at1=8), read("DOMAIN_INTERFACE_ADDRESSES", at1=1)]
    agent += written(
        "DOMAIN_GET_HOSTNAME",
        "DOMAIN_FSTRIM",
        "DOMAIN_FSFREEZE",
        "DOMAIN_FSTHAW",
        "DOMAIN_GET_TIME",
        "DOMAIN_SET_TIME",
        "DOMAIN_GET_FSINFO",
        "DOMAIN_SET_USER_PASSWORD",
        "DOMAIN_GET_GUEST_VCPUS",
        "DOMAIN_SET_GUEST_VCPUS",
        "DOMAIN_GET_GUEST_INFO",
        "DOMAIN_AUTHORIZED_SSH_KEYS_GET",
        "DOMAIN_AUTHORIZED_SSH_KEYS_SET",
    )
    attacked.ends(agent + written("DOMAIN_AGENT_COMMAND", program=raw.QEMU))


def test_cve_2020_10701(attacked: Attacked) -> None:
    attacked.ends(
        Call(
            "DOMAIN_AGENT_SET_RESPONSE_TIMEOUT",
            DOMAIN + uint(seconds) + uint(0),
        ) for seconds in (-2, -1, 0, 1, MOST)
    )


def test_cve_2020_25637(attacked: Attacked) -> None:
    attacked.ends(
        [
            read("DOMAIN_INTERFACE_ADDRESSES", at1=1),
            read("DOMAIN_INTERFACE_ADDRESSES", at1=1, at2=1),
        ]
    )


def test_cve_2024_1441(attacked: Attacked) -> None:
    attacked.ends(
        [read("CONNECT_LIST_INTERFACES", at0=0), read("CONNECT_LIST_DEFINED_INTERFACES", at0=0)]
    )


# Where lengths are in the arguments.
LENGTHS = {
    "DOMAIN_GET_VCPUS": (1, 2),
    "CONNECT_LIST_DEFINED_DOMAINS": (0,),
    "CONNECT_LIST_DEFINED_NETWORKS": (0,),
    "CONNECT_LIST_DOMAINS": (0,),
    "CONNECT_LIST_NETWORKS": (0,),
    "DOMAIN_GET_SCHEDULER_PARAMETERS": (1,),
    "CONNECT_LIST_STORAGE_POOLS": (0,),
    "CONNECT_LIST_DEFINED_STORAGE_POOLS": (0,),
    "STORAGE_POOL_LIST_VOLUMES": (1,),
    "NODE_GET_CELLS_FREE_MEMORY": (1,),
    "NODE_LIST_DEVICES": (1,),
    "NODE_DEVICE_LIST_CAPS": (1,),
    "CONNECT_LIST_INTERFACES": (0,),
    "CONNECT_LIST_DEFINED_INTERFACES": (0,),
    "CONNECT_LIST_SECRETS": (0,),
    "CONNECT_LIST_NWFILTERS": (0,),
    "DOMAIN_SNAPSHOT_LIST_NAMES": (1,),
    "DOMAIN_GET_MEMORY_PARAMETERS": (1,),
    "DOMAIN_GET_BLKIO_PARAMETERS": (1,),
    "DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS": (1,),
    "NODE_GET_CPU_STATS": (1,),
    "NODE_GET_MEMORY_STATS": (0,),
    "DOMAIN_GET_VCPU_PIN_INFO": (1, 2),
    "DOMAIN_BLOCK_STATS_FLAGS": (2,),
    "DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES": (1,),
    "DOMAIN_GET_BLOCK_IO_TUNE": (2,),
    "DOMAIN_GET_NUMA_PARAMETERS": (1,),
    "DOMAIN_GET_INTERFACE_PARAMETERS": (2,),
    "DOMAIN_GET_EMULATOR_PIN_INFO": (1,),
    "NODE_GET_MEMORY_PARAMETERS": (0,),
    "NETWORK_PORT_GET_PARAMETERS": (1,),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_cve_2024_2494(attacked: Attacked, name: str) -> None:
    attacked.ends(
        read(name, **{f"at{place}": value})
        for place in LENGTHS[name]
        for value in (-1, -2, -16384, LEAST, LEAST + 1, MOST)
    )


def test_cve_2024_8235(attacked: Attacked) -> None:
    attacked.ends(
        [read("CONNECT_LIST_INTERFACES", at0=0), read("CONNECT_LIST_DEFINED_INTERFACES", at0=0)]
    )


def test_cve_2025_12748(attacked: Attacked) -> None:
    nested = "<domain>" * 10000
    path = string("/x")
    attacked.ends(
        [
            Call("DOMAIN_CREATE_XML", string(nested) + uint(0)),
            Call("DOMAIN_DEFINE_XML", string(nested)),
            Call("DOMAIN_DEFINE_XML_FLAGS", string(nested) + uint(0)),
            Call("DOMAIN_RESTORE", path),
            Call("DOMAIN_RESTORE_FLAGS", path + optional(string(nested)) + uint(0)),
            Call("DOMAIN_SAVE_IMAGE_DEFINE_XML", path + string(nested) + uint(0)),
            Call("DOMAIN_SNAPSHOT_CREATE_XML", DOMAIN + string(nested) + uint(0)),
        ]
    )


@pytest.mark.parametrize(
    ("pages", "cells"),
    [(1023, 4198405), (1024, 4194304), (1, 0xFFFFFFFF), (2, 1 << 31), (1024, 2), (1, 1025)],
)
def test_cve_2026_18917(attacked: Attacked, pages: int, cells: int) -> None:
    """The number of counts that are wanted, in 32 bits, comes out small."""
    body = uint(pages) + uint(4) * pages + uint(0) + uint(cells) + uint(0)
    attacked.ends([Call("NODE_GET_FREE_PAGES", body)])


def test_cve_2026_61477(attacked: Attacked) -> None:
    network = "<network><name>x</name><dns><txt name='x' value='a&#10;b'/></dns></network>"
    xml = string(network)
    section = uint(1) + uint(11) + uint(-1)
    attacked.ends(
        [
            Call("NETWORK_CREATE_XML", xml),
            Call("NETWORK_DEFINE_XML", xml),
            Call("NETWORK_DEFINE_XML_FLAGS", xml + uint(0)),
            Call("NETWORK_CREATE_XML_FLAGS", xml + uint(0)),
            Call("NETWORK_UPDATE", signatures.NETWORK + section + xml + uint(0)),
            Call("NETWORK_CREATE", signatures.NETWORK),
        ]
    )


@pytest.mark.parametrize("lines", [100, 700, 100000])
@pytest.mark.parametrize("blank", ["\n", "\r\n", " \n", "\t\r"], ids=["n", "rn", "space", "tab"])
def test_cve_2026_61478(attacked: Attacked, lines: int, blank: str) -> None:
    for document in (f"<cpu>{blank * lines}<", blank * lines + "<cpu", f"<cpu>{blank * lines}"):
        xml = string(document)
        attacked.ends(
            [
                Call("CONNECT_COMPARE_CPU", xml + uint(0)),
                Call("CONNECT_BASELINE_CPU", uint(1) + xml + uint(0)),
            ]
        )
