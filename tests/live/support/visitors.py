"""Clients that come again and again, each time for a short while, as an exporter or a virsh does."""

import collections
import contextlib
import threading
from typing import Iterator

import harness
import raw


class Visitor(threading.Thread):
    def __init__(self, address: str, target: str) -> None:
        super().__init__()
        self.address = address
        self.target = target
        self.served = 0
        self.failures: collections.Counter[str] = collections.Counter()
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with raw.connect(self.address, self.target) as client:
                    assert client.version() > 0
                    assert client.domain("machine1")
                self.served += 1
            except (OSError, raw.LibvirtError) as error:
                self.failures[repr(error)] += 1


class Visitors:
    def __init__(self, address: str, target: str, count: int) -> None:
        self.members = [Visitor(address, target) for _ in range(count)]

    def progress(self, visits: int) -> None:
        """Waits until each of them has been served so often."""
        goals = [one.served + visits for one in self.members]
        harness.wait_for(
            "every visitor to be served",
            lambda: all(one.served >= goal for one, goal in zip(self.members, goals)),
        )


@contextlib.contextmanager
def nobody_lost(address: str, target: str, count: int = 6) -> Iterator[Visitors]:
    """Visitors who come all the time; at the end, none of them may have failed."""
    visitors = Visitors(address, target, count)
    try:
        yield visitors
    finally:
        for one in visitors.members:
            one.over.set()
        for one in visitors.members:
            one.join()
    assert not sum((one.failures for one in visitors.members), collections.Counter())
