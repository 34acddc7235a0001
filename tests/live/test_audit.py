"""The record of what clients did: in a file, and in the journal."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Iterator

import pytest

import ask
import busy
import harness
import machines
import raw

MakeGate = Callable[..., harness.Gate]

JOURNAL = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
exec "$@"
"""


def virsh(uri: str, *command: str) -> int:
    """One that does not ask for read-only itself."""
    done = subprocess.run(
        ["virsh", "-c", uri, *command], capture_output=True, check=False, timeout=harness.PATIENCE
    )
    return done.returncode


def records(gate: harness.Gate, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in gate.audit.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def test_opens_refusals_and_closes(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    rule = {"targets": ["*"], "allow": ["*"], "deny": ["NODE_GET_INFO"]}
    gate = make_gate({"hail": daemon.uri("unix")}, rules=(rule,), audit_calls=False)
    assert virsh(gate.uri(daemon.file), "dumpxml", "machine1") == 0
    for command in (["nodeinfo"], ["destroy", "machine1"]):
        assert virsh(gate.uri(daemon.file), *command) == 1
    closes = harness.wait_for("all to have left", lambda: _all_gone(gate))
    assert gate.audit.stat().st_mode & 0o777 == 0o640
    for one in records(gate, "open"):
        assert one["target"] == "hail"
        assert (one["uid"], one["user"]) == (os.geteuid(), "root")
        assert one["rule"].startswith("rule 1 (")
        assert one["pid"] > 0
        assert one["program"] in (os.path.realpath(shutil.which("virsh") or ""), "virsh")
    first, second = records(gate, "refused")
    assert (first["procedure"], first["number"]) == ("NODE_GET_INFO", 6)
    assert "does not let user" in first["reason"]
    assert (second["procedure"], second["number"]) == ("DOMAIN_DESTROY", 12)
    assert "read-only" in second["reason"]
    assert closes[0]["calls"] > 1 and closes[0]["refused"] == 0 and closes[2]["refused"] == 1
    assert closes[0]["bytes_out"] > 500 and closes[0]["bytes_in"] > 100 and closes[0]["ms"] >= 0
    assert "<domain" not in gate.audit.read_text()
    assert not records(gate, "call")


def _all_gone(gate: harness.Gate) -> list[dict[str, Any]] | None:
    closes = [one for one in records(gate, "close") if one["target"] == "hail"]
    return closes if len(closes) == 3 else None


def test_each_call(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, audit_calls=True)
    with raw.connect(gate.socket, "hail") as one:
        assert one.version() > 0
        with pytest.raises(raw.LibvirtError):
            one.domain("no such machine")
    harness.wait_for("the calls", lambda: len(records(gate, "call")) >= 2)
    calls = {call["procedure"]: call for call in records(gate, "call")}
    assert calls["CONNECT_GET_LIB_VERSION"]["status"] == "ok"
    assert calls["DOMAIN_LOOKUP_BY_NAME"]["status"] == "error"
    assert calls["DOMAIN_LOOKUP_BY_NAME"]["ms"] >= 0
    assert "no such machine" not in gate.audit.read_text()
    assert "procedure=CONNECT_GET_LIB_VERSION" not in gate.log()


def test_what_repeats_is_counted_in_the_log_and_recorded_in_the_file(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, audit_calls=False)
    for _ in range(30):
        with raw.connect(gate.socket, "hail") as one:
            assert one.version() > 0
    process = gate.process
    gate.stop()
    assert process is not None
    log = process.output()
    assert len(re.findall(r" info open .*target=hail", log)) == 1
    assert re.search(r"info repeated record=open times=29 uid=\d+ program=\S+ target=hail", log), log
    assert len(records(gate, "open")) == 30
    assert len([one for one in records(gate, "close") if one["target"] == "hail"]) == 30


@pytest.mark.parametrize(("level", "lines"), [("debug", True), ("info", True), ("error", False)])
def test_levels(daemon: harness.Daemon, folders: Any, level: str, lines: bool) -> None:
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")})
    gate.arguments = ["--log-level", level]
    try:
        gate.start()
        for _ in range(2):
            with raw.connect(gate.socket, "hail") as one, pytest.raises(raw.LibvirtError):
                one.call(raw.DOMAIN_DESTROY, one.domain("machine1"))
        process = gate.process
    finally:
        gate.stop()
    assert process is not None
    assert (" info confined" in process.output()) == lines
    assert (" warning refused" in process.output()) == lines
    assert (" debug open" in process.output()) == (level == "debug")


def test_a_file_that_cannot_be_is_an_error(daemon: harness.Daemon, folders: Any) -> None:
    folder = next(folders)
    gate = harness.Gate(folder, {"hail": daemon.uri("unix")}, audit_calls=False)
    gate.audit.mkdir()
    done = subprocess.run(
        [harness.GATE, "serve", "--config", str(gate.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    assert done.returncode == 1
    assert f"the audit file {gate.audit} cannot be opened: Is a directory" in done.stderr


JOURNALD = """
import json, os, socket, subprocess, sys
gate, config, place = sys.argv[1:]
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.settimeout(20)
with open(place + "/stderr", "w+") as errors:
    status = os.fstat(errors.fileno())
    env = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    with subprocess.Popen([gate, "serve", "--config", config], stderr=errors, env=env) as process:
        entries = []
        while not any("VIRTGATE_EVENT=listen" in entry for entry in entries):
            entries.append(journal.recv(65536).decode())
        process.terminate()
        while not any("VIRTGATE_EVENT=stopped" in entry for entry in entries):
            entries.append(journal.recv(65536).decode())
        print(json.dumps([process.wait(20), entries, os.path.getsize(place + "/stderr")]))
"""


@pytest.mark.skipif(not harness.may_unshare(), reason="needs a /run of its own")
def test_the_journal_gets_fields(daemon: harness.Daemon, folders: Iterator[pathlib.Path]) -> None:
    folder = next(folders)
    gate = harness.Gate(folder, {"hail": daemon.uri("unix")})
    command = ["unshare", "-m", "sh", "-c", JOURNAL, "sh", sys.executable, "-c", JOURNALD]
    done = subprocess.run(
        [*command, harness.GATE, str(gate.config), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    code, entries, written = json.loads(done.stdout)
    assert code == 0
    assert written == 0
    listen = next(entry for entry in entries if "VIRTGATE_EVENT=listen" in entry).splitlines()
    assert f"VIRTGATE_SOCKET={gate.socket}" in listen
    assert "PRIORITY=6" in listen
    assert "SYSLOG_IDENTIFIER=virtgate" in listen
    assert f"MESSAGE=listen socket={gate.socket} target=-" in listen


@pytest.mark.parametrize("opens", [(), ("qemu+ssh://*@*.example.com/system",)])
def test_a_password_in_what_a_client_opens_is_not_written(
    daemon: harness.Daemon, make_gate: MakeGate, opens: tuple[str, ...]
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, open_uris=opens, audit_calls=True)
    names = [
        "qemu+ssh://monitor:s3cret@one.example.com/system",
        "QEMU://monitor:s3cret@one.example.com:16514/system?name=x",
        "qemu+ext://monitor:s3cret@one.example.com/system?command=/bin/true",
    ]
    for name in names:
        with raw.Client(gate.socket) as client, pytest.raises(raw.LibvirtError) as refused:
            client.open(name)
        assert "s3cret" not in str(refused.value)
    command = [harness.GATE, "status", "--json", "--control", gate.control]
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    status = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    gate.stop()
    written = gate.audit.read_text(), (gate.folder / "gate.log").read_text()
    for text in written:
        assert "one.example.com" in text
    for text in (*written, status):
        assert "s3cret" not in text


# A file system of which all but a few pages are taken.
FULL = """
set -e
mount -t tmpfs -o size=32k none "$0"
head -c 20k /dev/zero > "$0/filler"
exec "$@"
"""


@pytest.mark.skipif(not harness.may_unshare(), reason="needs a file system of its own")
def test_a_full_disk_stops_no_client_and_tears_no_line(
    daemon: harness.Daemon, folders: Iterator[pathlib.Path]
) -> None:
    folder = next(folders)
    disk = folder / "disk"
    disk.mkdir()
    keys = {"file": str(disk / "audit.json"), "calls": True, "sync": "each"}
    gate = harness.Gate(folder, {"hail": daemon.uri("unix")}, sections={"audit": keys})
    gate.launcher = ["unshare", "-m", "sh", "-c", FULL, str(disk)]
    try:
        gate.start()
        inside = pathlib.Path(f"/proc/{gate.pid}/root") / disk.relative_to("/")
        with busy.Crew(gate.socket, "hail", 3) as crew:
            gate.logged("cannot write to the audit file: No space left on device")
            crew.progress(300)
            harness.wait_for("the gate to count", lambda: ask.status(gate)["audit_lost"] > 0)
            (inside / "filler").unlink()
            harness.wait_for("the file to tell", lambda: _losses(inside / "audit.json"))
            crew.progress(50)
    finally:
        gate.stop()


def _losses(path: pathlib.Path) -> list[Any]:
    """Of a file whose lines are all whole, but for one that is being written."""
    whole = path.read_text().rpartition("\n")[0]
    return [one for one in map(json.loads, whole.splitlines()) if one["event"] == "audit-lost"]


# A disk that answers nothing while the file is there.
HANGS = """
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>

int fdatasync(int fd) {
  const char *file = getenv("HANGS_WHILE");
  while (file != NULL && access(file, F_OK) == 0) usleep(20 * 1000);
  return (int)syscall(SYS_fdatasync, fd);
}
"""


def test_a_disk_that_hangs_stops_no_client(
    daemon: harness.Daemon, folders: Iterator[pathlib.Path]
) -> None:
    folder = next(folders)
    switch = folder / "on"
    library = harness.preloaded(folder, "hangs", HANGS)
    keys = {"file": str(folder / "audit.json"), "sync": "each"}
    gate = harness.Gate(folder, {"hail": daemon.uri("unix")}, sections={"audit": keys})
    gate.environment = {"LD_PRELOAD": str(library), "HANGS_WHILE": str(switch)}
    try:
        gate.start()
        switch.touch()
        with busy.Crew(gate.socket, "hail", 3) as crew:
            crew.progress(100)
            os.kill(gate.pid, signal.SIGHUP)
            gate.logged(" reloaded")
            for _ in range(10):
                with raw.connect(gate.socket, "hail") as one:
                    assert one.version() > 0
            crew.progress(100)
            text = gate.audit.read_text()
            assert text.count('"event":"open"') < 10
            switch.unlink()
            harness.wait_for(
                "the records", lambda: gate.audit.read_text().count('"event":"open"') >= 13
            )
        switch.touch()
        begin = time.monotonic()
        gate.stop()
        assert time.monotonic() - begin < 15
    finally:
        switch.unlink(missing_ok=True)
        gate.stop()


STRANGER = 61033


def test_noise_keeps_no_open_out_of_the_records(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    targets = {"hail": daemon.uri("unix"), "secret": daemon.uri("unix")}
    gate = make_gate(targets, audit_calls=True)
    noise = 6000
    with raw.connect(gate.socket, "hail") as one:
        machine = one.domain("machine1")
        for _ in range(noise // 100):
            for _ in range(100):
                one.post(raw.DOMAIN_DESTROY, machine)
            assert {one.receive().status for _ in range(100)} == {raw.ERROR}
        with raw.connect(gate.socket, "secret") as other:
            assert other.version() > 0
    # The noise is more than is recorded, or nothing would have been kept out.
    harness.wait_for("the open", lambda: _of_secret(gate, "open"))
    harness.wait_for("the call", lambda: _of_secret(gate, "call"))
    assert 0 < len(records(gate, "refused")) < noise


def _of_secret(gate: harness.Gate, event: str) -> list[dict[str, Any]]:
    return [one for one in records(gate, event) if one["target"] == "secret"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")
def test_a_user_takes_no_more_than_a_share_of_the_disk(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    rules = ({"users": ["0", str(STRANGER)], "targets": ["*"], "allow": ["*"]},)
    gate = make_gate({"hail": daemon.uri("unix")}, rules=rules, audit_calls=True, user_audit="64KiB")
    with raw.connect(gate.socket, "hail") as one:
        for _ in range(450):
            assert one.version() > 0
    gate.logged("share-spent of=audit uid=0 bytes_a_day=65536")
    harness.wait_for("the records", lambda: len(records(gate, "call")) > 50)
    machines.check_version_as(STRANGER, gate, "hail")

    def recorded() -> bool:
        return any(one["uid"] == STRANGER for one in records(gate, "call"))

    harness.wait_for("the other user's record", recorded)
    assert gate.audit.stat().st_size < 2 * 32768
    assert gate.log().count("share-spent") == 1
    ask.check_dropped(gate, "audit", "log")
