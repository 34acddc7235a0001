"""How clients reach the daemon: directly, through the gate, and through tunnels of others."""

import contextlib
import os
import pathlib
import shutil
from typing import Callable, NamedTuple

import harness
import sshd
from scene import Scene

PATH = "/default"
NAME = f"test://{PATH}"


class Way(NamedTuple):
    """For bench-load: the address, and the name that is opened there."""

    title: str
    address: str
    name: str


class Tunnel(NamedTuple):
    """A program that hands bytes from a local socket on to the daemon."""

    title: str
    to: str
    program: str
    package: str
    command: Callable[[str, Scene, pathlib.Path], list[str]]  # program, scene, folder

    def find(self) -> str | None:
        """Some of them lie where only root looks."""
        places = [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"]
        return shutil.which(self.program, path=os.pathsep.join(places))


STUNNEL = """\
foreground = yes
pid =
[libvirt]
client = yes
accept = {local}
connect = 127.0.0.1:{port}
CAfile = {folder}/cacert.pem
cert = {folder}/clientcert.pem
key = {folder}/clientkey.pem
verifyChain = yes
checkHost = localhost
"""

HAPROXY = """\
defaults
  mode tcp
  timeout connect 10s
  timeout client 1m
  timeout server 1m
listen libvirt
  bind unix@{local}
  server daemon 127.0.0.1:{port} ssl verify required verifyhost localhost \
ca-file {folder}/cacert.pem crt {both}
"""


def local(folder: pathlib.Path) -> pathlib.Path:
    return folder / "local.sock"


def stunnel(program: str, scene: Scene, folder: pathlib.Path) -> list[str]:
    values = {"local": local(folder), "port": scene.daemon.tls_port}
    config = folder / "stunnel.conf"
    config.write_text(STUNNEL.format(**values, folder=scene.client.folder))
    return [program, str(config)]


def haproxy(program: str, scene: Scene, folder: pathlib.Path) -> list[str]:
    both = folder / "both.pem"
    files = (scene.client.folder / name for name in ("clientcert.pem", "clientkey.pem"))
    both.write_text("".join(file.read_text() for file in files))
    values = {"local": local(folder), "port": scene.daemon.tls_port, "both": both}
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(**values, folder=scene.client.folder))
    return [program, "-db", "-f", str(config)]


def ssh(program: str, scene: Scene, folder: pathlib.Path) -> list[str]:
    sockets = f"{local(folder)}:{scene.daemon.unix}"
    command = [program, "-N", "-L", sockets, "-o", "BatchMode=yes", "-F", "none"]
    command += ["-o", f"UserKnownHostsFile={scene.server.known_hosts}", "-o", "IdentityAgent=none"]
    command += ["-i", str(scene.server.key), "-p", str(scene.server.port)]
    return [*command, f"{sshd.USER}@127.0.0.1"]


TUNNELS = (
    Tunnel("stunnel", "tls", "stunnel", "stunnel4", stunnel),
    Tunnel("haproxy", "tls", "haproxy", "haproxy", haproxy),
    Tunnel("ssh -L", "ssh", "ssh", "openssh-client", ssh),
)


def start(
    tunnel: Tunnel, program: str, scene: Scene, folder: pathlib.Path, stack: contextlib.ExitStack
) -> Way:
    folder.mkdir()
    command = tunnel.command(program, scene, folder)
    process = harness.Process(command, folder / "log", harness.environment(folder))
    stack.callback(process.end)
    address = str(local(folder))
    harness.wait_for(tunnel.title, lambda: not process.running() or harness.answers(address))
    if not process.running():
        raise harness.Failure(f"{tunnel.title} ended:\n{process.output()}")
    return Way(f"{tunnel.title} to {tunnel.to}", f"unix:{address}", NAME)


def start_tunnels(
    scene: Scene, folder: pathlib.Path, stack: contextlib.ExitStack
) -> tuple[dict[str, list[Way]], list[str]]:
    """Those that are installed, by what they go to; and of the others, what to install.

    `make bench` does not do that: such packages start a service of their own.
    """
    ways: dict[str, list[Way]] = {"tls": [], "ssh": []}
    missing = []
    for tunnel in TUNNELS:
        program = tunnel.find()
        if program is None:
            missing.append(f"{tunnel.title} (install {tunnel.package})")
            continue
        own = folder / tunnel.program
        ways[tunnel.to].append(start(tunnel, program, scene, own, stack))
    return ways, missing
