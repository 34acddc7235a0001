"""Between a gate and what it connects to: counts bytes, flips a bit, and hangs up."""

import contextlib
import socket
import threading


class Meddler:
    """Flips one bit of one connection, and of no other: of what the server says, or the gate."""

    def __init__(self, to: int, server_speaks: bool = True) -> None:
        self.refuses = 0  # so many connections end as soon as they are there
        self.flips: int | None = None  # the bit's byte, counted from the connection's first
        self.flipped = 0
        self.heard = 0  # from the server, on all connections
        self._to = to
        self._server_speaks = server_speaks
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.refuses > 0:
                    self.refuses -= 1
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                offset, self.flips = self.flips, None
                for source, to, server_speaks in ((near, far, False), (far, near, True)):
                    flip = offset if server_speaks == self._server_speaks else None
                    job = (source, to, server_speaks, flip)
                    threading.Thread(target=self._copy, args=job, daemon=True).start()

    def _copy(
        self, source: socket.socket, to: socket.socket, server_speaks: bool, offset: int | None
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := bytearray(source.recv(65536)):
                if offset is not None and passed <= offset < passed + len(data):
                    data[offset - passed] ^= 1 << offset % 8
                    self.flipped += 1
                passed += len(data)
                self.heard += len(data) if server_speaks else 0
                to.sendall(data)
        for one in (source, to):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
