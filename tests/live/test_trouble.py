"""Nobody waits for somebody else's trouble: what hangs at a daemon, and how others fare beside it.

How long others wait is printed (pytest -s), and held against three times what they wait alone, with
something added for a machine that is busy with other tests.
"""

import contextlib
import pathlib
import select
import time
from typing import Any, Callable, Iterator

import pytest

import ask
import harness
import raw
import stuck
import victims

MakeGate = Callable[..., harness.Gate]

TIMEOUT = 4.0  # of a call
OTHERS = range(101, 151)  # machines that nothing is wrong with
UPSTREAMS, SPARE = 4, 2
AT_ONE_SUBJECT = 2
A_SECOND = 1.0 + victims.BUSY / 1000
TRIED = 6  # beyond those: other kinds of calls about it, and whether it answers again


def target(uri: str) -> dict[str, Any]:
    return {"uri": uri, "call_timeout": f"{TIMEOUT:.0f}s", "upstreams": UPSTREAMS, "spare": SPARE}


@pytest.fixture
def sick(folders: Iterator[pathlib.Path]) -> Iterator[stuck.StuckDaemon]:
    with stuck.running(str(next(folders) / "sick.sock")) as one:
        yield one


@pytest.fixture
def gate(sick: stuck.StuckDaemon, make_gate: MakeGate) -> harness.Gate:
    return make_gate({"rack": target(sick.uri())})


@pytest.fixture
def others(gate: harness.Gate) -> Iterator[victims.Victims]:
    with victims.Victims(gate.socket, ["rack"] * 4, OTHERS) as some:
        yield some


class Askers:
    """Clients that ask about what hangs, several calls each, and wait."""

    def __init__(self, gate: harness.Gate, count: int = 24) -> None:
        self.clients = [raw.connect(gate.socket, "rack") for _ in range(count)]
        self.serials: list[list[int]] = []
        self.begun = 0.0

    def __enter__(self) -> "Askers":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.clients:
            one.close()

    def ask(self, calls: Callable[[int], list[tuple[int, bytes]]]) -> None:
        """What the client of a number asks."""
        self.begun = time.monotonic()
        for number, client in enumerate(self.clients):
            self.serials.append([client.post(*one) for one in calls(number)])

    def wait(self) -> bool:
        """None of them has been answered yet."""
        return not select.select([one.socket for one in self.clients], [], [], 0)[0]

    def answers(self) -> list[raw.Frame]:
        """One for each call; the last must have come when its deadline and a little are over."""
        found = []
        for client, serials in zip(self.clients, self.serials):
            frames = [client.receive() for _ in serials]
            assert sorted(one.serial for one in frames) == sorted(serials)
            found += frames
        assert time.monotonic() - self.begun < 3 * TIMEOUT
        return found


def about(number: int) -> list[tuple[int, bytes]]:
    """Eight calls about a machine."""
    one = stuck.machine(number)
    calls = [(stuck.GET_INFO, one), (stuck.GET_OS_TYPE, one), (stuck.GET_STATE, one + raw.uint(0))]
    calls += [(stuck.GET_XML_DESC, one + raw.uint(flags)) for flags in (0, 2, 4, 6)]
    return [*calls, (stuck.GET_INFO, one)]


def sweeps(client: int) -> list[tuple[int, bytes]]:
    """Eight calls for the statistics of all machines, which nobody else makes."""
    bits = range(8 * client, 8 * client + 8)
    return [(stuck.STATISTICS, raw.uint(0) + raw.uint(1 + one) + raw.uint(0)) for one in bits]


def hears_at_once(gate: harness.Gate, words: str, *calls: tuple[int, bytes]) -> None:
    """Whoever comes once a deadline has passed does not wait for another, whatever it asks."""
    for call, body in calls:
        with raw.connect(gate.socket, "rack") as late:
            begun = time.monotonic()
            answers = [late.ask(call, body) for _ in range(2)]
            assert time.monotonic() - begun < A_SECOND, call
        for one in answers:
            assert one.status == raw.ERROR, call
            told = raw.error_of(one).text
            assert words in told and "has not answered for" in told, told


def is_back(gate: harness.Gate, call: int, body: bytes) -> bool:
    with raw.connect(gate.socket, "rack") as one:
        return one.ask(call, body).status == raw.OK


def check_others(what: str, some: victims.Victims, trouble: Callable[[], None]) -> None:
    some.bear(what, trouble, TIMEOUT)


def test_a_machine_that_hangs_holds_up_nobody_else(
    sick: stuck.StuckDaemon, gate: harness.Gate, others: victims.Victims
) -> None:
    info = stuck.GET_INFO, stuck.machine(1)
    with raw.connect(gate.socket, "rack") as one:
        one.domain("machine1")

    def trouble() -> None:
        sick.hang("machine1")
        with Askers(gate) as askers:
            askers.ask(lambda _: about(1))
            # A client that waits for it can look at others.
            serial = askers.clients[0].post(stuck.GET_INFO, stuck.machine(2))
            first = askers.clients[0].receive()
            assert (first.serial, first.status) == (serial, raw.OK)
            assert askers.wait()
            assert {one.status for one in askers.answers()} == {raw.ERROR}
        # The second was answered before, and the last nobody has asked.
        by_name = raw.DOMAIN_LOOKUP_BY_NAME, raw.string("machine1")
        autostart = stuck.GET_AUTOSTART, stuck.machine(1)
        hears_at_once(gate, "machine 'machine1'", info, by_name, autostart)

    check_others("a machine that hangs", others, trouble)
    assert sick.most("machine1") <= AT_ONE_SUBJECT + TRIED
    (shown,) = ask.named(ask.status(gate)["targets"], "rack")["troubles"]
    assert shown["silent"] and "machine1" in shown["subject"]
    sick.hang()
    harness.wait_for("machine1 to be back", lambda: is_back(gate, *info), TIMEOUT)
    assert sick.report()["lying"].get("machine1", 0) == 0


@pytest.mark.parametrize(
    "name, call, body",
    [
        ("wires", stuck.NETWORK_IS_ACTIVE, stuck.group("wires")),
        ("shelf", stuck.POOL_GET_INFO, stuck.group("shelf")),
        ("disk", stuck.VOLUME_GET_INFO, stuck.volume("disk")),
    ],
    ids=["network", "pool", "volume"],
)
def test_another_object_that_hangs_holds_up_nobody_else(
    sick: stuck.StuckDaemon,
    gate: harness.Gate,
    others: victims.Victims,
    name: str,
    call: int,
    body: bytes,
) -> None:
    def trouble() -> None:
        sick.hang(name)
        with Askers(gate) as askers:
            askers.ask(lambda _: 8 * [(call, body)])
            assert askers.wait()
            assert {one.status for one in askers.answers()} == {raw.ERROR}
        hears_at_once(gate, f"'{name}'", (call, body))

    check_others(f"{name} that hangs", others, trouble)
    assert sick.most(name) <= AT_ONE_SUBJECT + TRIED
    sick.hang()
    harness.wait_for(f"{name} to be back", lambda: is_back(gate, call, body), TIMEOUT)


def test_a_sweep_that_hangs_holds_up_nobody_else(
    sick: stuck.StuckDaemon, gate: harness.Gate, others: victims.Victims
) -> None:
    subject = str(stuck.STATISTICS)

    def trouble() -> None:
        sick.hang(subject)
        with Askers(gate) as askers:
            askers.ask(sweeps)
            with raw.connect(gate.socket, "rack") as one:
                assert one.call(stuck.LISTS, raw.uint(1) + raw.uint(0))
                assert one.call(stuck.GET_INFO, stuck.machine(1))
            assert askers.wait()
            assert {one.status for one in askers.answers()} == {raw.ERROR}
        hears_at_once(gate, "CONNECT_GET_ALL_DOMAIN_STATS", sweeps(0)[0])

    check_others("statistics that hang", others, trouble)
    assert sick.most(subject) <= AT_ONE_SUBJECT + TRIED
    sick.hang()
    harness.wait_for("statistics to be back", lambda: is_back(gate, *sweeps(0)[0]), TIMEOUT)


def test_ten_machines_that_hang_hold_up_nobody_else(
    sick: stuck.StuckDaemon, gate: harness.Gate, others: victims.Victims
) -> None:
    hung = [f"machine{number}" for number in range(1, 11)]

    def trouble() -> None:
        sick.hang(*hung)
        with Askers(gate) as askers:
            askers.ask(lambda client: [about(1 + (client + n) % 10)[n] for n in range(8)])
            assert {one.status for one in askers.answers()} == {raw.ERROR}

    check_others("ten machines that hang", others, trouble)
    assert sick.most() <= 16
    assert all(sick.most(one) <= AT_ONE_SUBJECT + TRIED for one in hung)
    assert sick.report()["connections"] <= UPSTREAMS + SPARE
    sick.hang()
    for number in range(1, 11):
        body = stuck.machine(number)
        harness.wait_for("them to be back", lambda: is_back(gate, stuck.GET_INFO, body), TIMEOUT)


def test_one_call_each_of_four_clients_holds_up_nobody_else(
    sick: stuck.StuckDaemon, gate: harness.Gate
) -> None:
    """They fill the first connection to the daemon, and no other one is there yet."""
    sick.hang("machine1", "machine2")
    with Askers(gate, 4) as askers, raw.connect(gate.socket, "rack") as other:
        askers.ask(lambda client: [about(1 + client % 2)[client]])
        harness.wait_for("the calls to be at the daemon", lambda: sick.most() == 4)
        assert other.domain("machine101")
        assert askers.wait()
        assert {one.status for one in askers.answers()} == {raw.ERROR}
    assert sick.most() == 4


def test_who_gives_up_and_asks_again_holds_up_nobody_else(
    sick: stuck.StuckDaemon, gate: harness.Gate, others: victims.Victims
) -> None:
    """An exporter with a time-out of its own, scraped again and again."""

    def scrape() -> None:
        with raw.connect(gate.socket, "rack") as exporter:
            serials = [exporter.post(*one) for one in about(1)]
            with contextlib.suppress(TimeoutError):
                for _ in serials:
                    assert exporter.receive(0.3).status == raw.ERROR

    def trouble() -> None:
        sick.hang("machine1")
        end = time.monotonic() + 2 * TIMEOUT
        while time.monotonic() < end:
            scrape()

    check_others("an exporter that gives up", others, trouble)
    assert sick.most() <= AT_ONE_SUBJECT + TRIED
    assert sick.report()["connections"] <= UPSTREAMS + SPARE
    sick.hang()
    body = stuck.machine(1)
    harness.wait_for("machine1 to be back", lambda: is_back(gate, stuck.GET_INFO, body), TIMEOUT)
    assert ask.named(ask.status(gate)["targets"], "rack")["abandoned"] == 0


def test_one_target_of_a_hundred_that_hangs_holds_up_no_other(
    folders: Iterator[pathlib.Path], make_gate: MakeGate
) -> None:
    folder = next(folders)
    paths = [str(folder / f"{number}.sock") for number in range(99)]
    with stuck.running(*paths) as well, stuck.running(str(folder / "ill.sock")) as ill:
        names = [f"host{number}" for number in range(len(paths))]
        targets = {name: target(well.uri(number)) for number, name in enumerate(names)}
        gate = make_gate({**targets, "ill": target(ill.uri())})
        with victims.Victims(gate.socket, names[:8], OTHERS) as others:

            def trouble() -> None:
                clients = [raw.connect(gate.socket, "ill") for _ in range(24)]
                ill.freeze()
                serials = [(one, one.post(*about(1)[0])) for one in clients]
                for name in names:
                    with raw.connect(gate.socket, name) as one:
                        assert one.version() > 0
                for client, serial in serials:
                    assert client.reply(serial).status == raw.ERROR
                    client.close()

            check_others("one target of a hundred that hangs", others, trouble)
        ill.thaw()

        def answers() -> bool:
            with raw.connect(gate.socket, "ill") as one:
                return one.ask(*about(1)[0]).status == raw.OK

        harness.wait_for("it to be back", answers, 2 * TIMEOUT)


def test_long_answers_of_one_target_take_nothing_from_clients_of_another(
    folders: Iterator[pathlib.Path], make_gate: MakeGate
) -> None:
    """All of them are one user's, whose clients of the one do not read what they get."""
    folder = next(folders)
    with stuck.running(str(folder / "well.sock"), str(folder / "long.sock")) as daemon:
        targets = {"well": target(daemon.uri(0)), "long": target(daemon.uri(1))}
        gate = make_gate(targets, user_buffer="512KiB")
        with contextlib.ExitStack() as stack:
            hoard = [stack.enter_context(raw.connect(gate.socket, "long")) for _ in range(16)]
            for client in hoard:
                for bits in range(1, 65):
                    client.post(stuck.STATISTICS, raw.uint(0) + raw.uint(bits) + raw.uint(0))

            def is_full() -> bool:
                buffer = ask.status(gate)["buffer"]
                return int(buffer["held"]) - int(buffer["expected"]) > 512 * 1024

            harness.wait_for("the buffer to be full", is_full)
            same = stack.enter_context(raw.connect(gate.socket, "long"))
            held = same.post(*about(101)[0])
            with raw.connect(gate.socket, "well") as other:
                for number in OTHERS:
                    assert other.domain(f"machine{number}")
            assert same.reply(held).status == raw.ERROR
