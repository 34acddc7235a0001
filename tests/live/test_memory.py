"""What all clients make a gate hold together is bounded, and a gate that has no more memory says so."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
from typing import Any, Callable, Iterator

import pytest

import ask
import harness
import machines
import raw
import stuck
import victims

MakeGate = Callable[..., harness.Gate]

MIB = 1 << 20
BUSY = 50.0  # milliseconds, for a machine that is busy with other tests
OUT_OF_MEMORY = 71  # EX_OSERR
SANITIZED = harness.BUILD.name == "sanitize"

STATISTICS = "stuck.STATISTICS"
DESCRIPTION = "stuck.GET_XML_DESC"
# Bodies of calls, each another one, so that no answer is for two of them.
BODIES = {
    STATISTICS: "raw.uint(0) + raw.uint(1 + (number * {calls} + call) % 2047) + raw.uint({uid} % 8)",
    DESCRIPTION: "stuck.machine(1 + number) + raw.uint(0)",
}
# Clients of one user who ask for much and read so many bytes of it at most, until their input ends.
HOARD = """
import select, socket, sys
import raw, stuck
here = []
for number in range({clients}):
    one = socket.socket(socket.AF_UNIX)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect({path!r})
    frames = raw.frame(raw.AUTH_LIST, b"", serial=1)
    frames += raw.frame(raw.CONNECT_OPEN, raw.open_body("hail"), serial=2)
    for call in range({calls}):
        frames += raw.frame({procedure}, {body}, serial=3 + call)
    one.sendall(frames)
    one.setblocking(False)
    here.append(one)
print("here", flush=True)
left = dict.fromkeys(here, {read})
while any(left.values()) and not select.select([sys.stdin], [], [], 0.001)[0]:
    for one in here:
        try:
            left[one] -= len(one.recv(min(left[one], 65536)))
        except BlockingIOError:
            pass
sys.stdin.read()
"""


@contextlib.contextmanager
def hoards(
    gate: harness.Gate,
    uids: range,
    clients: int,
    calls: int,
    procedure: str = STATISTICS,
    read: int = 0,
) -> Iterator[None]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as stack:
        for uid in uids:
            numbers = {"clients": clients, "calls": calls, "uid": uid, "read": read}
            body = BODIES[procedure].format(**numbers)
            script = HOARD.format(path=gate.socket, procedure=procedure, body=body, **numbers)
            one = machines.run_as(uid, script, **pipes)
            stack.callback(one.communicate)
            assert one.stdout is not None
            one.stdout.readline()
        yield


def buffer(gate: harness.Gate) -> dict[str, Any]:
    found = ask.status(gate)["buffer"]
    assert isinstance(found, dict)
    return found


def test_what_all_users_hold_is_bounded_and_who_has_little_goes_on(
    folders: Iterator[pathlib.Path], make_gate: MakeGate
) -> None:
    folder = next(folders)
    with stuck.running(str(folder / "hail.sock")) as daemon:
        target = {"uri": daemon.uri(0), "upstreams": 4}
        gate = make_gate({"hail": target}, buffer="4MiB", user_buffer="1MiB")
        with hoards(gate, range(61001, 61021), 8, 64):
            harness.wait_for("it to be scarce", lambda: buffer(gate)["users_over_share"] > 0)
            with raw.connect(gate.socket, "hail") as other:
                for number in range(1, 50):
                    assert other.domain(f"machine{number}")
            now = buffer(gate)
            assert now["bound"] == 4 * MIB
            # Beyond it there is for each user what anybody may hold, and the answer that came to it.
            assert MIB < now["held"] < 4 * MIB + 20 * (64 + 16) * 1024
            assert harness.memory(gate.pid) < 100 * MIB
            code, _, metrics = ask.fetch(gate.control, "/metrics")
            assert code == 200
            assert f"virtgate_buffer_limit_bytes {4 * MIB}\n" in metrics
            text = ask.status_text(gate)
            assert re.search(r"^buffer +[\d.]+ MiB of 4.0 MiB held", text, re.MULTILINE), text
        harness.wait_for("all to be gone", lambda: buffer(gate)["held"] == 0)


@pytest.mark.parametrize("read", [0, 3_000_000])
def test_long_replies_that_nobody_reads_to_the_end_stay_at_the_daemon(
    folders: Iterator[pathlib.Path], make_gate: MakeGate, read: int
) -> None:
    folder = next(folders)
    size = 4_000_000
    with stuck.running(str(folder / "hail.sock")) as daemon:
        daemon.describe(size)
        target = {"uri": daemon.uri(0), "upstreams": 4, "spare": 2}
        gate = make_gate({"hail": target}, user_buffer="16MiB")
        with victims.Victims(gate.socket, ["hail"] * 2, range(101, 151)) as others:
            alone = others.times(1.5)
            before = harness.memory(gate.pid)
            with hoards(gate, range(61001, 61002), 200, 1, DESCRIPTION, read):
                harness.wait_for("much to be held", lambda: buffer(gate)["held"] > 8 * MIB)
                beside = others.times(2)
                held, memory = buffer(gate)["held"], harness.memory(gate.pid) - before
        print(f"{beside.beside(alone)}; {held / MIB:.1f} MiB held, {memory / MIB:.1f} MiB more")
        # What is over: one reply that came when there was still room, and one on each connection.
        assert held <= 16 * MIB + size
        if not SANITIZED:
            assert memory <= 16 * MIB + (1 + 6) * size * 9 / 8 + 16 * MIB
        assert beside.p99 <= 1.5 * alone.p99 + BUSY
        harness.wait_for("all to be gone", lambda: buffer(gate)["held"] == 0)


def test_the_last_words_say_who_held_the_memory(
    folders: Iterator[pathlib.Path], make_gate: MakeGate
) -> None:
    folder = next(folders)
    with stuck.running(str(folder / "hail.sock")) as daemon:
        gate = make_gate(
            {"hail": {"uri": daemon.uri(0), "upstreams": 16}}, buffer="1GiB", user_buffer="1GiB"
        )
        size = int(pathlib.Path(f"/proc/{gate.pid}/statm").read_text().split()[0])
        most = size * os.sysconf("SC_PAGESIZE") + 8 * MIB
        resource.prlimit(gate.pid, resource.RLIMIT_AS, (most, most))
        assert gate.process is not None
        process, gate.process = gate.process, None
        try:
            with hoards(gate, range(61001, 61005), 100, 64):
                harness.wait_for("the gate to end", lambda: not process.running())
        finally:
            process.end(signal.SIGKILL)
        code, log = process.popen.wait(harness.PATIENCE), process.output()
        if SANITIZED:
            # They end the process themselves.
            assert re.search("out.of.memory", log, re.IGNORECASE), log[-4000:]
            return
        assert code == OUT_OF_MEMORY
        assert not harness.TROUBLE.search(log), log[-4000:]
        assert re.search(
            r"^virtgate: out of memory; resident \d+ bytes; \d+ clients of \d+ users held \d+ "
            r"bytes, of 1073741824 that \[limits\] buffer allows: user 61\d+ \d+",
            log.splitlines()[-1],
        ), log[-4000:]
