"""Stands in for a legacy xend: answers by HTTP what it was told to, and remembers every byte."""

import contextlib
import socket
import threading

import harness
import stand_in

NODE = "(node (system Linux) (host rain) (xen_major 3) (xen_caps 'xen-3.0-x86_64 '))"
DOMAIN = (
    "(domain (domid 7) (name web-1) (image (hvm (vnc 1) (vncpasswd geheim) (pae 1)))"
    " (device (vfb (type vnc) (vncpasswd 'ge\\'heim)') (vncunused 1))) (notes 'it\\'s up'))"
)
CLEAN = (
    "(domain (domid 7) (name web-1) (image (hvm (vnc 1) (pae 1)))"
    " (device (vfb (type vnc) (vncunused 1))) (notes 'it\\'s up'))"
)
VCPUS = "(domain (vcpu (number 0) (cpu 1)))"


def http(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/sxp\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


ANSWERS = {
    "/xend/node/": http("200 OK", NODE),
    "/xend/domain": http("200 OK", "(Domain-0 web-1)"),
    "/xend/domain?detail=1": http("200 OK", f"({DOMAIN})"),
    "/xend/domain?state=halted": http("200 OK", "(old)"),
    "/xend/domain/web-1?detail=1": http("200 OK", DOMAIN),
    "/xend/domain/7?op=vcpuinfo": http("200 OK", VCPUS),
}
MISSING = http("404 Not Found", "(xend.err 'no such domain')")


class Xend(stand_in.StandIn):
    def __init__(self, address: harness.Address) -> None:
        super().__init__(address)
        self.answer: bytes | None = None  # for every question, instead of the usual ones
        self.stall = threading.Event()  # set: no answers from now on
        self._got: list[bytes] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.port = 0 if self._path else self._listener.getsockname()[1]
        self.run()

    @property
    def uri(self) -> str:
        return f"//{self._path}" if self._path else f"http://127.0.0.1:{self.port}/"

    @property
    def host(self) -> str:
        return "localhost" if self._path else f"127.0.0.1:{self.port}"

    def got(self) -> list[bytes]:
        """All bytes, of each connection in turn."""
        with self._lock:
            return list(self._got)

    def forget(self) -> None:
        with self._lock:
            self._got.clear()

    def on_close(self) -> None:
        self._over.set()

    def on_connection(self, client: socket.socket) -> None:
        with self._lock:
            number = len(self._got)
            self._got.append(b"")
        self._begin(self._serve, client, number)

    def _serve(self, client: socket.socket, number: int) -> None:
        client.settimeout(0.05)
        answered = False
        with client, contextlib.suppress(OSError):
            while not self._over.is_set():
                try:
                    data = client.recv(1 << 16)
                except TimeoutError:
                    continue
                if not data:
                    return
                with self._lock:
                    self._got[number] += data
                    whole = self._got[number]
                if answered or b"\r\n\r\n" not in whole or self.stall.is_set():
                    continue
                answered = True
                path = whole.split(b" ", 2)[1].decode()
                client.sendall(self.answer or ANSWERS.get(path, MISSING))
