"""A private libvirtd and a private gate, on loopback and in a folder of their own.

Whatever is started here is ended by its process id, whatever becomes of the test. Nothing of the
host's own libvirt is read or written.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any, Callable, Iterable, Iterator

import node

Address = str | tuple[str, int]

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
GATE = str(TOP / os.environ.get("VIRTGATE", str(BUILD / "virtgate")))
PATIENCE = 20.0  # seconds after which something that should have happened has not
# A turn that worked for long is trouble; one that waited is when that was for longer than a busy
# machine makes it wait for a lock of its kernel.
LONG_TURN = r" warning long-turn worked_ms=(\d{3,}|[5-9]\d|\d+ waited_ms=(\d{4,}|[2-9]\d\d)) "
TROUBLE = re.compile(
    r"^.*(Sanitizer: |runtime error: |virtgate: bug: |terminate called|" + LONG_TURN + r").*$",
    re.MULTILINE,
)
# Milliseconds after which a gate's turn is logged.
LONGEST_TURN = 50 * (6 if "sanitize" in str(BUILD) else 1)


class Failure(AssertionError):
    """What was started did not behave."""


def wait_for(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first true value of the condition; it is an error when that never comes."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"waited {patience:.0f} s for {what}")
        time.sleep(0.01)


def dial(address: Address, patience: float = PATIENCE) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect(address)
        if family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        connection.close()
        raise
    return connection


def answers(address: Address) -> bool:
    try:
        dial(address, 1.0).close()
    except OSError:
        return False
    return True


def preloaded(folder: pathlib.Path, name: str, source: str) -> pathlib.Path:
    """A library for LD_PRELOAD, made of C."""
    code, library = folder / f"{name}.c", folder / f"{name}.so"
    code.write_text(source)
    command = ["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(code)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return library


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def scratch_folder() -> Iterator[pathlib.Path]:
    """Short, because the path of a unix socket must not be longer than 107 bytes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="vg.", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def environment(folder: pathlib.Path) -> dict[str, str]:
    """Ours, less what could lead to the user's own libvirt."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LIBVIRT_", "VIRSH_", "XDG_", "LD_"))
    }
    home = folder / "home"
    home.mkdir(exist_ok=True)
    home.chmod(0o700)
    homes = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    return kept | {name: str(home) for name in homes} | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


class Process:
    """A child with its output in a file. Its session is its own, so that its children can be found."""

    def __init__(
        self,
        command: list[str],
        log: pathlib.Path,
        env: dict[str, str],
        descriptors: Iterable[int] = (),
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=log.parent,
                start_new_session=True,
                pass_fds=tuple(descriptors),
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def running(self) -> bool:
        return self.popen.poll() is None

    def family(self) -> list[int]:
        """Who lives in its session, itself included."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid and fields[0] != "Z":
                    found.append(int(stat.parent.name))
        return found

    def end(self, number: int = signal.SIGTERM, patience: float = PATIENCE) -> int:
        """Its exit code; negative: the signal that ended it. Nobody of its session survives."""
        if self.running():
            self.popen.send_signal(number)
        try:
            return self.popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise Failure(f"{self.log.name}: did not end on signal {number}") from None
        finally:
            for pid in self.family():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def memory(pid: int, field: str = "Rss") -> int:
    """Bytes of resident memory ("Rss"), or of its share of them ("Pss")."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    if not found:
        raise Failure(f"no {field} of process {pid}")
    return int(found[1]) * 1024


DAEMON_CONFIG = """\
listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
tcp_port = "{port}"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_dir = "{sockets}"
unix_sock_ro_perms = "0777"
max_clients = 5000
max_anonymous_clients = 0
host_uuid = "8a4d7a8e-5a4c-4c0e-9f5e-2b6f0d1c7e55"
log_outputs = "3:stderr"
"""

# A daemon of root's writes to /run/libvirt, and sshd wants a folder there, whatever they are told:
# they get a /run of their own where that is possible.
OWN_RUN = 'mount -t tmpfs -o mode=755 none /run && mkdir -m 755 /run/sshd && exec "$@"'
PRIVATE_RUN = ["unshare", "-m", "sh", "-c", OWN_RUN, "sh"]


def may_unshare() -> bool:
    """Whether a command may begin with PRIVATE_RUN."""
    if os.geteuid() != 0:
        return False
    return subprocess.run([*PRIVATE_RUN, "true"], capture_output=True, check=False).returncode == 0


class Daemon:
    """libvirtd with no driver but those built in, of which only the test driver works here."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.tcp: Address = ("127.0.0.1", self.port)
        self.sockets = folder / "sockets"
        self.sockets.mkdir()
        (folder / "drivers").mkdir()
        self.unix = str(self.sockets / "libvirt-sock")
        self.file = folder / "node.xml"
        self.file.write_text(node.node_xml())
        self.name = f"test://{self.file}"  # what a connection to the machines of the file opens
        self.config = folder / "libvirtd.conf"
        self.config.write_text(DAEMON_CONFIG.format(port=self.port, sockets=self.sockets))
        self.environment: dict[str, str] = {}  # what it gets besides
        self.process: Process | None = None

    @property
    def read_only(self) -> str:
        """The socket for readers; only a daemon of root's has one."""
        path = self.unix + "-ro"
        return path if os.path.exists(path) else self.unix

    def uri(self, kind: str, path: str | None = None) -> str:
        """Of a direct connection; `path` is "/default" or, if not given, the file."""
        path = path or str(self.file)
        if kind == "unix":
            return f"test+unix://{path}?socket={self.unix}"
        return f"test+tcp://127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        command = ["/usr/sbin/libvirtd", "--listen", "--config", str(self.config)]
        command += ["--pid-file", str(self.folder / "libvirtd.pid")]
        if may_unshare():
            command = PRIVATE_RUN + command
        env = environment(self.folder) | {"LIBVIRT_DRIVER_DIR": str(self.folder / "drivers")}
        env |= self.environment
        self.process = Process(command, self.folder / "libvirtd.log", env)
        wait_for("libvirtd", lambda: not self.running() or self._serves())
        if not self.running():
            raise Failure(f"libvirtd ended:\n{self.process.output()}")

    def _serves(self) -> bool:
        return answers(self.unix) and answers(self.tcp)

    def running(self) -> bool:
        return self.process is not None and self.process.running()

    def kill(self) -> None:
        """As a crash does it: nothing is closed or removed first."""
        assert self.process is not None
        self.process.end(signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None:
            self.process.end()


@dataclasses.dataclass
class Listen:
    """One [[listen]] of the gate; `name` is that of the socket in the gate's folder."""

    name: str = "gate.sock"
    target: str | None = None


def toml(value: Any) -> str:
    """JSON's numbers, strings, booleans and lists are TOML's too; an inline table is not."""
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {toml(item)}" for key, item in value.items())
        return "{ " + inner + " }"
    return json.dumps(value)


def check(folder: pathlib.Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """`virtgate serve --check` on a configuration of that text, which it is given in `folder`."""
    config = folder / "virtgate.toml"
    config.write_text(text, encoding="utf-8", newline="")
    return subprocess.run(
        [GATE, "serve", "--check", "--config", str(config), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=environment(folder),
    )


class Gate:
    """`virtgate serve`, whose end is a part of the test."""

    def __init__(
        self,
        folder: pathlib.Path,
        targets: dict[str, Any],
        listen: tuple[Listen, ...] = (Listen(),),
        rules: tuple[dict[str, Any], ...] = (),
        open_uris: tuple[Any, ...] = (),
        audit_calls: bool | None = None,
        sections: dict[str, dict[str, Any]] | None = None,
        **limits: Any,
    ) -> None:
        self.folder = folder
        self.listen = listen
        lines = []
        for one in listen:
            lines += ["[[listen]]", f"path = {toml(str(folder / one.name))}", 'mode = "0666"']
            lines += [f"target = {toml(one.target)}"] if one.target else []
        lines += ["[targets]", *(f"{name} = {toml(what)}" for name, what in targets.items())]
        lines += ["[policy]", f"open_uris = {toml(list(open_uris))}"] if open_uris else []
        for rule in rules:
            lines += ["[[policy.rule]]", *(f"{name} = {toml(what)}" for name, what in rule.items())]
        lines += ["[limits]", *(f"{name} = {toml(value)}" for name, value in limits.items())]
        for section, keys in (sections or {}).items():
            lines += [f"[{section}]", *(f"{name} = {toml(what)}" for name, what in keys.items())]
        self.audit = folder / "audit.json"
        if audit_calls is not None:
            lines += ["[audit]", f"file = {toml(str(self.audit))}", f"calls = {toml(audit_calls)}"]
        self.config = folder / "virtgate.toml"
        self.config.write_text("\n".join(lines) + "\n")
        self.process: Process | None = None
        self.measures_turns = True  # which costs time in each of them
        self.launcher: list[str] = []  # what runs it, if not we
        self.environment: dict[str, str] = {}  # what it gets besides
        self.descriptors: tuple[int, ...] = ()  # what it inherits
        self.arguments: list[str] = []  # what it is told besides

    @property
    def socket(self) -> str:
        return self.path(self.listen[0].name)

    @property
    def control(self) -> str:
        """The control socket, where the configuration does not say where it is."""
        return self.socket + ".control"

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def uri(self, path: str | pathlib.Path, name: str | None = None) -> str:
        """What a libvirt client is given to reach the target whose own path is `path`."""
        return f"test+unix://{path}?socket={self.path(name or self.listen[0].name)}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> "Gate":
        command = [*self.launcher, GATE, "serve", "--config", str(self.config), *self.arguments]
        env = environment(self.folder)
        if self.measures_turns:
            env["VIRTGATE_LONGEST_TURN"] = str(LONGEST_TURN)
        env |= self.environment
        self.process = Process(command, self.folder / "gate.log", env, self.descriptors)
        wait_for("the gate", lambda: not self._running() or self.accepts())
        if not self._running():
            raise Failure(f"the gate ended:\n{self.process.output()}")
        return self

    def _running(self) -> bool:
        return self.process is not None and self.process.running()

    def accepts(self) -> bool:
        return all(answers(self.path(one.name)) for one in self.listen)

    def log(self) -> str:
        return self.process.output() if self.process else ""

    def logged(self, text: str) -> None:
        """Waits for it: the gate answers before the thread that writes its log has written."""
        wait_for(f"the log to tell {text!r}", lambda: text in self.log())

    def terminate(self) -> None:
        """Asks it to stop, and does not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """It must end by itself with 0, leave nobody behind, and have made no mistake."""
        if self.process is None:
            return
        process, self.process = self.process, None
        others = [pid for pid in process.family() if pid != process.pid]
        code = process.end()
        trouble = TROUBLE.search(process.output())
        if trouble:
            raise Failure(f"the gate reports: {trouble[0]}\n{process.output()[-8000:]}")
        if code != 0:
            raise Failure(f"the gate ended with {code}:\n{process.output()[-8000:]}")
        left = [pid for pid in others if os.path.exists(f"/proc/{pid}")]
        if left:
            raise Failure(f"the gate left processes behind: {left}")
