"""What the live tests share: one daemon for all, and gates that must end well."""

import contextlib
import itertools
import pathlib
import resource
import signal
from typing import Any, Callable, Iterator

import pytest

import certificates
import harness
import raw
import recorder
import sshd
from tls_scene import Pki, TlsDaemon

MakeGate = Callable[..., harness.Gate]
MakeRecorder = Callable[[harness.Daemon], recorder.Recorder]


def pytest_configure() -> None:
    """A thousand clients need as many descriptors, here and in what is started from here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Whoever starts the tests in the background has these ignored, which programs inherit and keep.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def scratch() -> Iterator[pathlib.Path]:
    with harness.scratch_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def folders(scratch: pathlib.Path) -> Iterator[pathlib.Path]:
    """One new folder after the other."""

    def endless() -> Iterator[pathlib.Path]:
        for number in itertools.count(1):
            folder = scratch / str(number)
            folder.mkdir()
            yield folder

    return endless()


@pytest.fixture(scope="session")
def daemon(folders: Iterator[pathlib.Path]) -> Iterator[harness.Daemon]:
    """Shared: whoever harms it makes one of its own with `own_daemon`."""
    one = harness.Daemon(next(folders))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def own_daemon(folders: Iterator[pathlib.Path]) -> Iterator[harness.Daemon]:
    one = harness.Daemon(next(folders))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def pki(folders: Iterator[pathlib.Path]) -> Pki:
    return Pki(next(folders))


@pytest.fixture(scope="module")
def tls_daemon(folders: Iterator[pathlib.Path], pki: Pki) -> Iterator[TlsDaemon]:
    one = TlsDaemon(next(folders), pki)
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def client(folders: Iterator[pathlib.Path], pki: Pki) -> certificates.ClientFolder:
    """Our files: all is well with them, until a test sees to that."""
    one = certificates.ClientFolder(next(folders), pki.ours)
    one.be(*pki.client)
    return one


@contextlib.contextmanager
def _gates(folders: Iterator[pathlib.Path]) -> Iterator[MakeGate]:
    with contextlib.ExitStack() as stack:

        def make(targets: dict[str, Any], *listen: harness.Listen, **limits: Any) -> harness.Gate:
            gate = harness.Gate(next(folders), targets, listen or (harness.Listen(),), **limits)
            stack.callback(gate.stop)
            return gate.start()

        yield make


@pytest.fixture
def make_gate(folders: Iterator[pathlib.Path]) -> Iterator[MakeGate]:
    """Starts a gate that ends, and must end well, with the test."""
    with _gates(folders) as make:
        yield make


@pytest.fixture(scope="module")
def make_module_gate(folders: Iterator[pathlib.Path]) -> Iterator[MakeGate]:
    with _gates(folders) as make:
        yield make


@contextlib.contextmanager
def _recorders(folders: Iterator[pathlib.Path]) -> Iterator[MakeRecorder]:
    with contextlib.ExitStack() as stack:

        def make(daemon: harness.Daemon) -> recorder.Recorder:
            one = recorder.Recorder(str(next(folders) / "recorder.sock"), daemon.unix)
            stack.callback(one.close)
            return one

        yield make


@pytest.fixture
def make_recorder(folders: Iterator[pathlib.Path]) -> Iterator[MakeRecorder]:
    with _recorders(folders) as make:
        yield make


@pytest.fixture(scope="module")
def make_module_recorder(folders: Iterator[pathlib.Path]) -> Iterator[MakeRecorder]:
    with _recorders(folders) as make:
        yield make


@pytest.fixture
def connect() -> Iterator[Callable[..., raw.Client]]:
    """raw.connect(), and the connection ends with the test."""
    with contextlib.ExitStack() as stack:

        def make(*arguments: Any, **options: Any) -> raw.Client:
            return stack.enter_context(raw.connect(*arguments, **options))

        yield make


@pytest.fixture
def server(folders: Iterator[pathlib.Path]) -> Iterator[sshd.Server]:
    one = sshd.Server(next(folders))
    try:
        yield one.start()
    finally:
        one.stop()
