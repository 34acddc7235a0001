"""Measures the gate beside direct connections, other tunnels and trouble of others, in one run.

Rounds are interleaved, so that whatever else the machine does meets all of them alike; what is
printed is the median of the rounds, how far they spread, and a ratio. BENCH_ROUNDS says how many
rounds there are, and BENCH_PARTS which parts: "ways", "joined", "bulk" and "trouble".
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "live" / "support"))

import harness  # noqa: E402  (these lie with the live tests)
import raw  # noqa: E402
import scene  # noqa: E402

import tables  # noqa: E402
from bulk import Bulk
from commands import TIMES, Commands  # noqa: E402
from joined import Joined, write_machines  # noqa: E402
from trouble import ALONE, BESIDE, EVERY, Trouble  # noqa: E402
from ways import NAME, PATH, Way, start_tunnels  # noqa: E402

LOAD = str(TOP / harness.BUILD / "bench-load")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PARTS = os.environ.get("BENCH_PARTS", "ways,joined,bulk,trouble").split(",")
MANY = "many"  # with the way to it, the gate's target with machines of joined.py
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

Tunnels = dict[str, list[Way]]  # of others, by what they go to
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
    write_machines(folder / "many.xml")
    many = str(folder / "many.xml")
    targets |= {f"{MANY}-{kind}": one.uri(kind, many) for kind in scene.KINDS}
    gate = harness.Gate(folder, targets, clients_per_user=2 * IDLE)
    gate.measures_turns = False
    stack.callback(gate.stop)
    gate.start()
    for target in targets:
        raw.connect(gate.socket, target).close()
    return gate


def measure_ways(
    one: scene.Scene, gate: harness.Gate, tunnels: Tunnels, folder: pathlib.Path
) -> list[str]:
    """What is left out."""
    commands = Commands(one, gate, harness.environment(folder))
    gates = {kind: Way(f"gate to {kind}", f"unix:{gate.socket}", kind) for kind in scene.KINDS}
    unix = Way("unix", f"unix:{one.daemon.unix}", NAME)
    tcp = Way("tcp", f"tcp:127.0.0.1:{one.daemon.port}", NAME)
    groups = [
        [unix, gates["unix"], tcp, gates["tcp"]],
        *([unix, gates[kind], *tunnels[kind]] for kind in ("tls", "ssh")),
    ]
    memory = idle_bytes(gate, gates["unix"])
    every = list(dict.fromkeys(way for group in groups for way in group))
    show(groups, measure(every, commands), commands, memory)
    return commands.missing


def measure_joined(one: scene.Scene, gate: harness.Gate, tunnels: Tunnels) -> None:
    name = f"test://{gate.folder / 'many.xml'}"
    ways = [
        Way("unix", f"unix:{one.daemon.unix}", name),
        Way("tcp", f"tcp:127.0.0.1:{one.daemon.port}", name),
        *(way._replace(name=name) for kind in ("tls", "ssh") for way in tunnels[kind]),
        *(Way(f"gate to {k}", f"unix:{gate.socket}", f"{MANY}-{k}") for k in scene.KINDS),
    ]
    joined = Joined(LOAD, ways)
    for turn in range(ROUNDS):
        print(f"joined, round {turn + 1} of {ROUNDS}", file=sys.stderr)
        joined.round()
    tables.show(joined.lines())
    print(f"Medians of {ROUNDS} rounds; x: the ratio to unix directly.\n")


def measure_bulk(one: scene.Scene, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
    bulk = Bulk(one, LOAD, folder / "bulk", stack)
    for turn in range(ROUNDS):
        print(f"bulk, round {turn + 1} of {ROUNDS}", file=sys.stderr)
        bulk.round()
    tables.show(bulk.lines())
    print(f"From a daemon that has its replies ready. Medians of {ROUNDS} rounds; x: the ratio to")
    print("unix directly.\n")


def measure_trouble(one: scene.Scene, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
    trouble = Trouble(one.daemon, LOAD, folder / "trouble", stack)
    rounds = (ROUNDS + 1) // 2
    for turn in range(rounds):
        print(f"trouble, round {turn + 1} of {rounds}", file=sys.stderr)
        trouble.round()
    tables.show(trouble.lines())
    print(f"One client with a call every {EVERY} ms. Medians of {rounds} rounds, each of")
    print(f"{ALONE} ms alone and {BESIDE} ms beside the trouble; x: the ratio of the two.")


def main() -> int:
    signals = scene.Signals()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(harness.scratch_folder())
        one = stack.enter_context(scene.playing(folder))
        # As long as this one stays, an open costs the daemon no new set of machines.
        stack.enter_context(raw.connect(one.daemon.unix, NAME))
        gate = start_gate(one, folder / "gate", stack)
        tunnels, missing = start_tunnels(one, folder, stack)
        with signals.let_through():
            if "ways" in PARTS:
                missing += measure_ways(one, gate, tunnels, folder)
            if "joined" in PARTS:
                measure_joined(one, gate, tunnels)
            if "bulk" in PARTS:
                measure_bulk(one, folder, stack)
            if "trouble" in PARTS:
                measure_trouble(one, folder, stack)
        if missing:
            print(f"Left out: {', '.join(missing)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
