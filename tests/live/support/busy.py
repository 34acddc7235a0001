"""Clients that keep calling from threads of their own, and remember what went wrong."""

import threading

import harness
import raw


class Busy:
    """One client that calls again and again until it is stopped."""

    def __init__(self, address: harness.Address, name: str) -> None:
        self.done = 0
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._client = raw.connect(address, name)
        self._client.patience = 60.0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        number = 0
        try:
            while not self._stop.is_set():
                number = number % 200 + 1
                name = f"machine{number}"
                assert self._client.domain(name).startswith(raw.string(name))
                assert self._client.version() > 0
                self.done += 2
        except (OSError, AssertionError, raw.LibvirtError) as error:
            self.error = error

    def finish(self) -> None:
        """Raises what went wrong."""
        self._stop.set()
        self._thread.join(90)
        self._client.close()
        if self.error:
            raise self.error
        assert not self._thread.is_alive()


class Crew:
    """Several of them, which must all stay without an error."""

    def __init__(self, address: harness.Address, name: str, count: int) -> None:
        self.members = [Busy(address, name) for _ in range(count)]

    def __enter__(self) -> "Crew":
        self.progress(1)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for one in self.members:
            try:
                one.finish()
            except Exception:
                if kind is None:
                    raise

    def failed(self) -> bool:
        return any(one.error for one in self.members)

    def progress(self, calls: int) -> None:
        """Waits until each of them has done so many more, or one has failed."""
        goals = [one.done + calls for one in self.members]
        harness.wait_for(
            "every client to get on",
            lambda: self.failed() or all(m.done >= g for m, g in zip(self.members, goals)),
        )
