"""A private sshd on loopback, and keys that are let in and others."""

import os
import pathlib
import pwd
import signal
import subprocess

import harness

USER = pwd.getpwuid(os.geteuid()).pw_name

LISTENS = "Server listening on"

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {host_key}
AuthorizedKeysFile {authorized}
StrictModes no
UsePAM {pam}
PidFile none
UseDNS no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
SetEnv HOME={folder} PATH={programs}:/usr/bin:/bin
"""


def make_key(path: pathlib.Path, kind: str = "ed25519") -> pathlib.Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)]
    subprocess.run(command + (["-b", "2048"] if kind == "rsa" else []), check=True)
    return path


def public(key: pathlib.Path) -> str:
    return key.with_name(key.name + ".pub").read_text()


def locked() -> bool:
    """Whether sshd would turn us away without PAM: root has no password on many a desktop."""
    if os.geteuid() != 0:
        return False
    lines = pathlib.Path("/etc/shadow").read_text().splitlines()
    return any(line.startswith(f"{USER}:!") for line in lines)


class Server:
    def __init__(self, folder: pathlib.Path, options: str = "", host_key: str = "ed25519") -> None:
        self.folder = folder
        self.port = harness.free_port()
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.host_key = make_key(folder / "host_key", host_key)
        self.key = make_key(folder / "key")
        self.authorized = folder / "authorized_keys"
        self.authorized.write_text(public(self.key))
        self.known_hosts = folder / "known_hosts"
        self.knows(self.host_key)
        values = {"port": self.port, "host_key": self.host_key, "authorized": self.authorized}
        values |= {"programs": self.programs, "folder": folder, "pam": "yes" if locked() else "no"}
        config = CONFIG.format(**values) + options
        (folder / "sshd_config").write_text(config)
        self.process: harness.Process | None = None
        self.launcher: list[str] = []  # what runs it, if not we

    def knows(self, key: pathlib.Path, mark: str = "") -> None:
        self.known_hosts.write_text(f"{mark}[127.0.0.1]:{self.port} {public(key)}")

    def program(self, name: str, script: str) -> None:
        """In front of the host's own, for commands that are run through this server."""
        path = self.programs / name
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def program_of_clients(self) -> pathlib.Path:
        """An ssh that knows this server, and nothing of the user's configuration."""
        path = self.folder / "ssh"
        known = f"-o UserKnownHostsFile={self.known_hosts} -o IdentityAgent=none"
        path.write_text(f'#!/bin/sh\nexec ssh -F none {known} "$@"\n')
        path.chmod(0o755)
        return path

    def uri(
        self,
        daemon: harness.Daemon,
        more: str = "",
        user: str | None = None,
        key: pathlib.Path | None = None,
        path: str | None = None,
    ) -> str:
        where = f"{user or USER}@127.0.0.1:{self.port}{path or daemon.file}"
        files = f"keyfile={key or self.key}&known_hosts={self.known_hosts}"
        return f"test+ssh://{where}?socket={daemon.unix}&{files}{more}"

    def start(self) -> "Server":
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")]
        if harness.may_unshare():
            command = harness.PRIVATE_RUN + command
        elif os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        command = self.launcher + command
        environment = harness.environment(self.folder)
        self.process = harness.Process(command, self.folder / "sshd.log", environment)
        harness.wait_for("sshd", lambda: not self._running() or self._listens())
        if not self._running():
            raise harness.Failure(f"sshd ended:\n{self.process.output()}")
        return self

    def _listens(self) -> bool:
        """It cannot be asked where it runs in a network of its own."""
        return LISTENS in self.log() if self.launcher else harness.answers(("127.0.0.1", self.port))

    def _running(self) -> bool:
        return self.process is not None and self.process.running()

    def log(self) -> str:
        return self.process.output() if self.process else ""

    def connections(self) -> int:
        """That were let in since the start."""
        return self.log().count("Accepted publickey")

    def kill(self) -> None:
        """With all its connections, as a crash of the host does it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        # Each connection leads a session of its own, out of reach of what ends the process.
        others = _descendants(process.pid)
        process.end(number)
        for pid in others:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _descendants(pid: int) -> list[int]:
    found = []
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in file.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found
