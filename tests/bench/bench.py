"""Measures the gate beside direct connections to the same libvirtd, in one run.

Rounds are interleaved, so that whatever else the machine does meets all of them alike; what is
printed is the median of the rounds, how far they spread, and the ratio to the direct connection.
"""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
from typing import NamedTuple

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "live"))

import harness  # noqa: E402  (it lies with the live tests)
import raw  # noqa: E402

LOAD = str(TOP / harness.BUILD / "bench-load")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = "1"
AT_ONCE = 16
IDLE = 1000
PATH = "/default"
NAME = f"test://{PATH}"


class Way(NamedTuple):
    """How clients reach the daemon: for bench-load, the address, and the name that they open."""

    title: str
    address: str
    name: str
    direct: str  # the way that it is compared with


class Row(NamedTuple):
    title: str
    mode: str
    clients: int
    value: str


ROWS = (
    Row(f"opens/s, {AT_ONCE} at a time", "opens", AT_ONCE, "rate"),
    Row("open, p50 us", "opens", AT_ONCE, "p50"),
    Row("call, p50 us", "calls", 1, "p50"),
    Row("call, p99 us", "calls", 1, "p99"),
    Row("calls/s, 1 client", "calls", 1, "rate"),
    Row("calls/s, 16 clients", "calls", 16, "rate"),
    Row("calls/s, 64 clients", "calls", 64, "rate"),
)

Key = tuple[str, str, int, str]  # title of the way, mode, clients, value


def load(way: Way, mode: str, clients: int) -> dict[str, float]:
    command = [LOAD, mode, way.address, way.name, SECONDS, str(clients)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure(ways: list[Way]) -> dict[Key, list[float]]:
    results: dict[Key, list[float]] = {}
    runs = sorted({(row.mode, row.clients) for row in ROWS})
    for turn in range(ROUNDS):
        print(f"round {turn + 1} of {ROUNDS}", file=sys.stderr)
        for mode, clients in runs:
            for way in ways:
                for value, figure in load(way, mode, clients).items():
                    results.setdefault((way.title, mode, clients, value), []).append(figure)
    return results


def idle_bytes(gate: harness.Gate, way: Way) -> float:
    """Of the gate's memory, for each client that has opened, called once and stays."""
    before = harness.memory(gate.pid, "Pss")
    command = [LOAD, "idle", way.address, way.name, str(IDLE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        if json.loads(process.stdout.readline())["clients"] != IDLE:
            raise harness.Failure("not every client got in")
        grown = harness.memory(gate.pid, "Pss") - before
        process.stdin.close()
    return grown / IDLE


def spread(figures: list[float]) -> float:
    return (max(figures) - min(figures)) / statistics.median(figures) if any(figures) else 0.0


def show(ways: list[Way], results: dict[Key, list[float]]) -> None:
    heads = ["", *(way.title for way in ways)]
    lines = [heads]
    for row in ROWS:
        cells = [row.title]
        for way in ways:
            figures = results[way.title, row.mode, row.clients, row.value]
            base = statistics.median(results[way.direct, row.mode, row.clients, row.value])
            figure = statistics.median(figures)
            cell = f"{figure:,.0f} ±{spread(figures) / 2:.0%}"
            if way.title != way.direct and base:
                cell += f"  x{figure / base:.2f}"
            cells.append(cell)
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        first, *rest = (cell.ljust(width) for cell, width in zip(line, widths))
        print("  ".join([first, *rest]).rstrip())


def main() -> int:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(harness.scratch_folder())
        for name in ("daemon", "gate"):
            (folder / name).mkdir()
        daemon = harness.Daemon(folder / "daemon")
        stack.callback(daemon.stop)
        daemon.start()
        targets = {kind: daemon.uri(kind, PATH) for kind in ("unix", "tcp")}
        gate = harness.Gate(folder / "gate", targets, clients_per_user=2 * IDLE)
        stack.callback(gate.stop)
        gate.start()
        # As long as this one stays, an open costs the daemon no new set of machines.
        stack.enter_context(raw.connect(daemon.unix, NAME))
        through = f"unix:{gate.socket}"
        ways = [
            Way("unix", f"unix:{daemon.unix}", NAME, "unix"),
            Way("gate to unix", through, "unix", "unix"),
            Way("tcp", f"tcp:127.0.0.1:{daemon.port}", NAME, "tcp"),
            Way("gate to tcp", through, "tcp", "tcp"),
        ]
        for target in targets:
            raw.connect(gate.socket, target).close()
        memory = idle_bytes(gate, ways[1])
        show(ways, measure(ways))
        print(f"memory of the gate for an idle client: {memory / 1024:.1f} KiB (of {IDLE:,} clients)")
        print(f"median of {ROUNDS} rounds of {SECONDS} s; ± half of what they spread")
    return 0


if __name__ == "__main__":
    sys.exit(main())
