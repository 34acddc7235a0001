"""Clients that nothing is wrong with, and how long their calls take."""

import math
import threading
import time
from typing import Callable, NamedTuple

import harness
import raw

PAUSE = 0.004  # seconds between a client's calls
BUSY = 150.0  # milliseconds, for a machine that is busy with other tests


class Times(NamedTuple):
    """Of calls, in milliseconds."""

    calls: int
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        assert seconds, "nobody was answered"
        ordered = sorted(1000 * one for one in seconds)
        ranks = (max(0, math.ceil(len(ordered) * part) - 1) for part in (0.5, 0.99, 1))
        return cls(len(ordered), *(ordered[rank] for rank in ranks))

    def beside(self, alone: "Times") -> str:
        """For people: these figures, and those without the trouble."""
        return (
            f"p50 {self.p50:.2f} ms ({alone.p50:.2f} alone), p99 {self.p99:.2f} ms "
            f"({alone.p99:.2f} alone, x{self.p99 / alone.p99:.2f}), "
            f"longest {self.most:.0f} ms ({alone.most:.0f} alone), {self.calls} calls"
        )


class Victim:
    """One client that calls again and again, each time about another machine."""

    def __init__(self, address: harness.Address, name: str, first: int, last: int) -> None:
        self.seconds: list[float] = []
        self.error: BaseException | None = None
        self._machines = range(first, last + 1)
        self._stop = threading.Event()
        self._client = raw.connect(address, name)
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _work(self) -> None:
        number = 0
        try:
            while not self._stop.wait(PAUSE):
                number += 1
                machine = f"machine{self._machines[number % len(self._machines)]}"
                begun = time.monotonic()
                assert self._client.domain(machine).startswith(raw.string(machine))
                self.seconds.append(time.monotonic() - begun)
        except (OSError, AssertionError, raw.LibvirtError) as error:
            self.error = error

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(2 * harness.PATIENCE)
        self._client.close()
        if self.error:
            raise self.error


class Victims:
    """Several of them. Each part of a test asks how long their calls have taken since the last."""

    def __init__(self, address: harness.Address, names: list[str], machines: range) -> None:
        self.members = [Victim(address, one, machines[0], machines[-1]) for one in names]

    def __enter__(self) -> "Victims":
        for one in self.members:
            one.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for one in self.members:
            try:
                one.finish()
            except (OSError, AssertionError, raw.LibvirtError):
                if kind is None:
                    raise

    def times(self, seconds: float) -> Times:
        """Of the calls that are answered in the next so many seconds."""
        begun = [len(one.seconds) for one in self.members]
        time.sleep(seconds)
        return self.since(begun)

    def count(self) -> list[int]:
        return [len(one.seconds) for one in self.members]

    def since(self, counts: list[int]) -> Times:
        """Of the calls answered since count() gave that. Nobody may have failed."""
        for one in self.members:
            if one.error:
                raise one.error
        pairs = zip(self.members, counts)
        return Times.of([second for one, count in pairs for second in one.seconds[count:]])

    def bear(self, what: str, trouble: Callable[[], None], longest: float) -> None:
        """How they fare alone, and then as long as the trouble lasts; `longest`: of one call, in seconds."""
        alone = self.times(1.0)
        before = self.count()
        begun = time.monotonic()
        trouble()
        # Or there would be next to no calls beside what is over at once.
        time.sleep(max(0.0, 1.0 - (time.monotonic() - begun)))
        beside = self.since(before)
        print(f"\nbeside {what}: {beside.beside(alone)}")
        assert beside.p99 < 3 * alone.p99 + BUSY
        assert beside.most < 1000 * longest
