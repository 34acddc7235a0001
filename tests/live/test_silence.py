"""A connection that goes dead without an end costs its clients a delay and no error."""

import contextlib
import json
import pathlib
import subprocess
import time
from typing import Any, Callable, Iterator

import pytest

import ask
import busy
import harness
import raw
import recorder
import sshd
import stuck
import victims

MakeGate = Callable[..., harness.Gate]
MakeRecorder = Callable[[harness.Daemon], recorder.Recorder]
Folders = Iterator[pathlib.Path]

DEAD = "and the daemon answers on another"
# Keepalive alone would take longer than any client here waits.
TIMES = {"call_timeout": "2min", "keepalive_count": 100}
NETWORK = ["unshare", "-n", "sh", "-c", "ip link set lo up && exec sleep 600"]


def target_of(gate: harness.Gate) -> dict[str, Any]:
    found = json.loads(ask.status_text(gate, "--json"))["targets"][0]
    assert isinstance(found, dict)
    return found


def test_calls_leave_connections_that_have_gone_dead(
    daemon: harness.Daemon, make_recorder: MakeRecorder, make_gate: MakeGate
) -> None:
    between = make_recorder(daemon)
    gate = make_gate({"machines": {"uri": between.uri(daemon.file), **TIMES}})
    with busy.Crew(gate.socket, "machines", 6) as crew:
        for _ in range(2):
            crew.progress(20)
            before = between.accepted
            between.stall()
            crew.progress(20)
            assert between.accepted > before
    gate.logged(DEAD)
    assert "subject-silent" not in gate.log()


def test_a_daemon_that_is_slow_keeps_its_connection(
    folders: Folders, make_gate: MakeGate, connect: Callable[..., raw.Client]
) -> None:
    with stuck.running(str(next(folders) / "slow.sock")) as slow:
        gate = make_gate({"machines": {"uri": slow.uri(), "call_timeout": "30s"}})
        client = connect(gate.socket, "machines")
        slow.hang("machine1")
        serial = client.post(raw.DOMAIN_LOOKUP_BY_NAME, raw.string("machine1"))
        time.sleep(8)
        slow.hang()
        assert client.reply(serial).status == raw.OK
        assert slow.report()["connections"] == 1
    assert "upstream-silent" not in gate.log()


# Stands before libvirt in its daemon: who asks what a machine runs waits while a switch is there.
HANGS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

char *virDomainGetOSType(void *machine) {
  const char *file = getenv("HANG_WHILE");
  while (file != NULL && access(file, F_OK) == 0) usleep(10 * 1000);
  return ((__typeof__(&virDomainGetOSType))dlsym(RTLD_NEXT, "virDomainGetOSType"))(machine);
}
"""


@contextlib.contextmanager
def few_requests(folders: Folders, most: int) -> Iterator[tuple[harness.Daemon, pathlib.Path]]:
    """A libvirtd that takes so many, and hangs at a call while a file is there."""
    folder = next(folders)
    switch = folder / "on"
    library = harness.preloaded(folder, "hangs", HANGS)
    few = harness.Daemon(next(folders))
    few.config.write_text(few.config.read_text() + f"max_client_requests = {most}\n")
    few.environment = {"LD_PRELOAD": str(library), "HANG_WHILE": str(switch)}
    try:
        few.start()
        yield few, switch
    finally:
        switch.unlink(missing_ok=True)
        few.stop()


@pytest.mark.parametrize("most", [1, 2])
def test_a_libvirtd_that_takes_few_calls_of_a_connection(
    folders: Folders, make_gate: MakeGate, connect: Callable[..., raw.Client], most: int
) -> None:
    """Such a one reads no pings while these are under way, which is not taken for death."""
    with few_requests(folders, most) as (few, switch):
        gate = make_gate({"machines": {"uri": few.uri("unix"), "call_timeout": "60s"}})
        clients = [connect(gate.socket, "machines") for _ in range(most)]
        found = [one.domain(f"machine{number}") for number, one in enumerate(clients, 1)]

        with victims.Victims(gate.socket, ["machines"] * 2, range(101, 151)) as others:
            for _ in range(2):
                switch.touch()
                pairs = list(zip(clients, found))
                serials = [one.post(stuck.GET_OS_TYPE, machine) for one, machine in pairs]
                # Longer than a connection may be silent.
                time.sleep(10)
                switch.unlink()
                for one, serial in zip(clients, serials):
                    assert one.reply(serial).status == raw.OK
                others.times(1.0)
        # What lay behind others moved on once, and no connection was taken for dead.
        assert DEAD not in gate.log()
        assert gate.log().count(" upstream-lost ") <= 1


@pytest.mark.parametrize("most", [1, 2])
def test_calls_that_a_libvirtd_of_few_requests_does_not_read_move_on(
    folders: Folders, make_gate: MakeGate, connect: Callable[..., raw.Client], most: int
) -> None:
    """Its pings come all the same, so that only what it answers tells that it does not read."""
    with few_requests(folders, most) as (few, switch):
        gate = make_gate({"machines": {"uri": few.uri("unix")}})
        stuck_ones = [connect(gate.socket, "machines") for _ in range(most)]
        found = [one.domain(f"machine{number}") for number, one in enumerate(stuck_ones, 1)]
        clients = [connect(gate.socket, "machines") for _ in range(4)]

        switch.touch()
        begun = time.monotonic()
        for one, machine in zip(stuck_ones, found):
            one.post(stuck.GET_OS_TYPE, machine)
        names = [f"machine{number}" for number in range(11, 15)]
        calls = [
            one.post(raw.DOMAIN_LOOKUP_BY_NAME, raw.string(name))
            for one, name in zip(clients, names)
        ]
        for one, call in zip(clients, calls):
            assert one.reply(call).status == raw.OK
        print(f"\nfirst: {time.monotonic() - begun:.1f} s")
        assert time.monotonic() - begun < 15
        for one, name in zip(clients, names):
            begun = time.monotonic()
            assert one.domain(name).startswith(raw.string(name))
            assert time.monotonic() - begun < 1
        harness.wait_for("it to be known", lambda: "few-requests target=machines" in gate.log())
        switch.unlink()
        with victims.Victims(gate.socket, ["machines"] * 2, range(101, 151)) as others:
            others.times(1.0)
            switch.touch()
            again = stuck_ones[0].post(stuck.GET_OS_TYPE, found[0])
            assert others.times(8.0).most < 2000
            switch.unlink()
            assert stuck_ones[0].reply(again).status == raw.OK


def test_a_daemon_that_is_silent_everywhere_is_said_to_be(
    folders: Folders, make_gate: MakeGate, connect: Callable[..., raw.Client]
) -> None:
    with stuck.running(str(next(folders) / "frozen.sock")) as frozen:
        gate = make_gate({"machines": {"uri": frozen.uri(), "call_timeout": "60s"}})
        client = connect(gate.socket, "machines")
        assert target_of(gate)["silent_ms"] == 0
        frozen.freeze()
        serial = client.post(raw.DOMAIN_LOOKUP_BY_NAME, raw.string("machine1"))
        gate.logged("upstream-silent target=machines")
        assert target_of(gate)["silent_ms"] > 0
        assert target_of(gate)["upstreams"][0]["silent_ms"] > 0
        assert "silent for" in ask.status_text(gate)
        time.sleep(2)
        frozen.thaw()
        assert client.reply(serial).status == raw.OK
        harness.wait_for("it to be heard", lambda: target_of(gate)["silent_ms"] == 0)
    assert DEAD not in gate.log()


@pytest.fixture
def network(folders: Folders) -> Iterator[list[str]]:
    """What to put in front of a command to run it in a network of its own, of loopback alone."""
    folder = next(folders)
    holder = harness.Process(NETWORK, folder / "network.log", harness.environment(folder))
    try:
        inside = ["nsenter", "-t", str(holder.pid), "-n"]
        with contextlib.suppress(harness.Failure):
            harness.wait_for("a network", lambda: not holder.running() or up(inside))
        if not holder.running() or not up(inside) or drop(inside, "--sport", "1") != 0:
            pytest.skip("no network of our own can be had here")
        yield inside
    finally:
        holder.end()


def up(inside: list[str]) -> bool:
    shown = subprocess.run([*inside, "ip", "link"], capture_output=True, text=True, check=False)
    return "LOOPBACK,UP" in shown.stdout


def drop(inside: list[str], *what: str) -> int:
    command = [*inside, "iptables", "-A", "INPUT", "-p", "tcp", *what, "-j", "DROP"]
    return subprocess.run(command, capture_output=True, check=False).returncode


def ports_to(inside: list[str], port: int) -> set[str]:
    """Those that connections to this port come from."""
    table = subprocess.run([*inside, "cat", "/proc/net/tcp"], capture_output=True, check=True)
    rows = [line.split() for line in table.stdout.decode().splitlines()[1:]]
    mine = [row[1] for row in rows if int(row[2].split(":")[1], 16) == port and row[3] == "01"]
    return {str(int(address.split(":")[1], 16)) for address in mine}


def test_a_black_hole_on_the_way_swallows_no_calls(
    daemon: harness.Daemon, network: list[str], folders: Folders
) -> None:
    """Through ssh, whose connection is shared by all that goes to the host."""
    server = sshd.Server(next(folders))
    server.launcher = network
    gate = harness.Gate(next(folders), {"machines": {"uri": server.uri(daemon), **TIMES}})
    gate.launcher = network
    try:
        server.start()
        gate.start()
        with busy.Crew(gate.socket, "machines", 6) as crew:
            crew.progress(20)
            swallowed = ports_to(network, server.port)
            assert swallowed
            for port in swallowed:
                for side in ("--sport", "--dport"):
                    assert drop(network, side, port) == 0
            crew.progress(20)
            assert ports_to(network, server.port) - swallowed
        gate.logged(DEAD)
    finally:
        gate.stop()
        server.stop()
