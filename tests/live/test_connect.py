"""`virtgate bridge --connect`: raw bytes to a host and port, through a target's ssh connection."""

import contextlib
import pathlib
import socket
import subprocess
import threading
from typing import Any, Callable, Iterator

import pytest

import harness
import sshd


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, until that ends."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                with near:
                    while data := near.recv(65536):
                        near.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield int(listener.getsockname()[1])
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def configure(
    folders: Iterator[pathlib.Path], server: sshd.Server, daemon: harness.Daemon
) -> Callable[..., pathlib.Path]:
    def write(*forward: str) -> pathlib.Path:
        target = {"uri": server.uri(daemon), "forward": list(forward)}
        gate = harness.Gate(next(folders), {"other": daemon.uri("unix"), "hail": target})
        return gate.config

    return write


def connect(
    config: pathlib.Path, *words: str, given: bytes = b"", **more: Any
) -> subprocess.CompletedProcess:
    command = [harness.GATE, "bridge", "--config", str(config), "--connect", *words]
    return subprocess.run(
        command, input=given, capture_output=True, check=False, timeout=harness.PATIENCE, **more
    )


def test_bytes_go_there_and_back(
    configure: Callable[..., pathlib.Path], echo: int, server: sshd.Server
) -> None:
    config = configure("127.0.0.1:1-65535")
    given = bytes(range(256)) * 4096
    done = connect(config, "127.0.0.1", str(echo), given=given)
    assert done.returncode == 0, done.stderr
    assert done.stdout == given
    done = connect(config, "127.0.0.1", str(echo), "--through", "hail", given=b"hello")
    assert (done.returncode, done.stdout) == (0, b"hello")
    assert server.connections() == 2


def test_as_the_proxy_command_of_ssh(
    configure: Callable[..., pathlib.Path], server: sshd.Server
) -> None:
    config = configure(f"127.0.0.1:{server.port}")
    proxy = f"{harness.GATE} bridge --config {config} --connect %h %p"
    command = ["ssh", "-F", "none", "-o", f"ProxyCommand={proxy}", "-i", str(server.key)]
    command += ["-o", f"UserKnownHostsFile={server.known_hosts}", "-p", str(server.port)]
    command += ["-o", "BatchMode=yes", f"{sshd.USER}@127.0.0.1", "echo", "far away"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    assert done.stdout == "far away\n", done.stderr
    assert server.connections() == 2


def test_only_where_the_configuration_allows_it(
    configure: Callable[..., pathlib.Path], echo: int, server: sshd.Server
) -> None:
    config = configure(f"localhost:{echo}")
    for words, said in (
        (("127.0.0.1", str(echo)), f'forward of no target allows "127.0.0.1" port {echo}'),
        (("localhost", "22"), 'forward of no target allows "localhost" port 22'),
        (
            ("localhost", str(echo), "--through", "other"),
            'forward of target "other" does not allow "localhost"',
        ),
        (("localhost", str(echo), "--through", "none"), 'there is no target "none"'),
    ):
        done = connect(config, *words, given=b"hello")
        assert done.returncode == 1
        assert said in done.stderr.decode()
        assert done.stdout == b""
    for words in (("localhost", "0"), ("localhost", "65536"), ("localhost", "x"), ("localhost",)):
        assert connect(config, *words).returncode == 2
    assert connect(config, "localhost", str(echo), "--unfiltered").returncode == 2
    forced = {"SSH_ORIGINAL_COMMAND": "id"}
    assert connect(config, "localhost", str(echo), env=forced).returncode == 2
    assert server.connections() == 0


def test_nobody_listens_there(configure: Callable[..., pathlib.Path]) -> None:
    done = connect(configure("127.0.0.1:1"), "127.0.0.1", "1")
    assert done.returncode == 1
    assert "connection to 127.0.0.1 port 1: Channel open failure" in done.stderr.decode()
