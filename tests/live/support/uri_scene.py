"""What virsh and `virtgate resolve` make of the same input, on a host that exists for this alone.

Run as root by `unshare --mount --net` with the path of virtgate: /run and /etc/libvirt are its own
then, and so are the ports of loopback. Standard input holds a list of cases as JSON, standard
output gets what was seen in each.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
from typing import Any

import raw

SYSTEM = pathlib.Path("/run/libvirt")
CONFIG = pathlib.Path("/etc/libvirt")
PLACE = pathlib.Path("/run/t")
HOME = PLACE / "home"
NOBODY = 65534
USER = pathlib.Path(f"/run/user/{NOBODY}")
PROGRAMS = PLACE / "bin"
SPAWNED = PLACE / "spawned"
TUNNEL = str(PLACE / "tunnel.sock")
PORTS = (5000, 16509)
PATIENCE = 30

# In place of ssh: remembers its arguments, and leads to a daemon.
PROGRAM = f"""#!/bin/sh
printf '%s\\0' "${{0##*/}}" "$@" >{SPAWNED}
exec nc -U {TUNNEL}
"""


class Daemon:
    """Listens everywhere, and says yes to whoever opens something."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.seen: dict[str, Any] = {}
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        names = case.get("sockets", ["S:libvirt-sock", "S:libvirt-sock-ro"])
        folders = {"S": SYSTEM, "U": USER / "libvirt", "T": PLACE}
        paths = [folders[kind] / name for kind, _, name in (one.partition(":") for one in names)]
        for path in (*paths, PLACE / "custom.sock", PLACE / "my sock"):
            self._listen(socket.AF_UNIX, str(path), f"unix:{path}")
        self._listen(socket.AF_UNIX, TUNNEL, "tunnel")
        for port in PORTS:
            self._listen(socket.AF_INET, ("127.0.0.1", port), f"tcp:127.0.0.1:{port}")
            self._listen(socket.AF_INET6, ("::1", port), f"tcp:::1:{port}")

    def _listen(self, family: int, address: Any, label: str) -> None:
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        if family == socket.AF_UNIX:
            os.chmod(address, 0o777)
        one.listen(8)
        self._listeners.append(one)
        self._run(self._accept, one, label)

    def _run(self, what: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, label: str) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self.seen["endpoint"] = label
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        data = bytearray()
        with connection, contextlib.suppress(OSError, raw.Closed):
            while more := connection.recv(65536):
                data += more
                for frame in raw.frames_of(data):
                    body = self._answer(frame)
                    reply = raw.frame(
                        frame.procedure, body, kind=raw.REPLY, serial=frame.serial
                    )
                    connection.sendall(reply)

    def _answer(self, frame: raw.Frame) -> bytes:
        if frame.procedure == raw.AUTH_LIST:
            return raw.uint(1) + raw.uint(0)
        if frame.procedure == raw.CONNECT_SUPPORTS_FEATURE:
            return raw.uint(0)
        if frame.procedure == raw.CONNECT_GET_URI:
            return raw.string("fake:///probed")
        if frame.procedure == raw.CONNECT_OPEN:
            name, offset = raw.read_string(frame.body, 4)
            self.seen["name"] = name.decode()
            self.seen["flags"] = int.from_bytes(frame.body[offset : offset + 4], "big")
        return b""

    def close(self) -> None:
        for one in self._listeners:
            one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(PATIENCE)


def prepare_host() -> None:
    for folder in ("/run", str(CONFIG)):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", folder], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def prepare_case(case: dict[str, Any]) -> None:
    for folder in (SYSTEM, USER, PLACE):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (SYSTEM, USER / "libvirt", HOME / ".config/libvirt", PROGRAMS):
        folder.mkdir(parents=True)
    program = PROGRAMS / "ssh"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    shutil.copy(program, PROGRAMS / "way")
    files = {0: CONFIG / "libvirt.conf", NOBODY: HOME / ".config/libvirt/libvirt.conf"}
    files[0].unlink(missing_ok=True)
    if "conf" in case:
        files[case.get("uid", 0)].write_text(case["conf"])
    if case.get("uid"):
        subprocess.run(["chown", "-R", str(NOBODY), str(USER), str(PLACE)], check=True)


def command_of(case: dict[str, Any], *command: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(HOME),
        "LC_ALL": "C.UTF-8",
        **{name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")},
    }
    if case.get("uid"):
        env["XDG_RUNTIME_DIR"] = str(USER)
        command = ("setpriv", f"--reuid={NOBODY}", "--regid=65534", "--clear-groups", *command)
    env |= case.get("env", {})
    return subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def spawned() -> list[str] | None:
    if not SPAWNED.exists():
        return None
    return SPAWNED.read_bytes().decode().split("\0")[:-1]


def by_virsh(case: dict[str, Any]) -> dict[str, Any]:
    command = ["virsh", *(["-r"] if case.get("read_only") else [])]
    command += ["-c", case["uri"]] if case["uri"] is not None else []
    daemon = Daemon(case)
    try:
        if case.get("uid"):
            os.chmod(TUNNEL, 0o777)
        done = command_of(case, *command, "uri")
    finally:
        daemon.close()
    ended = {"code": done.returncode, "uri": done.stdout.strip(), "error": done.stderr.strip()}
    return ended | daemon.seen | {"spawned": spawned()}


def by_resolve(gate: str, case: dict[str, Any]) -> dict[str, Any]:
    # Where the gate was built, others may not be able to go.
    copy = PROGRAMS / "virtgate"
    shutil.copy(gate, copy)
    command = [str(copy), "resolve", *(["--read-only"] if case.get("read_only") else [])]
    uri = ["--", case["uri"]] if case["uri"] is not None else []
    daemon = Daemon(case)
    try:
        text = command_of(case, *command, *uri)
        done = command_of(case, *command, "--json", *uri)
    finally:
        daemon.close()
    if not done.stdout:
        raise RuntimeError(f"{case}: {done.stderr}")
    return {"code": done.returncode, "json": done.stdout, "text": text.stdout}


def seen_in(gate: str, case: dict[str, Any]) -> dict[str, Any]:
    prepare_case(case)
    virsh = by_virsh(case)
    prepare_case(case)
    return {"virsh": virsh, "resolve": by_resolve(gate, case)}


if __name__ == "__main__":
    prepare_host()
    json.dump([seen_in(sys.argv[1], case) for case in json.load(sys.stdin)], sys.stdout)
