"""Stands between a gate and its daemon, passes every byte on, and remembers what was said.

It can hold the daemon's replies back, let connections go dead, and cut every one.
"""

import contextlib
import socket
import threading
from typing import NamedTuple

import harness
import raw
import stand_in


class Said(NamedTuple):
    connection: int
    upward: bool  # from the gate to the daemon
    frame: raw.Frame


class Recorder(stand_in.StandIn):
    def __init__(self, path: str, daemon: harness.Address) -> None:
        super().__init__(path)
        self.path = path
        self.peak = 0
        self.accepted = 0
        self.deadly: int | None = None  # a procedure whose call ends its connection
        self.opens: str | None = None  # what the daemon is to open, whatever the gate names
        self._daemon = daemon
        self._said: list[Said] = []
        self._pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._stalled: set[int] = set()
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self.run()

    def uri(self, path: object) -> str:
        """Of a target that is reached through here."""
        return f"test+unix://{path}?socket={self.path}"

    def said(self, upward: bool = True) -> list[raw.Frame]:
        with self._lock:
            return [one.frame for one in self._said if one.upward == upward]

    def calls(self, *procedures: int) -> list[raw.Frame]:
        """What the gate asked for, of the remote program."""
        return [
            one
            for one in self.said()
            if one.program == raw.REMOTE and one.procedure in procedures and one.kind == raw.CALL
        ]

    def forget(self) -> None:
        with self._lock:
            self._said.clear()

    def hold(self) -> None:
        """From now on nothing of the daemon's reaches the gate."""
        self._flows.clear()

    def release(self) -> None:
        self._flows.set()

    def stall(self) -> None:
        """From now on nothing passes on the connections that there are, either way."""
        with self._lock:
            self._stalled |= set(self._pairs)

    def cut(self) -> None:
        """Ends every connection there is. What is held back is lost, and nothing is held any more."""
        with self._lock:
            ending = dict(self._pairs)
        for end in (end for pair in ending.values() for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.release()
        harness.wait_for("the connections to end", lambda: not ending.keys() & self._numbers())

    def _numbers(self) -> set[int]:
        with self._lock:
            return set(self._pairs)

    def close(self) -> None:
        self.release()
        super().close()

    def on_close(self) -> None:
        self.cut()

    def on_connection(self, gate: socket.socket) -> None:
        try:
            daemon = harness.dial(self._daemon)
        except OSError:
            gate.close()
            return
        daemon.settimeout(None)
        with self._lock:
            self.accepted += 1
            number = self.accepted
            self._pairs[number] = (gate, daemon)
            self.peak = max(self.peak, len(self._pairs))
        upward = threading.Thread(
            target=self._copy, args=(number, gate, daemon, True), daemon=True
        )
        upward.start()
        self._begin(self._serve, number, gate, daemon, upward)

    def _serve(
        self, number: int, gate: socket.socket, daemon: socket.socket, upward: threading.Thread
    ) -> None:
        self._copy(number, daemon, gate, False)
        upward.join()
        gate.close()
        daemon.close()
        with self._lock:
            del self._pairs[number]

    def _renamed(self, one: raw.Frame) -> bytes:
        opens = (one.program, one.procedure, one.kind) == (raw.REMOTE, raw.CONNECT_OPEN, raw.CALL)
        fields = one._asdict() | ({"body": raw.open_body(self.opens)} if opens else {})
        return raw.frame(**fields)

    def _copy(self, number: int, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        pending = bytearray()
        with contextlib.suppress(OSError, raw.Closed):
            while data := source.recv(1 << 18):
                if number in self._stalled:
                    continue
                pending += data
                frames = list(raw.frames_of(pending))
                with self._lock:
                    self._said += [Said(number, upward, one) for one in frames]
                if upward and any(one.procedure == self.deadly for one in frames):
                    break
                if not upward:
                    self._flows.wait()
                elif self.opens is not None:
                    data = b"".join(map(self._renamed, frames))
                sink.sendall(data)
        # Either side's end is the end of both, as it is with a daemon.
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
