"""What stands in for a daemon, or between one and a gate."""

import contextlib
import os
import socket
import threading
from typing import Any, Callable

import harness


class StandIn:
    """Listens from run() on until close(), which waits for whatever it has begun."""

    def __init__(self, address: harness.Address) -> None:
        self._path = address if isinstance(address, str) else None
        self._threads: list[threading.Thread] = []
        family = socket.AF_UNIX if self._path else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        self._listener.listen(64)

    def run(self) -> None:
        self._begin(self._accept)

    def on_connection(self, client: socket.socket) -> None:
        """One came; it is the callee's to close."""
        raise NotImplementedError

    def on_close(self) -> None:
        """Nobody comes any more; those who are there are to be let go."""
        raise NotImplementedError

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.on_close()
        for thread in self._threads:
            thread.join(harness.PATIENCE)
        if self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def _begin(self, what: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.on_connection(client)
