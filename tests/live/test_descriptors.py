"""Clients may take as many descriptors as there are, but for those that the gate needs to go on."""

import contextlib
import os
import pathlib
import resource
import signal
import subprocess
from typing import Any, Iterator

import pytest

import ask
import certificates
import harness
import raw
from machines import virsh
from tls_scene import TlsDaemon

LIMIT = 256
FULL = "virtgate has no descriptors left for another client: it may have 256 (RLIMIT_NOFILE"
SHORT = "Too many open files"


@contextlib.contextmanager
def small_gate(
    folders: Iterator[pathlib.Path], targets: dict[str, Any], *limit: str, **limits: Any
) -> Iterator[harness.Gate]:
    gate = harness.Gate(next(folders), targets, **limits)
    gate.launcher = list(limit or ("prlimit", f"--nofile={LIMIT}:{LIMIT}"))
    try:
        yield gate.start()
    finally:
        gate.stop()


def fill(gate: harness.Gate, stack: contextlib.ExitStack, name: str) -> list[raw.Client]:
    """As many clients as may stay."""
    here: list[raw.Client] = []
    while True:
        try:
            here.append(stack.enter_context(raw.connect(gate.socket, name)))
        except raw.LibvirtError as error:
            assert FULL in error.text
            return here


def test_a_full_gate_answers_everybody_and_reaches_new_targets(
    folders: Iterator[pathlib.Path],
    daemon: harness.Daemon,
    tls_daemon: TlsDaemon,
    client: certificates.ClientFolder,
) -> None:
    targets = {
        "hail": daemon.uri("unix"),
        "sleet": daemon.uri("unix", "/default"),
        "snow": tls_daemon.tls_uri(client.folder),
    }
    with contextlib.ExitStack() as stack:
        gate = stack.enter_context(small_gate(folders, targets))
        gate.logged("configuration-warning")
        assert '"clients" of [limits] is 10000, and a process may have 256' in gate.log().replace(
            "\\", ""
        )
        others = [stack.enter_context(raw.Client(gate.socket)) for _ in range(2)]
        here = fill(gate, stack, "hail")
        assert len(here) > LIMIT / 2
        # Those who are told nothing more are ended, and nobody waits.
        ended = [stack.enter_context(harness.dial(gate.socket)) for _ in range(300)]
        for one in ended[150:]:
            with contextlib.suppress(ConnectionError):
                one.sendall(raw.frame(raw.AUTH_LIST, b"", serial=1))
                while one.recv(4096):
                    pass
        assert ask.status_text(gate).startswith("virtgate ")
        assert ask.fetch(gate.control, "/metrics")[0] == 200
        # It may be ended while it still writes.
        assert virsh(gate.uri(daemon.file), "list")[0] in (1, -signal.SIGPIPE)
        for one, name in zip(others, ("sleet", "snow")):
            one.open(name)
            assert one.version() > 0
        for one in here:
            assert one.version() > 0
        for one in ended:
            one.close()
        harness.wait_for(
            "those who were told to be gone",
            lambda: ask.status(gate)["client_count"] == len(here) + 2,
        )
        code, _, words = virsh(gate.uri(daemon.file), "list")
        assert (code, FULL in words) == (1, True)
        for one in here[:20]:
            one.close()
        harness.wait_for(
            "some to be gone", lambda: ask.status(gate)["client_count"] == len(here) - 18
        )
        with raw.connect(gate.socket, "hail") as one:
            assert one.version() > 0


@pytest.mark.parametrize("name", ["hail", "snow"])
def test_what_the_gate_lacks_is_not_the_targets_refusal(
    folders: Iterator[pathlib.Path],
    daemon: harness.Daemon,
    tls_daemon: TlsDaemon,
    client: certificates.ClientFolder,
    name: str,
) -> None:
    targets = {"hail": daemon.uri("unix"), "snow": tls_daemon.tls_uri(client.folder)}
    with contextlib.ExitStack() as stack:
        gate = stack.enter_context(small_gate(folders, targets))
        clients = [stack.enter_context(raw.Client(gate.socket)) for _ in range(6)]
        # All are taken: each has an answer.
        for one in clients:
            one.call(raw.AUTH_LIST)
        last = max(int(fd) for fd in os.listdir(f"/proc/{gate.pid}/fd"))
        resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (last - 4, LIMIT))
        for one in clients[:5]:
            with pytest.raises(raw.LibvirtError, match=SHORT):
                one.open(name)
        resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        assert clients[5].open(name).version() > 0


def test_a_newcomer_is_told_where_nothing_was_left(
    folders: Iterator[pathlib.Path], daemon: harness.Daemon
) -> None:
    """Whatever took the descriptors that clients leave."""
    with contextlib.ExitStack() as stack:
        gate = stack.enter_context(small_gate(folders, {"hail": daemon.uri("unix")}))
        client = stack.enter_context(raw.connect(gate.socket, "hail"))
        used = sorted(int(fd) for fd in os.listdir(f"/proc/{gate.pid}/fd"))
        lowest_free = min(set(range(used[-1] + 2)) - set(used))
        resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (lowest_free, LIMIT))
        for _ in range(3):
            code, _, words = virsh(gate.uri(daemon.file), "list")
            assert code == 1 and "virtgate has no descriptors left for another client" in words
        assert client.version() > 0
        resource.prlimit(gate.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        harness.wait_for(
            "the next one to be let in", lambda: virsh(gate.uri(daemon.file), "list")[0] == 0
        )


def test_check_says_that_there_are_too_few(folders: Iterator[pathlib.Path]) -> None:
    folder = next(folders)
    config = folder / "virtgate.toml"
    text = '[[listen]]\npath = "/run/x"\nmode = "0600"\n[targets]\nhail = "test:///default"\n'

    def checked(clients: int) -> str:
        config.write_text(f"{text}[limits]\nclients = {clients}\n")
        command = ["prlimit", "--nofile=1024:1024", harness.GATE, "serve", "--check"]
        return subprocess.run(
            [*command, "--config", str(config)],
            capture_output=True,
            text=True,
            check=True,
            timeout=harness.PATIENCE,
            env=harness.environment(folder),
        ).stderr

    assert '"clients" of [limits] is 1000, and a process may have 1024 descriptors' in checked(1000)
    assert "descriptors" not in checked(500)
