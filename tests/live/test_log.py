"""A log that nobody reads stops no client, and not the end of the service; one user fills no log."""

import fcntl
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any, Iterator

import pytest

import ask
import harness
import machines
import raw
import victims

STRANGER = 65534
MANY = 300


def test_a_pipe_that_nobody_reads(daemon: harness.Daemon, folders: Iterator[pathlib.Path]) -> None:
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")})
    pipe = gate.path("errors")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    gate.launcher = ["sh", "-c", 'errors=$1; shift; exec "$@" 2>"$errors"', "sh", pipe]
    gate.arguments = ["--log-level", "debug"]
    try:
        gate.start()

        def come_and_go() -> None:
            for _ in range(MANY):
                with raw.connect(gate.socket, "hail") as one:
                    assert one.version() > 0

        with victims.Victims(gate.socket, ["hail"] * 2, range(1, 100)) as others:
            others.bear("a log that nobody reads", come_and_go, 4.0)
        begin = time.monotonic()
        gate.stop()
        assert time.monotonic() - begin < 10
        text = os.read(reader, 65536)
        assert b" debug open " in text
    finally:
        gate.stop()
        os.close(reader)


JOURNAL = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal
exec "$@"
"""

# The journal's socket is there, and takes what the kernel keeps for it; nobody reads.
JOURNALD = """
import json, os, socket, subprocess, sys, time
gate, config, path, many = sys.argv[1:]
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
def connect():
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(10)
    one.connect(path)
    return one
with open(path + ".errors", "w+") as errors:
    status = os.fstat(errors.fileno())
    env = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    command = [gate, "serve", "--config", config, "--log-level", "debug"]
    with subprocess.Popen(command, stderr=errors, env=env) as process:
        for _ in range(1000):
            try:
                connect().close()
                break
            except OSError:
                time.sleep(0.02)
        ended = 0
        for _ in range(int(many)):
            with connect() as one:
                one.sendall(bytes(28))
                while one.recv(4096):
                    pass
                ended += 1
        begin = time.monotonic()
        process.terminate()
        process.wait(30)
        took = time.monotonic() - begin
        taken = 0
        journal.setblocking(False)
        try:
            while journal.recv(65536):
                taken += 1
        except BlockingIOError:
            pass
        print(json.dumps([ended, process.returncode, took, taken]))
"""


@pytest.mark.skipif(not harness.may_unshare(), reason="needs a /run of its own")
def test_a_journal_that_nobody_reads(daemon: harness.Daemon, folders: Iterator[pathlib.Path]) -> None:
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")})
    command = ["unshare", "-m", "sh", "-c", JOURNAL, "sh", sys.executable, "-c", JOURNALD]
    done = subprocess.run(
        [*command, harness.GATE, str(gate.config), gate.socket, str(MANY)],
        capture_output=True, text=True, check=False, timeout=harness.PATIENCE,
        env=harness.environment(gate.folder),
    )
    assert done.returncode == 0, done.stderr
    ended, code, took, taken = _figures(done.stdout)
    assert (ended, code) == (MANY, 0)
    assert took < 10
    # The test proves something only if the journal was full.
    assert taken < MANY


def _figures(text: str) -> Any:
    return json.loads(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")
def test_a_user_takes_no_more_than_a_share_of_the_log(
    daemon: harness.Daemon, folders: Iterator[pathlib.Path]
) -> None:
    rules = ({"users": ["0", str(STRANGER)], "targets": ["*"], "allow": ["*"]},)
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")}, rules=rules, user_log="64KiB")
    gate.arguments = ["--log-level", "debug"]
    try:
        gate.start()
        with victims.Victims(gate.socket, ["hail"] * 2, range(1, 100)) as others:
            others.bear("a user who fills the log", lambda: _visit(gate, 300), 4.0)
        gate.logged("share-spent of=log uid=0 bytes_a_day=65536")
        machines.check_version_as(STRANGER, gate, "hail")
        gate.logged(f" uid={STRANGER} ")
        about = [line for line in gate.log().splitlines() if " uid=0 " in line]
        assert sum(len(line) + 1 for line in about) < 2 * 32768
        assert gate.log().count("share-spent") == 1
        ask.check_dropped(gate, "log", "audit")
    finally:
        gate.stop()


def _visit(gate: harness.Gate, times: int) -> None:
    for _ in range(times):
        raw.connect(gate.socket, "hail").close()
