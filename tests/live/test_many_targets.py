"""Thousands of targets: what goes over all of them holds nobody up. A gate in whose log is a long turn fails
whatever test has started it."""

import os
import signal
from typing import Any, Callable

import ask
import harness
import victims

MakeGate = Callable[..., harness.Gate]

MANY = 5000


def named(prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}{number}": f"test+unix:///default?socket=/nowhere/{number}"
        for number in range(MANY)
    }


def reload(gate: harness.Gate) -> None:
    before = gate.log().count(" info reloaded")
    os.kill(gate.pid, signal.SIGHUP)
    harness.wait_for("a reload", lambda: gate.log().count(" info reloaded") > before, 60.0)


def states(gate: harness.Gate) -> dict[str, str]:
    return {one["name"]: one["state"] for one in ask.status(gate)["targets"]}


def test_thousands_of_targets(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"well": daemon.uri("unix"), **named("dark")})
    with victims.Victims(gate.socket, ["well"] * 2, range(1, 100)) as others:

        def look() -> None:
            for _ in range(3):
                assert len(states(gate)) == MANY + 1
                assert ask.fetch(gate.control, "/metrics")[0] == 200

        others.bear("status and metrics of thousands of targets", look, 4.0)
        others.bear("a reload that changes nothing", lambda: reload(gate), 4.0)
        before = gate.config.read_text()
        gate.config.write_text(before.replace("dark", "dusk"))
        others.bear("a reload with other names", lambda: reload(gate), 4.0)
        found = states(gate)
        assert found["well"] == "open"
        assert {name for name in found if name != "well"} == set(named("dusk"))
        gate.config.write_text(before.replace("/nowhere/", "/elsewhere/"))
        reload(gate)
        others.bear("a reload with other names and places", lambda: reload(gate), 4.0)
        assert len(states(gate)) == MANY + 1
