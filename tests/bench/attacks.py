"""What somebody does to a gate or its daemons while others are measured.

Root does it as another user, so that limits of users count.
"""

import contextlib
import multiprocessing
import os
import pathlib
import socket
import subprocess
import threading
import time
import uuid
from typing import Any, Callable, Iterator, NamedTuple

import harness
import raw
import stuck

ATTACKER = 61198
WELL, SICK, FLOOD = "well", "sick", "flood"  # targets
GIVE_UP = 0.5  # seconds after which an exporter asks anew
HUNG = "machine1"
REGISTER = raw.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY
DEREGISTER = raw.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY
BASELINE_CPU = 162
SHUTDOWN_WAIT = 10.0


class Place(NamedTuple):
    """Where it happens."""

    socket: str  # of the gate
    load: str  # bench-load, where every user may run it
    ssh: socket.socket  # where the target FLOOD is expected to be
    sick: stuck.StuckDaemon


def become_another() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(ATTACKER)
        os.setuid(ATTACKER)


def _run(function: Callable[..., None], *arguments: Any) -> None:
    become_another()
    with contextlib.suppress(OSError, raw.LibvirtError):
        function(*arguments)


@contextlib.contextmanager
def processes(count: int, function: Callable[..., None], *arguments: Any) -> Iterator[None]:
    context = multiprocessing.get_context("fork")
    started = [
        context.Process(target=_run, args=(function, *arguments), daemon=True)
        for _ in range(count)
    ]
    for one in started:
        one.start()
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.join(SHUTDOWN_WAIT)


@contextlib.contextmanager
def load(place: Place, target: str, clients: int, call: int, bodies: list[bytes]) -> Iterator[None]:
    """Clients that call without a pause."""
    command = [place.load, "asks", f"unix:{place.socket}", target, "600000", str(clients)]
    command += [str(call), ",".join(one.hex() for one in bodies)]
    other = {"user": ATTACKER, "group": ATTACKER, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, **other) as process:
        try:
            yield
        finally:
            process.kill()


def in_threads(count: int, function: Callable[..., None], *arguments: Any) -> None:
    threads = [threading.Thread(target=_safely, args=(function, *arguments)) for _ in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def _safely(function: Callable[..., None], *arguments: Any) -> None:
    while True:
        with contextlib.suppress(OSError, raw.LibvirtError):
            function(*arguments)


def ask_and_wait(address: str, calls: list[tuple[int, bytes]]) -> None:
    with raw.Client(address, 60) as one:
        one.open(SICK)
        while True:
            for serial in [one.post(*call) for call in calls]:
                one.reply(serial)
            time.sleep(0.1)


def ask_and_give_up(address: str, calls: list[tuple[int, bytes]]) -> None:
    with raw.connect(address, SICK) as one:
        for call in calls:
            one.post(*call)
        time.sleep(GIVE_UP)


@contextlib.contextmanager
def hanging(place: Place, subjects: list[str], count: int, what: Any, *more: Any) -> Iterator[None]:
    """Clients at a daemon that hangs at calls about these."""
    place.sick.hang(*subjects)
    try:
        with processes(1, in_threads, count, what, place.socket, *more):
            yield
    finally:
        place.sick.hang()


def about(number: int) -> list[tuple[int, bytes]]:
    one = stuck.machine(number)
    calls = [(stuck.GET_INFO, one), (stuck.GET_OS_TYPE, one)]
    return calls + [(stuck.GET_XML_DESC, one + raw.uint(flags)) for flags in (0, 2)]


def wait_for_machine(place: Place, askers: int) -> contextlib.AbstractContextManager[None]:
    return hanging(place, [HUNG], askers, ask_and_wait, about(1))


def wait_for_ten(place: Place) -> contextlib.AbstractContextManager[None]:
    calls = [call for number in range(1, 11) for call in about(number)]
    hung = [f"machine{number}" for number in range(1, 11)]
    return hanging(place, hung, 24, ask_and_wait, calls)


def wait_for_sweep(place: Place) -> contextlib.AbstractContextManager[None]:
    calls = [(stuck.STATISTICS, raw.uint(0) + raw.uint(bits) + raw.uint(0)) for bits in (1, 2, 3)]
    return hanging(place, [str(stuck.STATISTICS)], 24, ask_and_wait, calls)


def give_up(place: Place) -> contextlib.AbstractContextManager[None]:
    return hanging(place, [HUNG], 4, ask_and_give_up, about(1))


def crowd(place: Place, clients: int) -> contextlib.AbstractContextManager[None]:
    """They all ask for something else, so that nothing is joined."""
    names = [raw.string(f"machine{number}") for number in range(1, 191)]
    return load(place, WELL, clients, raw.DOMAIN_LOOKUP_BY_NAME, names)


def lists(place: Place, clients: int) -> contextlib.AbstractContextManager[None]:
    """Of all machines, each time by other flags."""
    bodies = [raw.uint(1) + raw.uint(flags) for flags in range(1, 4)]
    return load(place, WELL, clients, raw.CONNECT_LIST_ALL_DOMAINS, bodies)


def refused(place: Place, clients: int) -> contextlib.AbstractContextManager[None]:
    return load(place, WELL, clients, raw.DOMAIN_DESTROY, [stuck.machine(1)])


def repeated(place: Place) -> contextlib.AbstractContextManager[None]:
    body = raw.uint(256) + 256 * stuck.machine(1) + raw.uint(0) + raw.uint(0)
    return load(place, WELL, 16, raw.CONNECT_GET_ALL_DOMAIN_STATS, [body])


def ask_document(address: str) -> None:
    attributes = " ".join(f"a{number}=''" for number in range(60000))
    body = raw.uint(1) + raw.string(f"<cpu {attributes}/>") + raw.uint(0)
    with raw.connect(address, WELL) as one:
        while True:
            one.ask(BASELINE_CPU, body)


def documents(place: Place) -> contextlib.AbstractContextManager[None]:
    return processes(2, in_threads, 4, ask_document, place.socket)


def leave_unread(address: str) -> None:
    every = raw.uint(0) + raw.uint(0) + raw.uint(0)
    clients = [raw.connect(address, WELL) for _ in range(64)]
    for one in clients:
        one.socket.setblocking(False)
    while True:
        for one in clients:
            with contextlib.suppress(BlockingIOError):
                one.send(raw.frame(raw.CONNECT_GET_ALL_DOMAIN_STATS, every))
        time.sleep(0.01)


def unread(place: Place) -> contextlib.AbstractContextManager[None]:
    return processes(1, leave_unread, place.socket)


def register(address: str, clients: int) -> None:
    """Each of them for as many made-up machines as a client may."""
    held = []
    for _ in range(clients):
        held.append(raw.connect(address, WELL))
        for _ in range(256):
            domain = raw.string("x") + uuid.uuid4().bytes + raw.uint(1)
            held[-1].post(REGISTER, raw.uint(0) + raw.optional(domain))
    for one in held:
        one.listen(0)
    unknown = raw.frame(DEREGISTER, raw.uint(999999)) * 64
    one = raw.connect(address, WELL)
    while True:
        one.send(unknown)
        for _ in range(64):
            one.receive()


def registrations(place: Place) -> contextlib.AbstractContextManager[None]:
    return processes(2, register, place.socket, 50)


def talk(listener: socket.socket) -> None:
    """Lines before the greeting of ssh, without end."""
    lines = b"".join(b"%060d\r\n" % number for number in range(4096))

    def pour(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(lines)

    while True:
        threading.Thread(target=pour, args=(listener.accept()[0],), daemon=True).start()


def open_flood(address: str) -> None:
    with raw.connect(address, FLOOD):
        pass


@contextlib.contextmanager
def banners(place: Place) -> Iterator[None]:
    with processes(1, talk, place.ssh), processes(1, in_threads, 8, open_flood, place.socket):
        yield


def come_and_go(address: str) -> None:
    while True:
        with contextlib.suppress(OSError):
            harness.dial(address).close()


def storm(place: Place) -> contextlib.AbstractContextManager[None]:
    return processes(2, come_and_go, place.socket)


def spin() -> None:
    while True:
        pass


def load_of(folder: pathlib.Path, program: str) -> str:
    """A copy that every user may run."""
    copy = folder / "bench-load"
    copy.write_bytes(pathlib.Path(program).read_bytes())
    copy.chmod(0o755)
    return str(copy)


class Attack(NamedTuple):
    title: str
    victim: str  # its target
    begin: Callable[[Place], contextlib.AbstractContextManager[None]]


ATTACKS = (
    Attack("nothing", WELL, lambda _: contextlib.nullcontext()),
    Attack("two programs that only take the processors", WELL, lambda _: processes(2, spin)),
    Attack("a machine that hangs, 4 clients wait", SICK, lambda at: wait_for_machine(at, 4)),
    Attack("a machine that hangs, 24 clients wait", SICK, lambda at: wait_for_machine(at, 24)),
    Attack("ten machines that hang, 24 clients wait", SICK, wait_for_ten),
    Attack("statistics that hang, 24 clients wait", SICK, wait_for_sweep),
    Attack("four exporters that give up and ask again", SICK, give_up),
    Attack("a user with 16 clients that call", WELL, lambda at: crowd(at, 16)),
    Attack("a user with 200 clients that call", WELL, lambda at: crowd(at, 200)),
    Attack("a user with 990 clients that call", WELL, lambda at: crowd(at, 990)),
    Attack("a user with 200 that list all machines", WELL, lambda at: lists(at, 200)),
    Attack("200 clients whose calls are refused", WELL, lambda at: refused(at, 200)),
    Attack("arrays that name a machine 256 times", WELL, repeated),
    Attack("documents of 60,000 attributes", WELL, documents),
    Attack("64 clients that do not read", WELL, unread),
    Attack("25,600 registrations for events", WELL, registrations),
    Attack("an ssh server with banners without end", WELL, banners),
    Attack("two programs that connect and close", WELL, storm),
)
