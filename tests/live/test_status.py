"""`virtgate status`: what a running gate says of itself, and who may hear it."""

import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import time
from typing import Any, Callable, Iterator

import pytest

import ask
import harness
import raw

MakeGate = Callable[..., harness.Gate]

STRANGER = 54321
ENTER, LEAVE = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


@pytest.fixture
def gate(daemon: harness.Daemon, make_gate: MakeGate) -> harness.Gate:
    dead = {"uri": "test+tcp://127.0.0.1:1/default", "retry_timeout": "0s"}
    one = make_gate({"hail": daemon.uri("unix"), "sleet": dead})
    harness.wait_for("the control socket", lambda: harness.answers(one.control))
    return one


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [harness.GATE, "status", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
        **options,
    )


def test_what_there_is(gate: harness.Gate) -> None:
    with raw.connect(gate.socket, "hail") as one:
        for _ in range(7):
            one.version()
        with pytest.raises(raw.LibvirtError):
            raw.connect(gate.socket, "sleet")
        done = run("--control", gate.control)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(r"^hail +open +unix +1 +1 +0 +0 +7 ", done.stdout, re.MULTILINE)
        assert re.search(r"^sleet +failing .* ago, connect: .*refused", done.stdout, re.MULTILINE)
        assert re.search(rf"^\d+ +\w+ +hail +open +{os.getpid()} +7 ", done.stdout, re.MULTILINE)
        assert "\x1b" not in done.stdout
        found = json.loads(run("--control", gate.control, "--json").stdout)
    assert found["client_count"] >= 1
    assert found["pid"] == gate.pid
    hail = ask.named(found["targets"], "hail")
    assert (hail["state"], hail["clients"]) == ("open", 1)
    assert ask.named(found["counters"], "hail")["calls"] == {
        "passed": 7,
        "answered": 1,
        "refused": 0,
    }
    (client,) = [one for one in found["clients"] if one["target"] == "hail"]
    assert (client["pid"], client["uid"], client["calls"]) == (os.getpid(), os.geteuid(), 7)


def test_calls_that_are_under_way(
    own_daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    """A daemon that is stopped answers nothing."""
    gate = make_gate({"hail": own_daemon.uri("unix")})
    with raw.connect(gate.socket, "hail") as one:
        assert own_daemon.process is not None
        os.kill(own_daemon.process.pid, signal.SIGSTOP)
        try:
            for number in range(1, 7):
                one.post(raw.DOMAIN_LOOKUP_BY_NAME, raw.string(f"machine{number}"))
            harness.wait_for(
                "the calls",
                lambda: ask.named(ask.status(gate)["targets"], "hail")["in_flight"] >= 4,
            )
            hail = ask.named(ask.status(gate)["targets"], "hail")
            assert hail["in_flight"] + hail["waiting"] == 6
        finally:
            os.kill(own_daemon.process.pid, signal.SIGCONT)
        answers = [one.receive() for _ in range(6)]
        assert {answer.serial for answer in answers} == set(range(one.serial - 5, one.serial + 1))
        assert {answer.status for answer in answers} == {raw.OK}
    harness.wait_for(
        "the end", lambda: ask.named(ask.status(gate)["targets"], "hail")["clients"] == 0
    )


def test_no_gate(tmp_path: pathlib.Path) -> None:
    done = run("--control", str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory; no gate runs there" in done.stderr
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    assert "Connection refused; no gate runs there" in run(
        "--control", str(tmp_path / "left"), "--watch"
    ).stderr
    assert run("--json", "--watch").returncode == 2
    assert run("--control").returncode == 2


def test_the_usual_place(daemon: harness.Daemon, tmp_path: pathlib.Path) -> None:
    """A gate without a configuration has its control socket beside its own, where status looks."""
    tmp_path.chmod(0o755)
    env = harness.environment(tmp_path) | {"RUNTIME_DIRECTORY": str(tmp_path / "run")}
    (tmp_path / "run").mkdir()
    command = [harness.GATE, "serve", "--target", f"hail={daemon.uri('unix')}"]
    gate = harness.Process(command, tmp_path / "log", env)
    try:
        place = tmp_path / "run" / "control"
        harness.wait_for("the gate", lambda: harness.answers(str(place)))
        assert place.stat().st_mode & 0o777 == 0o600
        assert "hail" in run(env=env).stdout
    finally:
        assert gate.end() == 0
    assert not place.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_strangers_are_refused(
    daemon: harness.Daemon, make_gate: MakeGate, folders: Iterator[pathlib.Path]
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    done = run("--control", gate.control, user=STRANGER)
    assert done.returncode == 1
    assert "Permission denied; only its own user, root and the group of [control]" in done.stderr
    name = f"@virtgate-control-{os.getpid()}"
    abstract = make_gate({"hail": daemon.uri("unix")}, sections={"control": {"path": name}})
    harness.wait_for("the control socket", lambda: harness.answers("\0" + name[1:]))
    assert run("--control", name).returncode == 0
    done = run("--control", name, user=STRANGER)
    assert (done.returncode, done.stdout) == (1, "")
    assert "closed without an answer; only the gate's own user, root" in done.stderr
    abstract.logged(f"control-refused uid={STRANGER}")


def test_a_control_socket_that_cannot_be(
    daemon: harness.Daemon, make_gate: MakeGate, tmp_path: pathlib.Path
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    other = harness.Gate(
        tmp_path, {"hail": daemon.uri("unix")}, sections={"control": {"path": gate.control}}
    )
    try:
        other.start()
        other.logged(f"degraded reason=\"{gate.control}: someone already listens there")
        with raw.connect(other.socket, "hail") as client:
            assert client.version() > 0
    finally:
        other.stop()


class Terminal:
    """A child on a terminal of its own."""

    def __init__(self, command: list[str], rows: int, columns: int) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, os.environ | {"TERM": "xterm"})
        self.resize(rows, columns)
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, what: bytes, times: int = 1) -> bytes:
        """Reads until it has come so often."""
        deadline = time.monotonic() + harness.PATIENCE
        while self.seen.count(what) < times:
            assert time.monotonic() < deadline, self.seen
            self.read()
        return self.seen

    def read(self) -> bool:
        """False: nobody writes any more."""
        try:
            piece = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.seen += piece
        return bool(piece)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self, number: int) -> int:
        """Its exit code."""
        os.kill(self.pid, number)
        return self.exit()

    def exit(self) -> int:
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def frames(seen: bytes) -> list[bytes]:
    return seen.split(b"\x1b[H")[1:]


@pytest.fixture
def watch(gate: harness.Gate) -> Iterator[Callable[[int, int], Terminal]]:
    terminals = []

    def start(rows: int, columns: int) -> Terminal:
        command = [harness.GATE, "status", "--watch", "--control", gate.control]
        terminals.append(Terminal(command, rows, columns))
        return terminals[-1]

    yield start
    for one in terminals:
        os.close(one.fd)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_watching_leaves_the_terminal_as_it_was(
    watch: Callable[[int, int], Terminal], number: int
) -> None:
    one = watch(24, 80)
    one.wait_for(b"TARGET")
    assert not one.echoes()
    assert one.end(number) == 0
    assert one.seen.startswith(ENTER)
    assert one.seen.endswith(LEAVE)
    assert one.seen.count(ENTER) == 1 and one.seen.count(LEAVE) == 1


def test_watching_fits_the_terminal(
    gate: harness.Gate, watch: Callable[[int, int], Terminal]
) -> None:
    one = watch(24, 80)
    one.wait_for(b"CALLS/S")
    clients = [raw.connect(gate.socket, "hail") for _ in range(30)]
    try:
        one.resize(12, 30)
        one.wait_for(b"more lines")
        one.wait_for(b"\x1b[H", one.seen.count(b"\x1b[H") + 3)
    finally:
        for client in clients:
            client.close()
    assert one.end(signal.SIGINT) == 0
    last = frames(one.seen)[-1].removesuffix(LEAVE).removesuffix(b"\x1b[?7h")
    lines = last.split(b"\r\n")
    assert len(lines) == 12
    for line in lines:
        assert len(re.sub(rb"\x1b\[[0-9?]*[A-Za-z]|\r", b"", line)) <= 30
    assert re.search(rb"\(\d+\.\d/s", one.seen)


def test_a_stopped_watch_gives_the_terminal_back(watch: Callable[[int, int], Terminal]) -> None:
    one = watch(24, 80)
    one.wait_for(b"TARGET")
    os.kill(one.pid, signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(one.pid, os.WUNTRACED)[1])
    one.wait_for(LEAVE)
    os.kill(one.pid, signal.SIGCONT)
    one.wait_for(ENTER, 2)
    assert one.end(signal.SIGINT) == 0


def test_watching_a_gate_that_goes(
    gate: harness.Gate, watch: Callable[[int, int], Terminal]
) -> None:
    one = watch(24, 120)
    one.wait_for(b"TARGET")
    gate.stop()
    one.wait_for(b"no gate runs there")
    gate.start()
    count = one.seen.count(b"\x1b[H")
    one.wait_for(b"\x1b[H", count + 3)
    assert one.end(signal.SIGINT) == 0
    assert b"no gate runs there" not in frames(one.seen)[-1]


def test_watching_without_a_terminal(gate: harness.Gate) -> None:
    command = [harness.GATE, "status", "--watch", "--control", gate.control]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout is not None and one.stderr is not None
        blocks: list[str] = []
        while len(blocks) < 2:
            lines = list(iter(one.stdout.readline, "\n"))
            tables = list(iter(one.stdout.readline, "\n"))
            blocks += ["".join(lines + tables)] if lines[0].startswith("virtgate ") else []
        assert "\x1b" not in "".join(blocks)
        gate.stop()
        assert one.wait(harness.PATIENCE) == 1
        assert "no gate runs there" in one.stderr.read()
