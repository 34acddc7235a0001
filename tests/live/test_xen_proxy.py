"""Clients of the old Xen proxy at a gate before today's libvirtd."""

import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time
import uuid
from typing import Any, Callable, Iterator

import pytest

import harness
import node
import xen_proxy
from machines import patient, target
from xen_proxy import Client

MakeGate = Callable[..., harness.Gate]
ABIS = ("x86-64", "i386")
RUNNING = [i for i in range(1, 201) if i % 3 != 0]
NOBODY_KNOWN = 61001  # a number that no account of a system has


def listen(name: str, abi: str | None = None) -> str:
    lines = ["[[listen]]", f'path = "{name}"', 'mode = "0666"', 'target = "machines"']
    lines += ['protocol = "xen-proxy"'] + ([f'abi = "{abi}"'] if abi else [])
    return "\n".join(lines) + "\n"


class XenGate:
    """A gate with an ordinary socket, and one for each layout."""

    def __init__(self, folder: pathlib.Path, targets: dict[str, Any], **more: Any) -> None:
        self.gate = harness.Gate(folder, targets, **more)
        self.paths = {abi: self.gate.path(f"xen-{abi}.sock") for abi in ABIS}
        (folder / "conf.d").mkdir()
        texts = [listen(path, abi) for abi, path in self.paths.items()]
        (folder / "conf.d" / "xen.toml").write_text("".join(texts))
        self.gate.start()
        harness.wait_for("its sockets", lambda: all(path in self.gate.log() for path in self.paths.values()))

    def client(self, abi: str = "x86-64") -> Client:
        return Client(self.paths[abi], abi)

    def logged(self, text: str) -> None:
        self.gate.logged(text)

    def refusals(self) -> list[str]:
        return [line for line in self.gate.log().splitlines() if " refused " in line]


@contextlib.contextmanager
def _xen_gates(folders: Iterator[pathlib.Path]) -> Iterator[Callable[..., XenGate]]:
    with contextlib.ExitStack() as stack:

        def make(targets: dict[str, Any], **more: Any) -> XenGate:
            one = XenGate(next(folders), targets, **more)
            stack.callback(one.gate.stop)
            return one

        yield make


@pytest.fixture
def make_xen_gate(folders: Iterator[pathlib.Path]) -> Iterator[Callable[..., XenGate]]:
    with _xen_gates(folders) as make:
        yield make


@pytest.fixture(scope="module")
def gate(folders: Iterator[pathlib.Path], daemon: harness.Daemon) -> Iterator[XenGate]:
    with _xen_gates(folders) as make:
        yield make(patient(daemon.uri("unix")))


@pytest.fixture(params=ABIS)
def client(request: Any, gate: XenGate) -> Iterator[Client]:
    with gate.client(request.param) as one:
        assert one.ask(xen_proxy.NONE).extra == b""
        yield one


def virsh(gate: XenGate, daemon: harness.Daemon, *command: str) -> str:
    arguments = ["virsh", "-r", "-c", gate.gate.uri(daemon.file), *command]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=True, timeout=harness.PATIENCE
    )
    return done.stdout


def test_version_and_node(client: Client) -> None:
    assert client.ask(xen_proxy.VERSION).larg == 2
    answer = client.ask(xen_proxy.NODE_INFO)
    assert answer.arg == 0
    model, memory, *rest = xen_proxy.NODE[client.abi].unpack(answer.extra)
    assert model == b"i686".ljust(32, b"\0")
    assert memory == 16777216
    assert rest == [4, 2400, 1, 1, 4, 1]


def test_list(client: Client) -> None:
    answer = client.ask(xen_proxy.LIST)
    assert answer.arg == len(RUNNING) == client.ask(xen_proxy.NUM_DOMAIN).arg
    ids = struct.unpack(f"={answer.arg}i", answer.extra)
    assert len(set(ids)) == len(RUNNING)
    names = {client.ask(xen_proxy.LOOKUP_ID, one).extra[16:] for one in ids[:20]}
    assert all(name.startswith(b"machine") and name.endswith(b"\0") for name in names)
    assert len(names) == 20


def test_domains_are_looked_up(client: Client) -> None:
    key = uuid.UUID("00000000-0000-4000-8000-000000000007").bytes
    by_name = client.by_name("machine7")
    assert by_name.arg > 0
    assert by_name.extra == key
    by_uuid = client.ask(xen_proxy.LOOKUP_UUID, extra=key)
    assert (by_uuid.arg, by_uuid.extra) == (by_name.arg, b"machine7\0")
    by_id = client.ask(xen_proxy.LOOKUP_ID, by_name.arg)
    assert (by_id.arg, by_id.extra) == (by_name.arg, key + b"machine7\0")


def test_what_is_not_there_or_does_not_run(client: Client) -> None:
    shut_off = uuid.UUID("00000000-0000-4000-8000-000000000003").bytes
    answers = [
        client.by_name("nosuch"),
        client.by_name("machine3"),
        client.by_name("n" * 999),
        client.by_name(""),
        client.ask(xen_proxy.LOOKUP_UUID, extra=bytes(16)),
        client.ask(xen_proxy.LOOKUP_UUID, extra=shut_off),
        client.ask(xen_proxy.LOOKUP_ID, 100000),
        client.ask(xen_proxy.LOOKUP_ID, -1),
        client.ask(xen_proxy.DOMAIN_INFO, 100000),
        client.ask(xen_proxy.DOMAIN_XML, 100000),
        client.ask(xen_proxy.DOMAIN_OS_TYPE, 100000),
    ]
    for answer in answers:
        assert (answer.arg, answer.extra) == (xen_proxy.FAILED, b"")
    assert client.ask(xen_proxy.MAX_MEMORY, 100000).larg == 0


def test_a_domain(client: Client, gate: XenGate, daemon: harness.Daemon) -> None:
    number = client.by_name("machine7").arg
    memory = 262144 * 8
    assert client.ask(xen_proxy.MAX_MEMORY, number).larg == memory
    info = client.domain_info(number)
    assert info[:4] == (1, memory, memory, 4)
    assert info.time > 0
    os_type = client.ask(xen_proxy.DOMAIN_OS_TYPE, number)
    assert (os_type.arg, os_type.extra) == (0, b"linux")
    xml = client.ask(xen_proxy.DOMAIN_XML, number)
    assert xml.arg == 0
    assert xml.extra.decode() == virsh(gate, daemon, "dumpxml", str(number)).rstrip("\n") + "\n"
    assert b"hush" not in xml.extra


def test_many_packets_at_once(client: Client) -> None:
    for one in range(100):
        client.send(xen_proxy.packet(one % 5, serial=one))
    for one in range(100):
        answer = client.receive()
        assert (answer.command, answer.serial) == (one % 5, one)
    for _ in range(4100):
        client.ask(xen_proxy.NONE)


def test_a_packet_may_be_cut(client: Client) -> None:
    data = xen_proxy.packet(xen_proxy.LOOKUP_NAME, extra=b"machine7\0")
    for at in range(1, len(data)):
        client.send(data[:at])
        time.sleep(0.01)
        client.send(data[at:])
        assert client.receive().arg > 0


BROKEN = {
    "garbage": bytes(range(255, 0, -1)) * 20,
    "zeros": bytes(16),
    "version": xen_proxy.packet(xen_proxy.NUM_DOMAIN, version=2),
    "command": xen_proxy.packet(13),
    "no length": xen_proxy.packet(xen_proxy.NUM_DOMAIN, length=0),
    "short length": xen_proxy.packet(xen_proxy.NUM_DOMAIN, length=15),
    "longer than its command": xen_proxy.packet(xen_proxy.NUM_DOMAIN, extra=b"x"),
    "longer than a packet": xen_proxy.packet(xen_proxy.LOOKUP_NAME, length=4097) + bytes(5000),
    "no uuid": xen_proxy.packet(xen_proxy.LOOKUP_UUID),
    "long uuid": xen_proxy.packet(xen_proxy.LOOKUP_UUID, extra=bytes(17)),
    "no name": xen_proxy.packet(xen_proxy.LOOKUP_NAME),
    "name without an end": xen_proxy.packet(xen_proxy.LOOKUP_NAME, extra=b"machine7"),
    "name that ends early": xen_proxy.packet(xen_proxy.LOOKUP_NAME, extra=b"machine7\0x\0"),
    "long name": xen_proxy.packet(xen_proxy.LOOKUP_NAME, extra=b"n" * 1000 + b"\0"),
    "rpc": struct.pack(">IIIiIII", 28, 0x20008086, 1, 66, 0, 0, 0),
}


@pytest.mark.parametrize("label", BROKEN)
def test_cve_2009_0036_a_broken_packet_ends_its_client(gate: XenGate, label: str) -> None:
    with gate.client() as good, gate.client() as bad:
        assert good.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)
        bad.send(BROKEN[label])
        assert bad.ended()
        assert good.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)


@pytest.mark.parametrize("size", [1, 8, 15, 16, 20])
def test_cve_2009_0036_a_short_packet_ends_its_client(gate: XenGate, size: int) -> None:
    data = xen_proxy.packet(xen_proxy.LOOKUP_NAME, extra=b"machine7\0")[:size]
    with gate.client() as good, gate.client() as waits, gate.client() as ends:
        for one in (waits, ends):
            one.send(data)
        ends.socket.shutdown(socket.SHUT_WR)
        assert ends.ended()
        assert waits.ended()
        assert good.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)


def test_a_long_xml(folders: Iterator[pathlib.Path], make_xen_gate: Callable[..., XenGate]) -> None:
    one = harness.Daemon(next(folders))
    title = "<title>Machine number 1</title>"
    text = node.node_xml(2)
    assert title in text
    one.file.write_text(text.replace(title, f"<title>{'x' * 4000}</title>"))
    try:
        one.start()
        gate = make_xen_gate(target(one.uri("unix")))
        for abi in ABIS:
            with gate.client(abi) as client:
                answer = client.ask(xen_proxy.DOMAIN_XML, client.by_name("machine1").arg)
                assert (answer.arg, answer.extra) == (xen_proxy.TOO_LONG, b"")
                short = client.ask(xen_proxy.DOMAIN_XML, client.by_name("machine2").arg)
                assert short.arg == 0
                assert short.extra.startswith(b"<domain ")
        capabilities = virsh(gate, one, "capabilities")
        with gate.client() as client:
            answer = client.ask(xen_proxy.CAPABILITIES)
        if len(capabilities.rstrip("\n")) + 1 > 4080:
            assert (answer.arg, answer.extra) == (xen_proxy.TOO_LONG, b"")
        else:
            assert answer.extra.decode().rstrip("\n") == capabilities.rstrip("\n")
    finally:
        one.stop()


def test_many_clients_share_few_connections(gate: XenGate) -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        try:
            with gate.client(ABIS[number % 2]) as one:
                name = f"machine{RUNNING[number]}"
                for _ in range(10):
                    found = one.by_name(name)
                    told = one.ask(xen_proxy.LOOKUP_ID, found.arg).extra[16:]
                    if told != name.encode() + b"\0":
                        wrong.append((name, told))
        except Exception as error:  # noqa: BLE001
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_clients_that_go_away_with_calls_in_flight(gate: XenGate) -> None:
    for _ in range(50):
        with gate.client() as one:
            one.send(xen_proxy.packet(xen_proxy.LIST) * 20)
    with gate.client() as one:
        assert one.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)


def test_rules_decide(daemon: harness.Daemon, make_xen_gate: Callable[..., XenGate]) -> None:
    rule = {"targets": ["*"], "allow": ["*"], "deny": ["DOMAIN_GET_XML_DESC", "NODE_GET_INFO"]}
    gate = make_xen_gate(patient(daemon.uri("unix")), rules=(rule,), audit_calls=True)
    with gate.client() as one:
        number = one.by_name("machine7").arg
        assert one.ask(xen_proxy.DOMAIN_XML, number).arg == xen_proxy.FAILED
        assert one.ask(xen_proxy.NODE_INFO).arg == xen_proxy.FAILED
        assert one.domain_info(number).cpus == 4
    harness.wait_for("both refusals", lambda: len(gate.refusals()) >= 2)
    refusals = gate.refusals()
    assert len(refusals) == 2
    assert "procedure=DOMAIN_GET_XML_DESC" in refusals[0]
    assert "call NODE_GET_INFO of target" in refusals[1]
    harness.wait_for("the record", lambda: '"event":"close"' in gate.gate.audit.read_text())
    record = gate.gate.audit.read_text()
    for event in ("open", "refused", "close"):
        assert f'"event":"{event}"' in record
    assert '"procedure":"DOMAIN_GET_INFO"' in record


def test_limits_of_a_rule(daemon: harness.Daemon, make_xen_gate: Callable[..., XenGate]) -> None:
    rule = {"targets": ["*"], "allow": ["*"], "clients": 1, "calls_per_second": 20}
    gate = make_xen_gate(patient(daemon.uri("unix")), rules=(rule,))
    with gate.client() as first, gate.client() as second:
        began = time.monotonic()
        for _ in range(60):
            assert first.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)
        assert time.monotonic() - began > 1.5
        assert second.ask(xen_proxy.NONE).extra == b""
        assert second.ask(xen_proxy.NUM_DOMAIN).arg == xen_proxy.FAILED
    gate.logged("clients of rule 1")


def test_one_too_many(daemon: harness.Daemon, make_xen_gate: Callable[..., XenGate]) -> None:
    gate = make_xen_gate(patient(daemon.uri("unix")), clients_per_user=1)

    def served() -> Client | None:
        one = gate.client()
        if one.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING):
            return one
        one.socket.close()
        return None

    # Whoever looked whether the gate is there may still count.
    with harness.wait_for("a place", served) as first:
        with gate.client() as second:
            assert second.ask(xen_proxy.NUM_DOMAIN).arg == xen_proxy.FAILED
            assert second.ended()
        assert first.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)


ASK_AS_ANOTHER = """\
import os, socket, struct, sys
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
one = socket.socket(socket.AF_UNIX)
one.settimeout(20)
one.connect(sys.argv[1])
one.sendall(struct.pack("=4Hq", 1, 4, 9, 16, 0))
print(struct.unpack("=4Hi4x", one.recv(16))[4])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")
def test_a_user_without_a_rule(
    daemon: harness.Daemon, make_xen_gate: Callable[..., XenGate]
) -> None:
    rule = {"users": [str(NOBODY_KNOWN)], "targets": ["*"], "allow": ["*"]}
    gate = make_xen_gate(patient(daemon.uri("unix")), rules=(rule,))

    def count_as(uid: int) -> int:
        command = ["/usr/bin/python3", "-c", ASK_AS_ANOTHER, gate.paths["x86-64"], str(uid)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=harness.PATIENCE
        )
        return int(done.stdout)

    assert count_as(NOBODY_KNOWN) == len(RUNNING)
    assert count_as(NOBODY_KNOWN + 1) == xen_proxy.FAILED
    gate.logged(f"user {NOBODY_KNOWN + 1} may not see target 'machines'")


def test_a_target_that_goes_away_and_comes_back(
    own_daemon: harness.Daemon, make_xen_gate: Callable[..., XenGate]
) -> None:
    gate = make_xen_gate(target(own_daemon.uri("unix")))
    with gate.client() as early:
        assert early.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)
        own_daemon.kill()
        assert early.ask(xen_proxy.NUM_DOMAIN).arg == xen_proxy.FAILED
        with gate.client() as late:
            assert late.ask(xen_proxy.NONE).extra == b""
            assert late.ask(xen_proxy.LIST).arg == 0
            assert late.ask(xen_proxy.VERSION).larg == 0
        own_daemon.start()
        harness.wait_for(
            "the target", lambda: early.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)
        )


@pytest.fixture
def own_names() -> tuple[str, ...]:
    """Those of the old proxy, told apart from any that is there."""
    return tuple(f"{name}-{os.getpid()}" for name in xen_proxy.NAMES)


def test_abstract_names_fill_the_whole_address(
    daemon: harness.Daemon,
    folders: Iterator[pathlib.Path],
    own_names: tuple[str, ...],
) -> None:
    folder = next(folders)
    gate = harness.Gate(folder, patient(daemon.uri("unix")))
    (folder / "conf.d").mkdir()
    texts = [listen(own_names[0]), listen(own_names[1], "i386")]
    (folder / "conf.d" / "xen.toml").write_text("".join(texts))
    try:
        gate.start()
        for name, abi in zip(own_names, ABIS):
            with Client(name, abi) as one:
                assert one.ask(xen_proxy.NUM_DOMAIN).arg == len(RUNNING)
                assert one.domain_info(one.by_name("machine7").arg).cpus == 4
            assert not harness.answers("\0" + name[1:])
    finally:
        gate.stop()


def test_mistakes_are_told(daemon: harness.Daemon, folders: Iterator[pathlib.Path]) -> None:
    folder = next(folders)
    gate = harness.Gate(folder, patient(daemon.uri("unix")))
    (folder / "conf.d").mkdir()
    file = folder / "conf.d" / "xen.toml"
    file.write_text('[[listen]]\npath = "@x"\nprotocol = "xen-proxy"\nabi = "arm"\n')
    done = subprocess.run(
        [harness.GATE, "serve", "--check", "--config", str(gate.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    assert done.returncode == 1
    assert f'{file}:1:1: [[listen]] with protocol = "xen-proxy" has no "target"' in done.stderr
    assert f'{file}:4:7: "abi" is "arm"; it must be "x86-64" or "i386"' in done.stderr


def test_resolve_leaves_these_sockets_out(gate: XenGate) -> None:
    command = [harness.GATE, "resolve", "test:///default", "--config", str(gate.gate.config)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=harness.PATIENCE
    )
    assert gate.gate.socket in done.stdout
    assert "xen-" not in done.stdout
