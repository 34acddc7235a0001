"""A gate under the load of a working day, while its daemon ends and comes back and its
configuration is read anew: every answer is looked at, and what it cost is printed.

    soak.py MINUTES

It fails when an answer is wrong or missing, when a call fails although the daemon is there, and
when the gate does not give back what it took.
"""

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Iterator

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "live" / "support"))

import harness  # noqa: E402  (these lie with the live tests)
import node  # noqa: E402
import raw  # noqa: E402

USERS = range(61000, 61008)
CLIENTS = 8  # of each user
LISTENERS = 8
PAUSE = 0.02  # between two calls of a client
RELOADS = 7.0  # seconds from one to the next
OUTAGES = 60.0
RETRY = 10.0  # the target's retry_timeout
GRACE = 5.0  # after which nothing of an outage is left
MACHINES = 40
TARGET, SHARED = "machines", "shared"
LOOKUP_BY_UUID = 24
LIFECYCLE = raw.uint(0) + raw.optional(None)
MOST_GROWTH = 16 << 20  # bytes of memory
SEED = 1


@dataclasses.dataclass
class Tally:
    """What one process of clients has seen."""

    answered: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)
    errors: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    longest: float = 0.0
    opens: int = 0
    events: int = 0

    def add(self, other: "Tally") -> None:
        self.answered += other.answered
        self.wrong += other.wrong
        self.errors += other.errors
        self.longest = max(self.longest, other.longest)
        self.opens += other.opens
        self.events += other.events


class Setting:
    """Where it happens."""

    def __init__(self, folder: pathlib.Path) -> None:
        (folder / "daemon").mkdir()
        (folder / "gate").mkdir()
        folder.chmod(0o755)
        (folder / "gate").chmod(0o755)
        self.daemon = harness.Daemon(folder / "daemon")
        self.daemon.file.write_text(node.node_xml(MACHINES))
        self.daemon.start()
        with raw.connect(self.daemon.unix, self.daemon.name) as direct:
            self.expected = {
                f"machine{i}": direct.domain(f"machine{i}") for i in range(1, MACHINES + 1)
            }
        self.textfile = folder / "gate" / "virtgate.prom"
        patience = {"retry_timeout": f"{RETRY:.0f}s", "call_timeout": "30s"}
        self.gate = harness.Gate(
            folder / "gate",
            {
                TARGET: {"uri": self.daemon.uri("unix"), **patience},
                SHARED: {"uri": self.daemon.uri("unix", "/default"), **patience},
            },
            audit_calls=False,
            sections={"metrics": {"textfile": str(self.textfile), "interval": "5s"}},
        )
        self.gate.start()
        self.outages: list[tuple[float, float]] = []
        self.reloads = 0

    def reload(self) -> None:
        """With a limit that changes to and fro, so that something has changed."""
        text = self.gate.config.read_text()
        one, other = "calls_per_client = 20", "calls_per_client = 24"
        if one in text:
            text = text.replace(one, other)
        elif other in text:
            text = text.replace(other, one)
        else:
            text = text.replace("[limits]\n", f"[limits]\n{one}\n")
        self.gate.config.write_text(text)
        os.kill(self.gate.pid, signal.SIGHUP)
        self.reloads += 1

    def outage(self, away: float, number: int) -> None:
        begun = time.monotonic()
        assert self.daemon.process is not None
        self.daemon.process.end(number)
        time.sleep(away)
        self.daemon.start()
        self.outages.append((begun, time.monotonic()))

    def excused(self, when: float) -> bool:
        return any(begun <= when <= end + GRACE for begun, end in self.outages)


def one_client(place: tuple[str, dict[str, bytes]], seed: int, tally: Tally, end: float) -> None:
    """Looks machines up, and leaves and comes back now and then."""
    address, expected = place
    chance = random.Random(seed)
    names = sorted(expected)
    client: raw.Client | None = None
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            if client is None:
                client = raw.connect(address, TARGET)
                tally.opens += 1
            name = chance.choice(names)
            by_uuid = chance.random() < 0.5
            uuid = expected[name][4 + (len(name) + 3) // 4 * 4 :][:16]
            reply = (
                client.call(LOOKUP_BY_UUID, uuid)
                if by_uuid
                else client.call(raw.DOMAIN_LOOKUP_BY_NAME, raw.string(name))
            )
            tally.answered += 1
            if reply != expected[name]:
                tally.wrong.append(f"{name}: {reply.hex()}")
            tally.longest = max(tally.longest, time.monotonic() - begun)
        except (OSError, raw.LibvirtError) as error:
            tally.errors.append((time.monotonic(), f"{type(error).__name__}: {error}"))
            tally.longest = max(tally.longest, time.monotonic() - begun)
            if client is not None and not isinstance(error, raw.LibvirtError):
                client.close()
                client = None
            time.sleep(0.2)
        if client is not None and chance.random() < 0.005:
            client.close()
            client = None
        time.sleep(PAUSE)
    if client is not None:
        client.close()


def listen(address: str, tally: Tally, end: float) -> None:
    """Wants events, and stays."""
    while time.monotonic() < end:
        try:
            with raw.connect(address, SHARED) as client:
                client.call(raw.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, LIFECYCLE)
                while time.monotonic() < end:
                    client.listen(0.5)
                    tally.events += len(client.messages)
                    client.messages.clear()
        except (OSError, raw.LibvirtError) as error:
            tally.errors.append((time.monotonic(), f"{type(error).__name__}: {error}"))
            time.sleep(0.2)


def threads(targets: list[Callable[[], None]]) -> None:
    all_of_them = [threading.Thread(target=one) for one in targets]
    for one in all_of_them:
        one.start()
    for one in all_of_them:
        one.join()


def as_user(uid: int, setting: Setting, end: float, out: Any) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    tallies = [Tally() for _ in range(CLIENTS + 1)]
    place = (setting.gate.socket, setting.expected)
    work: list[Callable[[], None]] = [
        lambda i=i: one_client(place, uid * CLIENTS + i, tallies[i], end)  # type: ignore[misc]
        for i in range(CLIENTS)
    ]
    work.append(lambda: listen(setting.gate.socket, tallies[CLIENTS], end))
    threads(work)
    whole = Tally()
    for one in tallies:
        whole.add(one)
    out.send(whole)


def make_events(setting: Setting, end: float) -> None:
    """As an administrator does, past the gate."""
    while time.monotonic() < end:
        with contextlib.suppress(OSError, raw.LibvirtError):
            with raw.connect(setting.daemon.unix, "test:///default", flags=0) as admin:
                machine = admin.domain("test")
                for procedure in (raw.DOMAIN_SUSPEND, raw.DOMAIN_RESUME):
                    admin.call(procedure, machine)
        time.sleep(1.0)


def run_virsh(setting: Setting, done: list[tuple[float, int, str]], end: float) -> None:
    env = harness.environment(setting.gate.folder)
    while time.monotonic() < end:
        command = ["virsh", "-r", "-c", setting.gate.uri(setting.daemon.file), "list"]
        one = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        done.append((time.monotonic(), one.returncode, one.stderr.strip()))
        time.sleep(1.0)


def trouble(setting: Setting, end: float) -> None:
    chance = random.Random(SEED)
    next_outage = time.monotonic() + OUTAGES / 4
    while time.monotonic() < end - RETRY - GRACE:
        time.sleep(min(RELOADS, max(0.0, end - time.monotonic())))
        setting.reload()
        if time.monotonic() < next_outage or time.monotonic() > end - 2 * RETRY - GRACE:
            continue
        number = chance.choice([signal.SIGKILL, signal.SIGTERM])
        setting.outage(chance.uniform(2.0, 15.0), number)
        next_outage = time.monotonic() + OUTAGES


class Figures:
    """What a process has of the machine."""

    def __init__(self, pid: int) -> None:
        self.memory = harness.memory(pid)
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        self.threads = len(os.listdir(f"/proc/{pid}/task"))
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def users(setting: Setting, end: float, tallies: list[Tally]) -> Iterator[None]:
    context = multiprocessing.get_context("fork")
    started = []
    for uid in USERS:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=as_user, args=(uid, setting, end, theirs))
        process.start()
        theirs.close()
        started.append((process, ours))
    try:
        yield
        for process, ours in started:
            if not ours.poll(max(1.0, end + 60.0 - time.monotonic())):
                raise harness.Failure("clients did not come to their end")
            tallies.append(ours.recv())
    finally:
        for process, _ in started:
            process.join(5.0)
            process.kill()


def verdict(setting: Setting, whole: Tally, virsh: list[tuple[float, int, str]]) -> list[str]:
    out = [f"wrong: {one}" for one in whole.wrong[:5]]
    lost = sum(1 for _, text in whole.errors if text.startswith("TimeoutError"))
    if lost > 0:
        out.append(f"{lost} calls have no answer")
    unexcused = [text for when, text in whole.errors if not setting.excused(when)]
    unexcused += [text for when, code, text in virsh if code != 0 and not setting.excused(when)]
    counted = collections.Counter(unexcused)
    out += [f"{count} times, while the daemon was there: {text}" for text, count in counted.items()]
    return out


def report(setting: Setting, minutes: float, tallies: list[Tally], more: list[str]) -> None:
    each = [one.answered for one in tallies]
    log = len(setting.gate.log())
    audit = setting.gate.audit.stat().st_size
    print(f"{minutes:g} min, {len(USERS)} users with {CLIENTS} clients and a listener each")
    print(f"look-ups {sum(each)}, of each user {min(each)} to {max(each)}")
    print(f"opens {sum(one.opens for one in tallies)}, events {sum(one.events for one in tallies)}")
    print(f"wrong {sum(len(one.wrong) for one in tallies)}, errors in outages "
          f"{sum(len(one.errors) for one in tallies)}, longest {max(t.longest for t in tallies):.2f} s")
    print(f"restarts of the daemon {len(setting.outages)}, reloads {setting.reloads}")
    print(f"log {log} bytes, audit {audit} bytes")
    for line in more:
        print(line)


def soak(folder: pathlib.Path, minutes: float) -> list[str]:
    setting = Setting(folder)
    try:
        end = time.monotonic() + 60 * minutes
        tallies: list[Tally] = []
        virsh: list[tuple[float, int, str]] = []
        with users(setting, end, tallies):
            others = [
                threading.Thread(target=make_events, args=(setting, end)),
                threading.Thread(target=run_virsh, args=(setting, virsh, end)),
            ]
            for one in others:
                one.start()
            time.sleep(min(10.0, 15 * minutes))
            first = Figures(setting.gate.pid)
            begun = time.monotonic()
            trouble(setting, end)
            time.sleep(max(0.0, end - 3.0 - time.monotonic()))
            last = Figures(setting.gate.pid)
            share = (last.cpu - first.cpu) / (time.monotonic() - begun)
            for one in others:
                one.join()
        time.sleep(3.0)
        rest = Figures(setting.gate.pid)
        report(setting, minutes, tallies, [
            f"memory {first.memory >> 10} -> {last.memory >> 10} KiB, CPU {100 * share:.1f} %",
            f"descriptors {first.descriptors} -> {last.descriptors}, {rest.descriptors} at the end;"
            f" threads {rest.threads}",
        ])
        whole = Tally()
        for one in tallies:
            whole.add(one)
        found = verdict(setting, whole, virsh)
        if last.memory - first.memory > MOST_GROWTH and "sanitize" not in str(harness.BUILD):
            found.append("memory has grown")
        if rest.descriptors > 40:
            found.append(f"{rest.descriptors} descriptors are left")
        if whole.events == 0:
            found.append("nobody got an event")
        if not setting.textfile.exists():
            found.append("there is no textfile")
        return found
    finally:
        setting.gate.stop()
        setting.daemon.stop()


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with harness.scratch_folder() as folder:
        found = soak(folder, minutes)
    for one in found:
        print(f"soak: {one}")
    print("soak: " + ("failed" if found else "nothing lost, nothing left"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
