"""One libvirtd and every way to it, for the scripts that show and measure."""

import contextlib
import pathlib
import signal
import sys
from typing import Iterator

import certificates
import sshd
from tls_scene import Pki, TlsDaemon

KINDS = ("unix", "tcp", "tls", "ssh")


class Scene:
    """A daemon that also serves tcp and TLS, an sshd before it, and who is let in by them."""

    def __init__(self, folder: pathlib.Path) -> None:
        for name in ("pki", "daemon", "sshd", "client"):
            (folder / name).mkdir()
        self.pki = pki = Pki(folder / "pki")
        self.daemon = TlsDaemon(folder / "daemon", pki)
        self.server = sshd.Server(folder / "sshd")
        self.client = certificates.ClientFolder(folder / "client", pki.ours)
        self.client.be(*pki.client)

    def uri(self, kind: str, path: str | None = None) -> str:
        """Of a gate's target, and of a direct connection unless that is by ssh."""
        if kind == "tls":
            return self.daemon.tls_uri(self.client.folder, path=path)
        if kind == "ssh":
            return self.server.uri(self.daemon, path=path)
        return self.daemon.uri(kind, path)

    def direct(self, kind: str, path: str | None = None) -> str:
        """What virsh is given; for ssh, libvirt runs a program that has to know the server."""
        uri = self.uri(kind, path)
        if kind == "ssh":
            uri += f"&command={self.server.program_of_clients()}&no_tty=1"
        return uri


class Signals:
    """Those that would end the script wait, so that nothing it has started is left behind."""

    def __init__(self) -> None:
        self._came = False
        self._may_end = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._hear)

    def _hear(self, *_: object) -> None:
        self._came = True
        if self._may_end:
            sys.exit(1)

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        """They end the block, which must end by itself what it starts."""
        self._may_end = True
        try:
            if self._came:
                sys.exit(1)
            yield
        finally:
            self._may_end = False


@contextlib.contextmanager
def playing(folder: pathlib.Path) -> Iterator[Scene]:
    scene = Scene(folder)
    with contextlib.ExitStack() as stack:
        for one in (scene.daemon, scene.server):
            stack.callback(one.stop)
            one.start()
        yield scene
