"""Measures the gate beside direct connections and other tunnels to the same libvirtd, in one run.

Rounds are interleaved, so that whatever else the machine does meets all of them alike; what is
printed is the median of the rounds, how far they spread, and a ratio.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "live"))

import harness  # noqa: E402  (these lie with the live tests)
import raw  # noqa: E402
import scene  # noqa: E402

import tables  # noqa: E402
from commands import TIMES, Commands  # noqa: E402
from ways import NAME, PATH, Way, start_tunnels  # noqa: E402

LOAD = str(TOP / harness.BUILD / "bench-load")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
MILLISECONDS = 500
AT_ONCE = 16
IDLE = 1000


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
RUNS = sorted({(row.mode, row.clients) for row in ROWS})

Results = dict[tuple[Way, str, int, str], tables.Figures]  # by way, mode, clients, value


def load(way: Way, mode: str, clients: int) -> dict[str, float]:
    command = [LOAD, mode, way.address, way.name, str(MILLISECONDS), str(clients)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure(ways: list[Way], commands: Commands) -> Results:
    results: Results = {}
    for turn in range(ROUNDS):
        print(f"round {turn + 1} of {ROUNDS}", file=sys.stderr)
        for mode, clients in RUNS:
            for way in ways:
                for value, figure in load(way, mode, clients).items():
                    results.setdefault((way, mode, clients, value), []).append(figure)
        commands.round()
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


def lines(ways: list[Way], results: Results, base: Way) -> list[list[str]]:
    table = [["", *(way.title for way in ways)]]
    for row in ROWS:
        key = row.mode, row.clients, row.value
        bases = results[base, *key]
        cells = [tables.cell(results[way, *key], None if way == base else bases) for way in ways]
        table.append([row.title, *cells])
    return table


def show(groups: list[list[Way]], results: Results, commands: Commands, memory: float) -> None:
    base = groups[0][0]
    for group in groups:
        tables.show(lines(group, results, base))
    tables.show(commands.lines())
    print(f"memory of the gate for an idle client: {memory / 1024:.1f} KiB (of {IDLE:,} clients)")
    print(f"Medians of {ROUNDS} rounds, each of {MILLISECONDS} ms or {TIMES} commands;")
    print("± half of what they spread.")
    print(f"x: the ratio to {base.title} directly; of commands, to the same one directly.")


def start_gate(one: scene.Scene, folder: pathlib.Path, stack: contextlib.ExitStack) -> harness.Gate:
    """With every target connected."""
    folder.mkdir()
    targets = {kind: one.uri(kind, PATH) for kind in scene.KINDS}
    gate = harness.Gate(folder, targets, clients_per_user=2 * IDLE)
    stack.callback(gate.stop)
    gate.start()
    for target in targets:
        raw.connect(gate.socket, target).close()
    return gate


def main() -> int:
    signals = scene.Signals()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(harness.scratch_folder())
        one = stack.enter_context(scene.playing(folder))
        daemon = one.daemon
        # As long as this one stays, an open costs the daemon no new set of machines.
        stack.enter_context(raw.connect(daemon.unix, NAME))
        gate = start_gate(one, folder / "gate", stack)
        tunnels, missing = start_tunnels(one, folder, stack)
        commands = Commands(one, gate, harness.environment(folder))
        missing += commands.missing
        gates = {kind: Way(f"gate to {kind}", f"unix:{gate.socket}", kind) for kind in scene.KINDS}
        unix = Way("unix", f"unix:{daemon.unix}", NAME)
        tcp = Way("tcp", f"tcp:127.0.0.1:{daemon.port}", NAME)
        groups = [
            [unix, gates["unix"], tcp, gates["tcp"]],
            *([unix, gates[kind], *tunnels[kind]] for kind in ("tls", "ssh")),
        ]
        memory = idle_bytes(gate, gates["unix"])
        every = list(dict.fromkeys(way for group in groups for way in group))
        with signals.let_through():
            results = measure(every, commands)
        show(groups, results, commands, memory)
        if missing:
            print(f"Left out: {', '.join(missing)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
