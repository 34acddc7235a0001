"""What a service manager does for a gate: it holds its sockets, and hears what it says of itself.

As a program, `manager.py FD[=NAME]... COMMAND...` runs the command with these descriptors as
sd_listen_fds(3) has it.
"""

import contextlib
import os
import pathlib
import socket
import sys
import time

import harness

FIRST = 3  # SD_LISTEN_FDS_START


def listening(address: str) -> socket.socket:
    """With @ for the abstract namespace."""
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.bind("\0" + address[1:] if address.startswith("@") else address)
    if not address.startswith("@"):
        os.chmod(address, 0o666)
    one.listen(128)
    return one


def pass_on(gate: harness.Gate, sockets: dict[str, socket.socket]) -> None:
    """The gate gets them under these names when it is started; they stay ours."""
    gate.descriptors = tuple(one.fileno() for one in sockets.values())
    named = [f"{one.fileno()}={name}" for name, one in sockets.items()]
    gate.launcher = [sys.executable, __file__, *named]


class Listener:
    """The socket that NOTIFY_SOCKET names."""

    def __init__(self, path: pathlib.Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.path = str(path)
        self.heard: list[dict[str, str]] = []

    def close(self) -> None:
        self.socket.close()

    def listen(self, patience: float = 0.0) -> dict[str, str] | None:
        """The next message, or none."""
        self.socket.settimeout(patience or 0.001)
        with contextlib.suppress(TimeoutError, BlockingIOError):
            text = self.socket.recv(65536).decode()
            self.heard.append(dict(line.split("=", 1) for line in text.splitlines()))
            return self.heard[-1]
        return None

    def expect(self, key: str, patience: float = harness.PATIENCE) -> dict[str, str]:
        """The next message with that key; what comes before it is kept in `heard`."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            one = self.listen(0.1)
            if one is not None and key in one:
                return one
        raise harness.Failure(f"nobody said {key}; heard: {self.heard}")


def main(arguments: list[str]) -> None:
    names = []
    while arguments and arguments[0].partition("=")[0].isdigit():
        number, _, name = arguments.pop(0).partition("=")
        # Above all that may be in use, so that no descriptor is overwritten before its turn.
        os.dup2(int(number), 200 + len(names))
        names.append(name)
    for index in range(len(names)):
        os.dup2(200 + index, FIRST + index)
        os.close(200 + index)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(names))}
    os.environ["LISTEN_FDNAMES"] = ":".join(names)
    os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
