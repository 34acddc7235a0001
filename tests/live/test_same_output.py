"""virsh and python3-libvirt cannot tell the gate from the daemon."""

import re
import subprocess
import sys
from typing import Any, Callable, Iterator

import libvirt
import pytest

import harness

SOCKETS = {"unix": "unix.sock", "tcp": "tcp.sock"}

COMMANDS = """
list --all
list --all --name
list --all --uuid
list --state-shutoff --title
list --with-snapshot
list --inactive --persistent
dominfo machine1
dominfo machine3
dominfo nosuch
domstate machine2
domstate machine3 --reason
dumpxml machine1
dumpxml machine3 --inactive
dumpxml machine1 --xpath //interface
domstats machine1
domstats --state
domid machine2
domid machine3
domname 00000000-0000-4000-8000-000000000007
domuuid machine7
domblklist machine1
domblkinfo machine1 vda
domiflist machine1
domifaddr machine1
domifaddr machine1 --source agent
domif-getlink machine1 testnet0
dommemstat machine1
domcontrol machine1
domtime machine1
domjobinfo machine1
domfsinfo machine1
desc machine1 --title
metadata machine1 http://example.com/site
vcpuinfo machine1
vcpucount machine4
vcpupin machine1
schedinfo machine1
memtune machine1
numatune machine1
blkiotune machine1
iothreadinfo machine1
vncdisplay machine1
nodeinfo
nodecpustats
nodememstats
nodecpumap
freecell --all
freepages --all
capabilities
sysinfo
uri
version
hostname
maxvcpus
cpu-models x86_64
net-list --all
net-info lan
net-dumpxml guests
net-dhcp-leases lan
net-uuid lan
net-info nosuch
iface-list --all
iface-dumpxml eth1
pool-list --all --details
pool-info store
pool-dumpxml images
vol-list store
vol-list images --details
vol-info disk1.img --pool store
vol-dumpxml disk2.img --pool images
vol-path disk3.img --pool store
vol-info nosuch --pool store
snapshot-list machine1 --tree
snapshot-list machine21 --parent
snapshot-info machine1 after
snapshot-dumpxml machine1 before
snapshot-current machine1 --name
snapshot-parent machine1 after
checkpoint-list machine1
nodedev-list
nwfilter-list
secret-list
domcapabilities
guestinfo machine1
""".strip().splitlines()


def masked(text: str) -> str:
    """Less the times, which the test driver takes from the clock."""
    text = re.sub(r"(CPU time: +)[\d.]+s", r"\1...", text)
    return re.sub(r"(time=|cpu.\w+=)\d+", r"\1...", text)


def virsh(uri: str, command: str, *options: str) -> tuple[int, str, str]:
    arguments = ["virsh", *options, "-c", uri, *command.split()]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=harness.PATIENCE
    )
    # The URI of the connection itself is the one thing that differs.
    return done.returncode, masked(done.stdout).replace(uri, "URI"), masked(done.stderr)


@pytest.fixture(scope="module")
def gate(daemon: harness.Daemon, make_module_gate: Callable[..., harness.Gate]) -> harness.Gate:
    """Both targets are the same daemon and the same machines; the socket says which is meant."""
    return make_module_gate(
        {kind: daemon.uri(kind) for kind in SOCKETS},
        *(harness.Listen(name, kind) for kind, name in SOCKETS.items()),
    )


@pytest.mark.parametrize("kind", SOCKETS)
@pytest.mark.parametrize("command", COMMANDS)
def test_virsh_prints_the_same(
    daemon: harness.Daemon, gate: harness.Gate, kind: str, command: str
) -> None:
    direct = virsh(daemon.uri(kind), command, "-r")
    through = virsh(gate.uri(daemon.file, SOCKETS[kind]), command, "-r")
    assert through == direct


@pytest.mark.parametrize("kind", SOCKETS)
def test_virsh_need_not_ask_for_read_only(
    daemon: harness.Daemon, gate: harness.Gate, kind: str
) -> None:
    direct = virsh(daemon.uri(kind), "list --all")
    assert direct[0] == 0
    assert len(direct[1].splitlines()) >= 200
    assert virsh(gate.uri(daemon.file, SOCKETS[kind]), "list --all") == direct


def test_one_virsh_runs_many_commands(daemon: harness.Daemon, gate: harness.Gate) -> None:
    script = "; ".join(f"domstate machine{i}; dumpxml machine{i}" for i in range(1, 101))
    answers = [
        subprocess.run(
            ["virsh", "-r", "-q", "-c", uri, script], capture_output=True, text=True, check=True
        ).stdout
        for uri in (daemon.uri("unix"), gate.uri(daemon.file))
    ]
    assert answers[0] == answers[1]
    assert answers[0].count("<domain ") == 100


def names(objects: list[Any]) -> list[str]:
    return [one.name() for one in objects]


def machine(connection: libvirt.virConnect) -> libvirt.virDomain:
    return connection.lookupByName("machine1")


def store(connection: libvirt.virConnect) -> libvirt.virStoragePool:
    return connection.storagePoolLookupByName("store")


CALLS: dict[str, Callable[[libvirt.virConnect], Any]] = {
    "type": lambda c: c.getType(),
    "version": lambda c: c.getVersion(),
    "lib_version": lambda c: c.getLibVersion(),
    "hostname": lambda c: c.getHostname(),
    "alive": lambda c: c.isAlive(),
    "encrypted": lambda c: c.isEncrypted(),
    "info": lambda c: c.getInfo(),
    "max_vcpus": lambda c: c.getMaxVcpus(None),
    "free_memory": lambda c: c.getFreeMemory(),
    "cells": lambda c: c.getCellsFreeMemory(0, 1),
    "cpu_map": lambda c: c.getCPUMap(),
    "security_model": lambda c: c.getSecurityModel(),
    "capabilities": lambda c: c.getCapabilities(),
    "sysinfo": lambda c: c.getSysinfo(),
    "domains": lambda c: names(c.listAllDomains()),
    "domain_ids": lambda c: sorted(c.listDomainsID()),
    "defined": lambda c: sorted(c.listDefinedDomains()),
    "counts": lambda c: (c.numOfDomains(), c.numOfDefinedDomains(), c.numOfNetworks()),
    "by_id": lambda c: c.lookupByID(1).UUIDString(),
    "by_uuid": lambda c: c.lookupByUUIDString("00000000-0000-4000-8000-000000000009").name(),
    "missing": lambda c: c.lookupByName("nosuch"),
    "xml": lambda c: machine(c).XMLDesc(),
    "state": lambda c: machine(c).state(),
    "memory": lambda c: (machine(c).maxMemory(), machine(c).memoryStats()),
    "vcpus_flags": lambda c: machine(c).vcpusFlags(),
    "stats": lambda c: [(d.name(), s) for d, s in c.getAllDomainStats()],
    "some_stats": lambda c: [
        (d.name(), s) for d, s in c.domainListGetStats([machine(c)], libvirt.VIR_DOMAIN_STATS_STATE)
    ],
    "block_info": lambda c: machine(c).blockInfo("vda"),
    "autostart": lambda c: (machine(c).autostart(), machine(c).isPersistent()),
    "snapshots": lambda c: sorted(s.getName() for s in machine(c).listAllSnapshots()),
    "current_snapshot": lambda c: machine(c).snapshotCurrent().getXMLDesc(),
    "networks": lambda c: sorted(names(c.listAllNetworks())),
    "bridge": lambda c: c.networkLookupByName("lan").bridgeName(),
    "interfaces": lambda c: c.interfaceLookupByName("eth1").XMLDesc(),
    "pools": lambda c: sorted(names(c.listAllStoragePools())),
    "pool_info": lambda c: store(c).info(),
    "volumes": lambda c: sorted(names(store(c).listAllVolumes())),
    "volume": lambda c: c.storageVolLookupByPath("/pools/store/disk4.img").info(),
    "metadata": lambda c: machine(c).metadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT, "http://example.com/site"
    ),
    "migratable_xml": lambda c: machine(c).XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE),
    "destroy": lambda c: machine(c).destroy(),
    "secrets": lambda c: c.listAllSecrets(),
}


def outcome(connection: libvirt.virConnect, call: Callable[[libvirt.virConnect], Any]) -> Any:
    try:
        return call(connection)
    except libvirt.libvirtError as error:
        return "error", error.get_error_code(), error.get_error_domain(), str(error)


@pytest.fixture(scope="module", params=SOCKETS)
def connections(
    request: pytest.FixtureRequest, daemon: harness.Daemon, gate: harness.Gate
) -> Iterator[tuple[libvirt.virConnect, libvirt.virConnect]]:
    """Without an event loop, as most scripts have it: such clients never ask for keepalive."""
    libvirt.registerErrorHandler(lambda *_: None, None)
    direct = libvirt.openReadOnly(daemon.uri(request.param))
    through = libvirt.openReadOnly(gate.uri(daemon.file, SOCKETS[request.param]))
    yield direct, through
    through.close()
    direct.close()


@pytest.mark.parametrize("call", CALLS)
def test_python_gets_the_same(
    connections: tuple[libvirt.virConnect, libvirt.virConnect], call: str
) -> None:
    direct, through = (outcome(one, CALLS[call]) for one in connections)
    assert through == direct


def test_a_fresh_python_needs_no_event_loop(daemon: harness.Daemon, gate: harness.Gate) -> None:
    program = "import libvirt, sys; print(len(libvirt.openReadOnly(sys.argv[1]).listAllDomains()))"
    done = subprocess.run(
        [sys.executable, "-c", program, gate.uri(daemon.file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=harness.PATIENCE,
    )
    assert done.stdout == "200\n"


@pytest.mark.parametrize("kind", SOCKETS)
def test_secure_xml_is_what_a_reader_gets(
    daemon: harness.Daemon, gate: harness.Gate, kind: str
) -> None:
    direct = virsh(daemon.uri(kind), "dumpxml machine1", "-r")
    assert direct[0] == 0
    # With -r virsh's own library would refuse it.
    secure = "dumpxml machine1 --security-info"
    assert virsh(gate.uri(daemon.file, SOCKETS[kind]), secure) == direct
