"""What the gate takes from itself, in a gate that runs and in a program that tries.

What the kernel cannot do is found out here too, and must then be what the log says.
"""

import ctypes
import os
import pathlib
import re
import shlex
import subprocess
from typing import Iterator

import pytest

import harness
import raw

Folders = Iterator[pathlib.Path]

CONFINED = str(harness.TOP / harness.BUILD / "confined")
SANITIZED = harness.BUILD.name == "sanitize"
LANDLOCK_CREATE_RULESET, VERSION = 444, 1
NOBODY = 65534
NOT_THERE = "ENOSYS"


def landlock() -> int:
    """Its version; 0 where there is none, and where the gate cannot use it."""
    if SANITIZED:
        return 0
    library = ctypes.CDLL(None, use_errno=True)
    return max(0, int(library.syscall(LANDLOCK_CREATE_RULESET, None, 0, VERSION)))


def said(log: str) -> dict[str, str]:
    """The fields of the line about it."""
    (line,) = re.findall(r" confined (.*)$", log, re.MULTILINE)
    return dict(field.split("=", 1) for field in shlex.split(line))


@pytest.fixture
def gate(daemon: harness.Daemon, folders: Folders) -> Iterator[harness.Gate]:
    """Not started. Its daemon is at a port of its own."""
    one = harness.Gate(next(folders), {"hail": daemon.uri("tcp")}, audit_calls=False)
    try:
        yield one
    finally:
        one.stop()


def attempt(gate: harness.Gate, *acts: str) -> tuple[dict[str, str], dict[str, str]]:
    """What becomes of the acts when they are tried as this gate, and what is said to be in force."""
    done = subprocess.run(
        [CONFINED, str(gate.config), *acts],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
        env=harness.environment(gate.folder) | gate.environment,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines()), said(done.stderr)


SYSTEM = [
    "fork",
    "execute:/bin/true",
    "signal:1",
    "trace",
    "read-memory",
    "become-root",
    "raise-core-limit",
    "mount:/nowhere",
    "change-root",
    "new-namespace",
    "write-and-execute",
    "make-executable",
    "bpf",
    "kexec",
    "load-module",
    "io-uring",
    "keys",
    "perf",
    "swap",
    "packet-socket",
    "raw-socket",
    "vsock",
    "link:/nowhere/link",
    "make-device:/nowhere/device",
]


def test_system_calls(gate: harness.Gate) -> None:
    if SANITIZED:
        assert attempt(gate)[1]["system_calls"] == "all: built with sanitizers"
        return
    became, force = attempt(gate, *SYSTEM)
    assert force["system_calls"] == "those that are used (seccomp)"
    assert became == dict.fromkeys(SYSTEM, NOT_THERE)


def test_files(gate: harness.Gate, folders: Folders) -> None:
    elsewhere = next(folders)
    (elsewhere / "secret").write_text("secret")
    (elsewhere / "secret").chmod(0o666)
    forbidden = [f"read:{elsewhere}/secret", f"write:{elsewhere}/secret", f"append:{elsewhere}/new"]
    forbidden += [f"remove:{elsewhere}/secret", f"make-folder:{elsewhere}/folder"]
    forbidden += ["append:/etc/virtgate-was-here", "append:/usr/virtgate-was-here"]
    fine = [f"read:{gate.config}", "read:/etc/passwd", "read:/usr/bin/env", "write:/dev/null"]
    became, force = attempt(gate, *fine, *forbidden)
    assert {act: became[act] for act in fine} == dict.fromkeys(fine, "done")
    version = landlock()
    if version:
        assert force["files"] == f"as configured (Landlock {version})"
        assert {act: became[act] for act in forbidden} == dict.fromkeys(forbidden, "EACCES")
        assert (elsewhere / "secret").read_text() == "secret"
    else:
        assert force["files"].startswith("all: ")


def test_the_audit_file_is_only_ever_appended_to(daemon: harness.Daemon, folders: Folders) -> None:
    gate = harness.Gate(next(folders), {"hail": daemon.uri("tcp")}, audit_calls=False)
    apart = next(folders) / "audit.json"
    apart.write_text("record\n")
    gate.config.write_text(gate.config.read_text().replace(str(gate.audit), str(apart)))
    acts = [f"append:{apart}", f"truncate:{apart}", f"remove:{apart}"]
    became, _ = attempt(gate, *acts)
    assert became[acts[0]] == "done"
    if landlock() >= 3:
        assert (became[acts[1]], became[acts[2]]) == ("EACCES", "EACCES")
        assert apart.read_text() == "record\n"


def test_ports(gate: harness.Gate, daemon: harness.Daemon) -> None:
    with harness.socket.socket() as closed_to_us:
        closed_to_us.bind(("127.0.0.1", 0))
        closed_to_us.listen(1)
        other = f"connect:{closed_to_us.getsockname()[1]}"
        became, force = attempt(gate, f"connect:{daemon.port}", other, "bind:0")
    assert became[f"connect:{daemon.port}"] == "done"
    version = landlock()
    if version >= 4:
        assert force["ports"] == f"as configured (Landlock {version})"
        assert (became[other], became["bind:0"]) == ("EACCES", "EACCES")
    else:
        assert force["ports"].startswith("all: ")


def test_abstract_sockets_of_others(gate: harness.Gate, daemon: harness.Daemon) -> None:
    name = f"virtgate-other-{os.getpid()}"
    with harness.socket.socket(harness.socket.AF_UNIX) as other:
        other.bind("\0" + name)
        other.listen(1)
        became, _ = attempt(gate, f"connect-abstract:{name}")
        assert list(became.values()) == ["EPERM" if landlock() >= 6 else "done"]
        gate.environment = {"NOTIFY_SOCKET": f"@{name}"}
        became, _ = attempt(gate, f"connect-abstract:{name}")
        assert list(became.values()) == ["done"]


def test_targets_that_need_programs(daemon: harness.Daemon, folders: Folders) -> None:
    """Then files, ports and most calls are theirs, and the log says so."""
    gate = harness.Gate(next(folders), {"hail": "test+ext:///default?command=/bin/false"})
    refused = ["trace", "bpf", "kexec", "mount:/nowhere", "new-namespace", "perf", "packet-socket"]
    refused = [] if SANITIZED else refused
    became, force = attempt(gate, "fork", *refused, "execute:/nowhere")
    assert (became["fork"], became["execute:/nowhere"]) == ("done", "ENOENT")
    assert force["files"].startswith("all: ")
    assert force["ports"].startswith("all: ")
    why = "built with sanitizers" if SANITIZED else "targets need programs"
    assert why in force["system_calls"]
    assert {act: became[act] for act in refused} == dict.fromkeys(refused, "EPERM")


def status_of(pid: int) -> dict[str, str]:
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_the_running_gate(gate: harness.Gate) -> None:
    gate.start()
    with raw.connect(gate.socket, "hail") as client:
        assert client.version() > 0
    status = status_of(gate.pid)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == ("0" if SANITIZED else "2")
    limits = pathlib.Path(f"/proc/{gate.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    gate.logged(" confined ")
    force = said(gate.log())
    assert (force["new_privileges"], force["core_dumps"]) == ("none", "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_nobody_looks_into_it(gate: harness.Gate) -> None:
    """What belongs to a process that is not dumpable is root's in /proc."""
    harness.environment(gate.folder)
    for path in (gate.folder, *gate.folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    who = f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"
    gate.launcher = ["setpriv", *who]
    gate.start()
    with raw.connect(gate.socket, "hail") as client:
        assert client.version() > 0
    assert status_of(gate.pid)["Uid"].split() == [str(NOBODY)] * 4
    assert os.stat(f"/proc/{gate.pid}/maps").st_uid == 0


def test_a_target_that_is_a_program_works(daemon: harness.Daemon, folders: Folders) -> None:
    folder = next(folders)
    program = folder / "tunnel"
    program.write_text(f"#!/bin/sh\nexec nc -U {daemon.read_only}\n")
    program.chmod(0o755)
    gate = harness.Gate(folder, {"hail": f"test+ext://{daemon.file}?command={program}"})
    try:
        gate.start()
        with raw.connect(gate.socket, "hail") as client:
            assert client.version() > 0
        for pid in gate.process.family() if gate.process else []:
            assert status_of(pid)["NoNewPrivs"] == "1"
            assert status_of(pid)["Seccomp"] == ("0" if SANITIZED else "2")
    finally:
        gate.stop()


def test_a_key_that_is_replaced_is_read(gate: harness.Gate, folders: Folders) -> None:
    """Its folder stays open to the gate, so another file in its place is too."""
    keys = next(folders)
    (keys / "old").write_text("old")
    uri = f"test+ssh://127.0.0.1/default?keyfile={keys}/old"
    with_key = harness.Gate(gate.folder, {"hail": uri})
    (keys / "other").write_text("new")
    became, _ = attempt(with_key, f"read:{keys}/old", f"read:{keys}/other")
    assert list(became.values()) == ["done", "done"]
