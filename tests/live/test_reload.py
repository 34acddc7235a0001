"""The configuration read anew while clients are at work."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
from typing import Callable, Iterator

import libvirt
import pytest

import busy
import harness
import machines
import manager
import raw

MakeGate = Callable[..., harness.Gate]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")

ANNA = 61011
LISTENER = pathlib.Path(__file__).with_name("support") / "listener.py"
VERSION, NODE_INFO = 157, 6


def said(gate: harness.Gate, event: str) -> int:
    return len(re.findall(rf"\b{event}\b", gate.log()))


def reload(gate: harness.Gate, event: str = "reloaded") -> None:
    """Until the gate says that it is through."""
    before = said(gate, event)
    os.kill(gate.pid, signal.SIGHUP)
    harness.wait_for(event, lambda: said(gate, event) > before)


def rewrite(gate: harness.Gate, old: str, new: str) -> None:
    text = gate.config.read_text()
    assert old in text
    gate.config.write_text(text.replace(old, new))


def test_nobody_notices_under_load(
    daemon: harness.Daemon, own_daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    """Another way, other machines, other numbers: calls are answered all the time, by one or the other."""
    first, second = daemon.uri("unix"), own_daemon.uri("unix")
    gate = make_gate({"hail": first, "sleet": daemon.uri("tcp")})
    with busy.Crew(gate.socket, "hail", 4) as crew, busy.Crew(gate.socket, "sleet", 2) as other:
        for old, new in [(first, second), (second, first)] * 3:
            rewrite(gate, f'hail = "{old}"', f'hail = "{new}"')
            reload(gate)
            crew.progress(300)
            other.progress(100)
    assert "upstream-lost" not in gate.log()


@contextlib.contextmanager
def somebody(gate: harness.Gate, uid: int) -> Iterator[subprocess.Popen]:
    """A client that says what becomes of a call for each line that it is sent."""
    script = (
        "import raw, sys\n"
        f"c = raw.connect({gate.socket!r}, 'hail')\n"
        "print('open', flush=True)\n"
        "for line in sys.stdin:\n"
        "    try:\n"
        "        c.call(int(line))\n"
        "        print('ok', flush=True)\n"
        "    except (raw.LibvirtError, OSError, EOFError) as error:\n"
        "        print(type(error).__name__, error, flush=True)\n"
    )
    with machines.run_as(
        uid, script, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen, procedure: int) -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{procedure}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_rules_hold_from_the_next_call(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    rule = {"users": [str(ANNA)], "targets": ["*"], "allow": ["*"], "deny": ["NODE_GET_INFO"]}
    gate = make_gate({"hail": daemon.uri("unix")}, rules=(rule,))
    with somebody(gate, ANNA) as anna:
        assert "you may not call" in ask(anna, NODE_INFO)
        rewrite(gate, 'deny = ["NODE_GET_INFO"]', 'deny = ["CONNECT_GET_LIB_VERSION"]')
        reload(gate)
        assert ask(anna, NODE_INFO) == "ok"
        assert "you may not call" in ask(anna, VERSION)
        rewrite(gate, f'users = ["{ANNA}"]', 'users = ["root"]')
        reload(gate)
        assert ask(anna, NODE_INFO) != "ok"
    assert machines.virsh(gate.uri(daemon.file), "list")[0] == 0
    gate.logged(" revoked ")
    assert f"uid={ANNA}" in [line for line in gate.log().splitlines() if " revoked " in line][0]


def test_a_mistake_changes_nothing_and_is_said(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    with raw.connect(gate.socket, "hail") as client:
        good = gate.config.read_text()
        for text, reason in [
            (good + "colour = 1\n", "unknown key"),
            (good.replace("[targets]", '[targets]\nhial = "nothing"'), "cannot be parsed"),
            (good + "[metrics]\nsocket = \"/run/x/y\"\n", "[metrics] needs a restart"),
            (good.replace("[targets]", '[[listen]]\npath = "/nowhere/at/all"\n[targets]'), "/nowhere"),
        ]:
            gate.config.write_text(text)
            reload(gate, "reload-failed")
            gate.logged(reason)
            assert client.version() > 0
        gate.config.write_text(good)
        reload(gate)
        assert client.version() > 0


def test_what_was_given_up_needs_a_restart(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    """An unusual port, where the kernel can keep the gate from it."""
    gate = make_gate({"hail": daemon.uri("unix")})
    gate.logged(" confined ")
    given_up = 'ports="as configured' in gate.log()
    rewrite(gate, "[targets]", '[targets]\nfar = "test+tcp://localhost:7/x"')
    reload(gate, "reload-failed" if given_up else "reloaded")
    if given_up:
        gate.logged("connecting to port 7 needs a restart")
    with raw.connect(gate.socket, "hail") as client:
        assert client.version() > 0


def test_sockets_and_targets_come_and_go(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    more = gate.folder / "more.sock"
    socket = f'[[listen]]\npath = "{more}"\nmode = "0666"\n'
    with raw.connect(gate.socket, "hail") as stays:
        rewrite(gate, "[targets]", f'{socket}[targets]\nsleet = "{daemon.uri("unix")}"')
        reload(gate)
        with raw.connect(str(more), "sleet") as goes:
            assert goes.version() > 0
            rewrite(gate, f'{socket}[targets]\nsleet = "{daemon.uri("unix")}"', "[targets]")
            reload(gate)
            assert not more.exists()
            with pytest.raises((raw.LibvirtError, OSError, EOFError)):
                goes.version()
        assert stays.version() > 0
        with raw.Client(gate.socket) as late, pytest.raises(raw.LibvirtError):
            late.open("sleet")


def test_sockets_of_a_service_manager_stay(
    daemon: harness.Daemon, folders: Iterator[pathlib.Path]
) -> None:
    """Whoever connected to one that the gate does not take from would wait for ever."""
    listen = (harness.Listen("first"), harness.Listen("second"))
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")}, listen)
    first, second = (gate.path(one.name) for one in listen)
    with manager.listening(first) as one, manager.listening(second) as other:
        manager.pass_on(gate, {"one": one, "other": other})
        try:
            gate.start()
            # Until it is there itself: others hold its sockets.
            raw.connect(first, "hail").close()
            rewrite(gate, second, second + "-renamed")
            reload(gate)
            with raw.connect(second + "-renamed", "hail") as client:
                assert client.version() > 0
            with raw.Client(second) as client, pytest.raises(raw.LibvirtError, match="serves"):
                client.open("hail")
            rewrite(gate, second + "-renamed", second)
            reload(gate)
            for path in (first, second):
                with raw.connect(path, "hail") as client:
                    assert client.version() > 0
            assert not os.path.exists(second + "-renamed")
        finally:
            gate.stop()


def test_events_go_on_from_the_new_place(
    daemon: harness.Daemon, own_daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    """Who listens to a target hears of it also where it has moved to."""
    here, there = daemon.uri("unix", "/default"), own_daemon.uri("unix", "/default")
    gate = make_gate({"hail": here})
    command = [sys.executable, str(LISTENER), gate.uri("/default"), "any", "2"]
    # test:///default is one and the same for all connections while one of them lasts.
    machine = libvirt.open(there).lookupByName("test")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout is not None and listener.stdout.readline() == "ready\n"
            rewrite(gate, here, there)
            reload(gate)

            def toggled() -> bool:
                machine.suspend()
                machine.resume()
                return listener.poll() is not None

            harness.wait_for("both events", toggled)
            assert listener.returncode == 0
            assert '"test"' in listener.stdout.readline()
        finally:
            listener.kill()
