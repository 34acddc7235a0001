"""`virtgate bridge` in each of its places, with real virsh and real sshd."""

import contextlib
import dataclasses
import fcntl
import getpass
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading
from typing import Any, Callable, Iterator

import pytest

import harness
import raw
import sshd

MakeGate = Callable[..., harness.Gate]
MakeServer = Callable[[], sshd.Server]

NOBODY = 65534
MACHINES = "machine1"
REFUSED = "operation forbidden"


@pytest.fixture
def folder(folders: Iterator[pathlib.Path]) -> pathlib.Path:
    return next(folders)


@pytest.fixture
def make_server(folders: Iterator[pathlib.Path]) -> Iterator[MakeServer]:
    with contextlib.ExitStack() as stack:

        def make() -> sshd.Server:
            one = sshd.Server(next(folders))
            stack.callback(one.stop)
            return one.start()

        yield make


def script(path: pathlib.Path, *words: str) -> pathlib.Path:
    """A program that runs these words with its own arguments behind them."""
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(0o755)
    return path


def link(folder: pathlib.Path, name: str) -> pathlib.Path:
    path = folder / name
    path.symlink_to(harness.GATE)
    return path


def virsh(uri: str, folder: pathlib.Path, *command: str) -> tuple[int, str, str]:
    """Read-write, so that it is not virsh itself that refuses."""
    done = subprocess.run(
        ["virsh", "-c", uri, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE * 2,
        env=harness.environment(folder),
    )
    return done.returncode, done.stdout, done.stderr


def check_reads_only(uri: str, folder: pathlib.Path, machine: str, direct: str) -> None:
    """What virsh prints is what it prints without us, and it destroys nothing."""
    for command in (["list", "--all"], ["dumpxml", machine], ["net-list", "--all"]):
        result = virsh(uri, folder, *command)
        assert result == virsh(direct, folder, *command)
        assert result[0] == 0
    _, output, errors = virsh(uri, folder, f"destroy {machine}; domstate {machine}")
    assert REFUSED in errors, errors
    assert "running" in output


@dataclasses.dataclass
class Bridge:
    """A bridge between two pipes of ours."""

    popen: subprocess.Popen[bytes]
    data: bytearray = dataclasses.field(default_factory=bytearray)
    serial: int = 0

    def send(self, data: bytes) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def post(self, procedure: int, body: bytes = b"") -> int:
        self.serial += 1
        self.send(raw.frame(procedure, body, serial=self.serial))
        return self.serial

    def frames(self) -> Iterator[raw.Frame]:
        assert self.popen.stdout is not None
        while data := os.read(self.popen.stdout.fileno(), 1 << 16):
            self.data += data
            yield from raw.frames_of(self.data)

    def reply(self, serial: int) -> raw.Frame:
        return next(one for one in self.frames() if one.serial == serial and one.kind == raw.REPLY)

    def ask(self, procedure: int, body: bytes = b"") -> raw.Frame:
        return self.reply(self.post(procedure, body))

    def open(self, name: str = "") -> raw.Frame:
        self.ask(raw.AUTH_LIST)
        return self.ask(raw.CONNECT_OPEN, raw.open_body(name, 0))

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it says on standard error."""
        assert self.popen.stdin and self.popen.stdout and self.popen.stderr
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()
        code = self.popen.wait(harness.PATIENCE)
        errors = self.popen.stderr.read().decode()
        assert not harness.TROUBLE.search(errors), errors
        return code, errors


@pytest.fixture
def start(folder: pathlib.Path) -> Iterator[Callable[..., Bridge]]:
    with contextlib.ExitStack() as stack:

        def make(*arguments: str, program: str = harness.GATE, **options: Any) -> Bridge:
            pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
            env = harness.environment(folder) | options.pop("env", {})
            popen = subprocess.Popen([program, *arguments], env=env, **(pipes | options))
            stack.callback(popen.wait, harness.PATIENCE)
            stack.callback(popen.kill)
            for pipe in (popen.stdin, popen.stdout, popen.stderr):
                if pipe:
                    stack.callback(pipe.close)
            return Bridge(popen)

        yield make


def run(
    *arguments: str, folder: pathlib.Path, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options
    done = subprocess.run(
        [harness.GATE, *arguments],
        env=harness.environment(folder) | (env or {}),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
        **options,
    )
    assert not harness.TROUBLE.search(done.stderr), done.stderr
    return done


def test_as_a_command_of_ext(daemon: harness.Daemon, folder: pathlib.Path) -> None:
    command = script(folder / "way", harness.GATE, "bridge", daemon.uri("unix"))
    uri = f"test+ext://{daemon.file}?command={command}"
    check_reads_only(uri, folder, MACHINES, daemon.uri("unix"))


def test_a_target_of_a_configuration(
    daemon: harness.Daemon, folder: pathlib.Path, make_gate: MakeGate
) -> None:
    gate = make_gate({"machines": daemon.uri("tcp")})
    words = [harness.GATE, "bridge", "--config", str(gate.config), "machines"]
    command = script(folder / "way", *words)
    uri = f"test+ext://{daemon.file}?command={command}"
    check_reads_only(uri, folder, MACHINES, daemon.uri("unix"))
    code, _, errors = virsh(f"qemu+ext:///system?command={command}", folder, "list")
    assert code != 0
    assert "no target has the URI" in errors


def test_without_arguments_the_environment_says_what_is_opened(
    daemon: harness.Daemon, folder: pathlib.Path, start: Callable[..., Bridge]
) -> None:
    program = str(link(folder, "virtgate-bridge"))
    bridge = start(program=program, env={"LIBVIRT_DEFAULT_URI": daemon.uri("unix")})
    assert bridge.open().status == raw.OK
    assert bridge.end() == (0, "")
    done = subprocess.run([program, "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no arguments" in done.stderr


def test_through_a_running_gate(
    daemon: harness.Daemon, folder: pathlib.Path, make_gate: MakeGate
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    named = script(folder / "named", harness.GATE, "bridge", "--via", gate.socket, "machines")
    direct = daemon.uri("unix")
    uri = f"test+ext:///default?command={named}"
    assert virsh(uri, folder, "list", "--all") == virsh(direct, folder, "list", "--all")
    assert REFUSED in virsh(uri, folder, "destroy", MACHINES)[2]
    assert "procedure=DOMAIN_DESTROY" not in gate.log()
    plain = script(folder / "plain", harness.GATE, "bridge", "--via", gate.socket)
    check_reads_only(f"test+ext://{daemon.file}?command={plain}", folder, MACHINES, direct)
    gate.logged("procedure=DOMAIN_DESTROY")


def test_unfiltered_lets_everything_pass(
    daemon: harness.Daemon, folder: pathlib.Path
) -> None:
    """The machines of a file are each connection's own, so that nobody else is harmed."""
    command = script(folder / "way", harness.GATE, "bridge", "--unfiltered", daemon.uri("unix"))
    uri = f"test+ext://{daemon.file}?command={command}"
    code, output, _ = virsh(uri, folder, f"destroy {MACHINES}; domstate {MACHINES}")
    assert code == 0
    assert "shut off" in output


def home_knows(folder: pathlib.Path, server: sshd.Server) -> None:
    harness.environment(folder)
    known = folder / "home/.ssh/known_hosts"
    known.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(server.known_hosts, known)


@pytest.mark.parametrize("program", ["virtgate", "virtgate-ssh"])
def test_in_place_of_ssh(
    program: str, daemon: harness.Daemon, folder: pathlib.Path, make_server: MakeServer
) -> None:
    server = make_server()
    home_knows(folder, server)
    where = f"{getpass.getuser()}@127.0.0.1:{server.port}"
    command = link(folder, program)
    more = f"command={command}&keyfile={server.key}"
    netcat = f"test+ssh://{where}/default?socket={daemon.unix}&no_tty=1&{more}"
    check_reads_only(netcat, folder, "test", daemon.uri("unix", "/default"))
    assert server.connections() == 4

    link(server.programs, "virt-ssh-helper")
    name = f"test://{daemon.file}%3Fsocket={daemon.unix}"
    native = f"test+ssh://{where}/default?proxy=native&name={name}&{more}"
    check_reads_only(native, folder, MACHINES, daemon.uri("unix"))
    code, _, errors = virsh(netcat + "&no_verify=1", folder, "list")
    assert code != 0
    assert "host keys are always verified" in errors
    server.known_hosts.write_text("# none\n")
    home_knows(folder, server)
    code, _, errors = virsh(netcat, folder, "list")
    assert code != 0
    assert "is not known" in errors


def ssh(folder: pathlib.Path, server: sshd.Server) -> pathlib.Path:
    """The system's ssh, with nobody's configuration."""
    options = ["-F", "none", "-o", f"UserKnownHostsFile={server.known_hosts}"]
    return script(folder / "ssh", "ssh", *options)


def far_uri(folder: pathlib.Path, server: sshd.Server, path: str, more: str = "") -> str:
    where = f"{getpass.getuser()}@127.0.0.1:{server.port}"
    return f"test+ssh://{where}{path}?command={ssh(folder, server)}&keyfile={server.key}{more}"


def test_linked_as_virt_ssh_helper(
    daemon: harness.Daemon, folder: pathlib.Path, make_server: MakeServer
) -> None:
    server = make_server()
    link(server.programs, "virt-ssh-helper")
    name = f"test://{daemon.file}%3Fsocket={daemon.unix}"
    for proxy in ("native", "auto"):
        uri = far_uri(folder, server, "/default", f"&proxy={proxy}&name={name}")
        check_reads_only(uri, folder, MACHINES, daemon.uri("unix"))
    other = "test%2Btcp://127.0.0.1:1/default"
    code, _, errors = virsh(
        far_uri(folder, server, "/default", f"&proxy=native&name={other}"), folder, "list"
    )
    assert code != 0
    assert "leaves this host" in errors


def test_linked_as_netcat(
    daemon: harness.Daemon, folder: pathlib.Path, make_server: MakeServer
) -> None:
    server = make_server()
    link(server.programs, "virtgate-nc")
    more = f"&netcat=virtgate-nc&socket={daemon.unix}"
    uri = far_uri(folder, server, "/default", more)
    check_reads_only(uri, folder, "test", daemon.uri("unix", "/default"))
    code, _, errors = virsh(far_uri(folder, server, str(daemon.file), more), folder, "list")
    assert code != 0
    assert "no target has the URI" in errors


class Forced:
    """A server whose one key may do nothing but run the bridge."""

    def __init__(
        self,
        server: sshd.Server,
        gate: harness.Gate,
        folder: pathlib.Path,
        more: str = "",
        target: str = "machines",
    ) -> None:
        self.server = server
        self.folder = folder
        self.marker = folder / "marker"
        command = f"{harness.GATE} bridge {more}--config {gate.config} {target}"
        key = sshd.public(server.key)
        server.authorized.write_text(f'restrict,pty,command="{command}" {key}')

    def ssh(self, *words: str) -> list[str]:
        where = f"{getpass.getuser()}@127.0.0.1"
        options = ["-p", str(self.server.port), "-i", str(self.server.key), "-T"]
        options += ["-o", "BatchMode=yes"]
        return [str(ssh(self.folder, self.server)), *options, where, *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.ssh(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=harness.PATIENCE,
        )


@pytest.fixture
def forced(
    daemon: harness.Daemon, folder: pathlib.Path, make_server: MakeServer, make_gate: MakeGate
) -> Forced:
    return Forced(make_server(), make_gate({"machines": daemon.uri("unix")}), folder)


@pytest.mark.parametrize(
    "more",
    ["", "&proxy=native", "&netcat=nc", "&netcat=/opt/n%20c", "&socket=/run/else", "&no_tty=1"],
)
def test_a_forced_command(
    more: str, forced: Forced, daemon: harness.Daemon, folder: pathlib.Path
) -> None:
    uri = far_uri(folder, forced.server, str(daemon.file), more)
    check_reads_only(uri, folder, MACHINES, daemon.uri("unix"))
    read_only = ["virsh", "-r", "-c", uri, "list", "--name"]
    done = subprocess.run(read_only, capture_output=True, text=True, check=True)
    assert MACHINES in done.stdout


def test_a_forced_command_opens_nothing_else(forced: Forced, folder: pathlib.Path) -> None:
    for path, more in (("/default", ""), ("/default", "&name=machines2"), ("/etc/passwd", "")):
        code, _, errors = virsh(far_uri(folder, forced.server, path, more), folder, "list")
        assert code != 0
        assert re.search(r"(targets are|one of:) machines; ask your administrator", errors)


def crafted(marker: pathlib.Path) -> dict[str, str]:
    """Commands that do more than libvirt's, each of which would leave the marker behind."""
    touch = f"touch {marker}"
    helper = "sh -c 'virt-ssh-helper 'test:///default''"
    netcat = (
        "sh -c 'if 'nc' -q 2>&1 | grep \"requires an argument\" >/dev/null 2>&1; "
        "then ARG=-q0;else ARG=;fi;'nc' $ARG -U "
    )
    return {
        "another program": touch,
        "behind it": f"{helper}; {touch}",
        "behind it on a line": f"{helper}\n{touch}",
        "before it": f"{touch}; {helper}",
        "both": f"{helper} && {touch}",
        "piped": f"{helper} | {touch}",
        "in the background": f"{helper} & {touch}",
        "inside the shell": f"sh -c 'virt-ssh-helper 'test:///default'; {touch}'",
        "substituted": f"sh -c 'virt-ssh-helper '$({touch})''",
        "substituted in double quotes": f'virt-ssh-helper "$({touch})"',
        "in backticks": f"virt-ssh-helper `{touch}`",
        "in the socket": f"{netcat}/s;{touch}'",
        "substituted in the socket": f"{netcat}/s$({touch})'",
        "in netcat's name": (netcat + "/s'").replace("'nc'", f"'{touch};nc'"),
        "as an environment": f"x=$({touch}) {helper}",
        "redirected": f"{helper} > {marker}",
        "unfiltered": f"{harness.GATE} bridge --unfiltered test+unix:///default",
        "by a file transfer": f"scp -t {marker}",
        "an option of the helper": "virt-ssh-helper --help",
        "very long": f"sh -c 'virt-ssh-helper '{'a' * 100_000}''; {touch}",
    }


@pytest.mark.parametrize("how", crafted(pathlib.Path("x")))
def test_breaking_out_of_a_forced_command(how: str, forced: Forced) -> None:
    done = forced.run(crafted(forced.marker)[how])
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.count("\n") == 1
    assert "is not a command" in done.stderr or "more than any of libvirt's" in done.stderr
    assert not forced.marker.exists()


def test_a_forced_command_without_a_command_filters_too(
    forced: Forced, start: Callable[..., Bridge]
) -> None:
    program, *arguments = forced.ssh()
    bridge = start(*arguments, program=program)
    assert bridge.open().status == raw.OK
    machine = bridge.ask(raw.DOMAIN_LOOKUP_BY_NAME, raw.string(MACHINES))
    destroyed = bridge.ask(raw.DOMAIN_DESTROY, machine.body)
    assert raw.error_of(destroyed).code == raw.OPERATION_DENIED
    assert bridge.end()[0] == 0
    terminal = forced.run("-tt")
    assert terminal.returncode == 2
    assert "is a terminal" in terminal.stdout + terminal.stderr


def test_a_forced_command_is_never_unfiltered(
    daemon: harness.Daemon, folder: pathlib.Path, make_server: MakeServer, make_gate: MakeGate
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    forced = Forced(make_server(), gate, folder, "--unfiltered ")
    for words in ([], ["virt-ssh-helper test:///default"]):
        done = forced.run(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "not for one run by sshd" in done.stderr or "own command line" in done.stderr


REFERENCE = re.compile(r"; ask your administrator \(reference ([0-9a-f]{6})\)$")


class Journal:
    """In place of the host's, for what a server runs that has a /run of its own."""

    def __init__(self, server: sshd.Server) -> None:
        assert server.process
        place = pathlib.Path(f"/proc/{server.process.pid}/root/run/systemd/journal")
        place.mkdir(parents=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(harness.PATIENCE)
        self.socket.bind(str(place / "socket"))

    def until(self, reference: str, part: str) -> str:
        """The first entry under this reference that has that in it."""
        while True:
            entry = self.socket.recv(1 << 16).decode()
            if f"VIRTGATE_REFERENCE={reference}\n" in entry + "\n" and part in entry:
                return entry


@pytest.fixture
def journal() -> Iterator[Callable[[sshd.Server], Journal]]:
    with contextlib.ExitStack() as stack:

        def make(server: sshd.Server) -> Journal:
            one = Journal(server)
            stack.callback(one.socket.close)
            return one

        yield make


def told(text: str) -> tuple[str, str]:
    """A sentence less its reference, and that."""
    found = REFERENCE.search(text.strip())
    assert found, text
    return text.strip()[: found.start()], found[1]


MakeJournal = Callable[[sshd.Server], Journal]
needs_own_run = pytest.mark.skipif(not harness.may_unshare(), reason="needs a /run of its own")


@needs_own_run
def test_a_far_stranger_hears_nothing_of_a_host_key(
    daemon: harness.Daemon,
    folder: pathlib.Path,
    make_server: MakeServer,
    make_gate: MakeGate,
    start: Callable[..., Bridge],
    journal: MakeJournal,
) -> None:
    hypervisor = make_server()
    hypervisor.knows(sshd.make_key(folder / "other"))
    gate = make_gate({"hail": hypervisor.uri(daemon)})
    forced = Forced(make_server(), gate, folder, target="hail")
    entries = journal(forced.server)
    program, *arguments = forced.ssh()
    bridge = start(*arguments, program=program)
    text, reference = told(raw.error_of(bridge.open()).text)
    assert text == "target 'hail' cannot be reached: its host key or certificate was not accepted"
    code, errors = bridge.end()
    assert code == 1
    assert told(errors.removeprefix("virtgate: ")) == (text, reference)
    entry = entries.until(reference, "SHA256:")
    assert str(hypervisor.known_hosts) in entry


@needs_own_run
@pytest.mark.parametrize("how", ["no such target", "a broken file", "no such gate"])
def test_a_far_stranger_hears_nothing_of_the_configuration(
    how: str,
    daemon: harness.Daemon,
    folder: pathlib.Path,
    make_server: MakeServer,
    make_gate: MakeGate,
    journal: MakeJournal,
) -> None:
    gate = make_gate({"machines": daemon.uri("unix"), "other": daemon.uri("unix")})
    forced = Forced(make_server(), gate, folder, target="nix" if how == "no such target" else "")
    part = "targets are machines, other"
    if how == "a broken file":
        with gate.config.open("a") as file:
            file.write("\n[nonsense]\n")
        part = f"{gate.config}:"
    elif how == "no such gate":
        key = sshd.public(forced.server.key)
        command = f"{harness.GATE} bridge --via {folder}/nowhere"
        forced.server.authorized.write_text(f'restrict,command="{command}" {key}')
        part = f"{folder}/nowhere: connect: "
    entries = journal(forced.server)
    done = forced.run()
    assert (done.returncode != 0, done.stdout) == (True, "")
    text, reference = told(done.stderr)
    assert text == "virtgate: this bridge cannot be used as it is set up"
    assert "VIRTGATE_EVENT=bridge-failed" in entries.until(reference, part)


def test_no_name_and_no_variable_leads_past_the_filter(
    daemon: harness.Daemon, folder: pathlib.Path, start: Callable[..., Bridge]
) -> None:
    variables = {
        name: "1" for name in ("UNFILTERED", "VIRTGATE_UNFILTERED", "VIRTGATE_BRIDGE_UNFILTERED")
    }
    for name in ("virtgate-ssh", "virtgate-nc", "virtgate-bridge", "virt-ssh-helper"):
        program = str(link(folder, name))
        done = subprocess.run(
            [program, "--unfiltered", daemon.uri("unix")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=harness.environment(folder) | variables,
        )
        assert done.returncode == 2, name
    bridge = start("-U", daemon.unix, program=str(folder / "virtgate-nc"), env=variables)
    assert bridge.open("test:///default").status == raw.OK
    machine = bridge.ask(raw.DOMAIN_LOOKUP_BY_NAME, raw.string("test"))
    assert raw.error_of(bridge.ask(raw.DOMAIN_DESTROY, machine.body)).code == raw.OPERATION_DENIED
    assert bridge.end() == (0, "")


def test_calls_before_the_end_of_the_input_are_answered(
    daemon: harness.Daemon, start: Callable[..., Bridge]
) -> None:
    bridge = start("bridge", daemon.uri("unix"))
    bridge.post(raw.AUTH_LIST)
    bridge.post(raw.CONNECT_OPEN, raw.open_body(""))
    calls = {bridge.post(raw.CONNECT_GET_LIB_VERSION) for _ in range(200)}
    stats = raw.uint(0) + raw.uint(0) + raw.uint(0)
    calls |= {bridge.post(raw.CONNECT_GET_ALL_DOMAIN_STATS, stats) for _ in range(40)}
    assert bridge.popen.stdin is not None
    bridge.popen.stdin.close()
    answered = {one.serial for one in bridge.frames() if one.status == raw.OK}
    assert calls <= answered
    assert bridge.end() == (0, "")


def test_files_and_sockets_as_standard_streams(
    daemon: harness.Daemon, folder: pathlib.Path
) -> None:
    calls = {raw.AUTH_LIST: b"", raw.CONNECT_OPEN: raw.open_body(""), raw.CONNECT_GET_URI: b""}
    data = b"".join(raw.frame(procedure, body, serial=7) for procedure, body in calls.items())
    given, got = folder / "in", folder / "out"
    given.write_bytes(data)
    with given.open("rb") as stdin, got.open("wb") as stdout:
        done = run("bridge", daemon.uri("unix"), folder=folder, stdin=stdin, stdout=stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert daemon.name.encode() in got.read_bytes()
    near, far = socket.socketpair()
    with near, far:
        near.sendall(data)
        near.shutdown(socket.SHUT_WR)
        run("bridge", daemon.uri("unix"), folder=folder, stdin=far, stdout=far)
        assert not fcntl.fcntl(far, fcntl.F_GETFL) & os.O_NONBLOCK
        far.close()
        near.settimeout(harness.PATIENCE)
        answer = b"".join(iter(lambda: near.recv(65536), b""))
    assert answer == got.read_bytes()


def test_a_reader_that_has_gone_ends_it_quietly(
    daemon: harness.Daemon, start: Callable[..., Bridge]
) -> None:
    for unfiltered in ([], ["--unfiltered"]):
        bridge = start("bridge", *unfiltered, daemon.uri("unix"))
        assert bridge.open(daemon.name).status == raw.OK
        assert bridge.popen.stdout is not None
        bridge.popen.stdout.close()
        assert bridge.popen.wait(harness.PATIENCE) == 1
        assert bridge.end() == (1, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(number: int, daemon: harness.Daemon, start: Callable[..., Bridge]) -> None:
    for unfiltered in ([], ["--unfiltered"]):
        bridge = start("bridge", *unfiltered, daemon.uri("unix"))
        assert bridge.open(daemon.name).status == raw.OK
        bridge.popen.send_signal(number)
        assert bridge.popen.wait(harness.PATIENCE) == 128 + number
        assert bridge.end() == (128 + number, "")


def test_a_slow_reader_slows_only_itself_down(
    daemon: harness.Daemon, start: Callable[..., Bridge]
) -> None:
    bridge = start("bridge", daemon.uri("unix"))
    assert bridge.open().status == raw.OK
    everything = raw.uint(1) + raw.uint(3)
    count = 8000  # more bytes than fit into a pipe and what the bridge takes at a time
    serials = range(bridge.serial + 1, bridge.serial + 1 + count)

    def send() -> None:
        for _ in range(count):
            bridge.post(raw.CONNECT_LIST_ALL_DOMAINS, everything)

    sender = threading.Thread(target=send)
    before = harness.memory(bridge.popen.pid)
    sender.start()
    sender.join(2.0)
    assert sender.is_alive()
    assert harness.memory(bridge.popen.pid) < before + (32 << 20)
    missing = set(serials)
    for one in bridge.frames():
        missing.discard(one.serial)
        if not missing:
            break
    sender.join(harness.PATIENCE)
    assert bridge.end() == (0, "")


def test_a_daemon_that_is_not_there(folder: pathlib.Path, start: Callable[..., Bridge]) -> None:
    uri = f"test+unix:///default?socket={folder}/nosuch"
    bridge = start("bridge", uri)
    answer = bridge.open()
    assert answer.status == raw.ERROR
    assert "No such file or directory" in raw.error_of(answer).text
    code, errors = bridge.end()
    assert code == 1
    assert errors.count("\n") == 1
    assert "No such file or directory" in errors
    for arguments in (["--unfiltered", uri], ["--via", f"{folder}/nosuch"]):
        done = run("bridge", *arguments, folder=folder)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert "connect: " in done.stderr
    code, _, text = virsh(
        f"test+ext:///default?command={script(folder / 'way', harness.GATE, 'bridge', uri)}",
        folder,
        "list",
    )
    assert code != 0
    assert "No such file or directory" in text


def test_using_it_wrongly(daemon: harness.Daemon, folder: pathlib.Path) -> None:
    uri = daemon.uri("unix")
    for arguments in (
        ["--nope"],
        ["a", "b"],
        ["--via", "/s", "--unfiltered"],
        ["--via", "relative"],
        ["--via", "/s", "--config", "/c"],
    ):
        assert run("bridge", *arguments, folder=folder).returncode == 2, arguments
    assert run("-p", "22", "--", "h", "id", folder=folder).returncode == 2
    assert run("bridge", "nope", folder=folder).returncode == 1
    assert run("bridge", "test:///default", folder=folder).returncode == 1
    tcp = run("bridge", "qemu+tcp://192.0.2.1/system", folder=folder)
    assert tcp.returncode == 1
    assert "--insecure" in tcp.stderr
    near, far = pty.openpty()
    try:
        done = run("bridge", uri, folder=folder, stdin=far)
        assert done.returncode == 2
        assert "standard input is a terminal" in done.stderr
        assert "qemu+ext" in done.stderr
    finally:
        os.close(near)
        os.close(far)
    closed = subprocess.run(
        ["sh", "-c", f"'{harness.GATE}' bridge '{uri}' <&-"], capture_output=True, text=True
    )
    assert closed.returncode == 1
    assert "standard input: Bad file descriptor" in closed.stderr
    for name in ("virtgate-ssh", "virtgate-nc", "virtgate-bridge", "virt-ssh-helper"):
        program = str(link(folder, name))
        for option in ("--help", "--version"):
            done = subprocess.run([program, option], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            assert name in done.stdout


class AnyDaemon:
    """Says yes to every call, and remembers what was opened."""

    def __init__(self, path: pathlib.Path) -> None:
        self.opened: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o777)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        bodies = {
            raw.AUTH_LIST: raw.uint(1) + raw.uint(0),
            raw.CONNECT_SUPPORTS_FEATURE: raw.uint(0),
            raw.CONNECT_GET_LIB_VERSION: raw.uint(0) + raw.uint(9_000_000),
        }
        data = bytearray()
        with connection, contextlib.suppress(OSError):
            while more := connection.recv(65536):
                data += more
                for one in raw.frames_of(data):
                    if one.procedure == raw.CONNECT_OPEN:
                        self.opened.append(one.body)
                    body = bodies.get(one.procedure, raw.string("any"))
                    connection.sendall(
                        raw.frame(one.procedure, body, kind=raw.REPLY, serial=one.serial)
                    )

    def close(self) -> None:
        self._listener.close()


@pytest.mark.parametrize("uri", ["xen", "xen:///", "xen:///system"])
def test_a_users_xen_falls_back_to_the_gate(
    uri: str, folder: pathlib.Path, start: Callable[..., Bridge]
) -> None:
    folder.chmod(0o755)
    program = folder / "virtgate"
    shutil.copy(harness.GATE, program)
    home = folder / "nobody"
    home.mkdir(mode=0o777)
    as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    command = [*(as_user if os.geteuid() == 0 else []), str(program), "bridge"]
    env = {name: str(home) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")}
    gate = folder / "gate"
    with contextlib.closing(AnyDaemon(gate)) as fake:
        bridge = start(*command[1:], "--gate-socket", str(gate), uri, program=command[0], env=env)
        assert bridge.open("xen:///system").status == raw.OK
        assert bridge.ask(raw.CONNECT_GET_URI).status == raw.OK
        code, errors = bridge.end()
        assert code == 0
        assert "going on through the gate" in errors
        assert set(fake.opened) == {raw.open_body("xen:///system")}
    nobody = start(*command[1:], "--gate-socket", "/nosuch", uri, program=command[0], env=env)
    assert nobody.open("xen:///system").status == raw.ERROR
    code, errors = nobody.end()
    assert code == 1
    assert "going on" not in errors
