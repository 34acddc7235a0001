"""A name server that does not answer: names of /etc/hosts and numbers wait for nobody, and what is
told of a name says whether it was asked for."""

import pathlib
import socket
import threading
from typing import Callable, Iterator

import pytest

import harness
import raw
import victims

MakeGate = Callable[..., harness.Gate]

MANY = 300
SERVER = ("127.0.53.1", 53)
WELL = "well.virtgate.example"  # in /etc/hosts
FILES = {
    "resolv.conf": f"nameserver {SERVER[0]}\noptions timeout:3 attempts:2\n",
    "hosts": f"127.0.0.1 localhost {WELL}\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


@pytest.fixture
def asked() -> Iterator[socket.socket]:
    """A name server that takes every question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(SERVER)
        server.settimeout(harness.PATIENCE)
        yield server


@pytest.fixture
def launcher(folders: Iterator[pathlib.Path]) -> list[str]:
    """Runs a program that finds these files in /etc."""
    folder = next(folders)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    binds = "".join(f"mount --bind {folder / name} /etc/{name} && " for name in FILES)
    return ["unshare", "-m", "sh", "-c", f'{binds}exec "$@"', "sh"]


@pytest.mark.skipif(not harness.may_unshare(), reason="needs root and mount namespaces")
def test_dead_names_hold_up_no_others(
    daemon: harness.Daemon,
    folders: Iterator[pathlib.Path],
    asked: socket.socket,
    launcher: list[str],
) -> None:
    path = f"{daemon.port}{daemon.file}"

    def tcp(host: str) -> dict[str, object]:
        return {"uri": f"test+tcp://{host}:{path}", "insecure": True}

    dead = {f"dead{i}": tcp(f"dead{i}.virtgate.example") for i in range(MANY)}
    well = {
        "unix": daemon.uri("unix"),
        "named": tcp(WELL),
        "number": tcp("127.0.0.1"),
    }
    gate = harness.Gate(
        next(folders), dead | well, open_timeout="8s", clients=1000, clients_per_user=1000
    )
    gate.launcher = launcher
    gate.start()
    told: list[str] = []

    def ask(name: str) -> None:
        try:
            raw.connect(gate.socket, name).close()
        except raw.LibvirtError as error:
            told.append(str(error))

    try:
        with victims.Victims(gate.socket, ["unix"] * 2, range(1, 100)) as others:
            threads = [threading.Thread(target=ask, args=(name,)) for name in dead]

            def ask_all() -> None:
                for one in threads:
                    one.start()
                assert asked.recv(512)

            others.bear("dead names", ask_all, 4.0)
            # Not open until now, so both are looked up while the others wait.
            for name in ("named", "number"):
                with raw.connect(gate.socket, name) as client:
                    assert client.version() > 0
            assert len(told) < MANY
            for one in threads:
                one.join(2 * harness.PATIENCE)
            others.times(0.5)
        assert len(told) == MANY
        reasons = ("no answer in", "not looked up in", "name resolution", "within 8000 ms")
        assert all(any(reason in one for reason in reasons) for one in told), told
    finally:
        gate.stop()
