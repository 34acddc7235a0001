"""What a gate counts, in the forms and places where monitoring reads it."""

import contextlib
import json
import os
import pathlib
import re
import signal
import threading
from typing import Callable

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

import ask
import busy
import harness
import raw

MakeGate = Callable[..., harness.Gate]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def samples(text: str, accept: str | None = None) -> Samples:
    """The parsers are those of Prometheus's own library."""
    parse = openmetrics_parser if accept == OPENMETRICS else parser
    found: Samples = {}
    for family in parse.text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def served(address: harness.Address, accept: str | None = None) -> Samples:
    code, fields, body = ask.fetch(address, "/metrics", accept)
    assert code == 200
    wanted = "application/openmetrics-text" if accept == OPENMETRICS else "text/plain"
    assert fields["Content-Type"].startswith(wanted)
    return samples(body, accept)


def test_the_figures_are_what_was_done(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"hail": daemon.uri("unix"), "sleet": "test+tcp://127.0.0.1:1/default"})
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    before = served(gate.control)
    with raw.connect(gate.socket, "hail") as one, raw.connect(gate.socket, "hail"):
        for _ in range(20):
            one.version()
        for _ in range(3):
            with pytest.raises(raw.LibvirtError):
                one.domain("no such machine")
        for _ in range(2):
            with pytest.raises(raw.LibvirtError):
                one.call(raw.DOMAIN_DESTROY, one.domain("machine1"))
        with pytest.raises(raw.LibvirtError):
            raw.connect(gate.socket, "nowhere")
        both = [served(gate.control), served(gate.control, OPENMETRICS)]
    for now in both:
        grown = {name: value - before.get(name, 0) for name, value in now.items()}
        hail = {"target": "hail"}
        assert grown[key("virtgate_clients_accepted_total")] == 3
        assert now[key("virtgate_target_clients", **hail)] == 2
        assert grown[key("virtgate_calls_total", verdict="passed", **hail)] == 25
        assert grown[key("virtgate_calls_total", verdict="answered", **hail)] == 2
        assert grown[key("virtgate_calls_total", verdict="refused", **hail)] == 2
        assert grown[key("virtgate_replies_total", status="ok", **hail)] == 22
        assert grown[key("virtgate_replies_total", status="error", **hail)] == 3
        assert grown[key("virtgate_refusals_total", reason="policy")] == 2
        assert grown[key("virtgate_refusals_total", reason="name")] == 1
        assert now[key("virtgate_call_duration_seconds_count", **hail)] == 25
        assert now[key("virtgate_call_duration_seconds_bucket", le="+Inf", **hail)] == 25
        assert now[key("virtgate_upstreams", state="open", **hail)] == 1
        assert now[key("virtgate_upstreams", state="open", target="sleet")] == 0
        assert now[key("virtgate_build_info", version=version())] == 1
        assert now[key("virtgate_upstream_receive_bytes_total", **hail)] > 25 * 28


def version() -> str:
    found = re.search(r"^VERSION := (.*)$", (harness.TOP / "Makefile").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_a_target_that_is_down(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    dead = {"uri": "test+tcp://127.0.0.1:1/default", "retry_timeout": "0s"}
    gate = make_gate({"hail": daemon.uri("unix"), "sleet": dead})
    with pytest.raises(raw.LibvirtError):
        raw.connect(gate.socket, "sleet")
    now = served(gate.control)
    assert now[key("virtgate_upstream_dial_failures_total", target="sleet", stage="connect")] >= 1
    assert now[key("virtgate_target_failing", target="sleet")] == 1
    assert now[key("virtgate_target_failing", target="hail")] == 0
    assert now[key("virtgate_refusals_total", reason="target")] == 1


def test_all_places(
    daemon: harness.Daemon, make_gate: MakeGate, tmp_path: pathlib.Path
) -> None:
    port, textfile = harness.free_port(), tmp_path / "virtgate.prom"
    place = str(tmp_path / "metrics-sock")
    metrics = {"socket": place, "mode": "0666", "listen": f"127.0.0.1:{port}"}
    metrics |= {"textfile": str(textfile), "interval": "1s"}
    targets = {"hail": daemon.uri("unix")}
    gate = make_gate(targets, sections={"metrics": metrics, "control": {"path": place + ".c"}})
    harness.wait_for("the file", textfile.exists)
    assert os.stat(place).st_mode & 0o777 == 0o666
    assert textfile.stat().st_mode & 0o777 == 0o644
    assert not os.path.exists(gate.control)
    with raw.connect(gate.socket, "hail") as one:
        for address in (place, ("127.0.0.1", port), place + ".c"):
            assert served(address)[key("virtgate_clients")] == 1
        harness.wait_for(
            "the file anew",
            lambda: samples(textfile.read_text())[key("virtgate_clients")] == 1,
        )
        assert one.version() > 0
    assert ask.fetch(place, "/status.json")[0] == 404
    assert ask.fetch(("127.0.0.1", port), "/status.json")[0] == 404
    assert not list(tmp_path.glob("*.new"))


def test_a_textfile_that_cannot_be_is_said_once(
    daemon: harness.Daemon, make_gate: MakeGate, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "later"
    metrics = {"textfile": str(folder / "virtgate.prom"), "interval": "1s"}
    gate = make_gate({"hail": daemon.uri("unix")}, sections={"metrics": metrics})
    gate.logged("textfile-failed")
    folder.mkdir()
    harness.wait_for("the file", (folder / "virtgate.prom").exists)
    assert gate.log().count("textfile-failed") == 1


def test_whoever_does_not_read_keeps_nobody_waiting(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    slow = [harness.dial(gate.control, harness.PATIENCE) for _ in range(40)]
    try:
        for one in slow[::2]:
            # One too many may have been cut off already.
            with contextlib.suppress(ConnectionError):
                one.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        with raw.connect(gate.socket, "hail") as client:
            assert client.version() > 0
        # The others are cut off at once, or when their time is up.
        for one in slow[1::2]:
            one.settimeout(harness.PATIENCE)
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""
        assert ask.status(gate)["client_count"] >= 0
    finally:
        for one in slow:
            one.close()


DASHBOARD = harness.TOP / "packaging" / "grafana" / "virtgate.json"


def test_the_dashboard_names_what_there_is(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    there = {name for name, _ in served(gate.control)}
    dashboard = json.loads(DASHBOARD.read_text())
    text = " ".join(_expressions(dashboard))
    used = set(re.findall(r"\bvirtgate_\w+", text))
    assert used and used <= there, used - there
    # What a histogram consists of is used through its buckets.
    parts = {name for name in there if name.endswith(("_count", "_sum"))}
    assert there - parts - used == set()


def _expressions(item: object) -> list[str]:
    if isinstance(item, dict):
        found = [value for name, value in item.items() if name in ("expr", "query")]
        inner = [text for value in item.values() for text in _expressions(value)]
        return [text for text in found if isinstance(text, str)] + inner
    if isinstance(item, list):
        return [text for value in item for text in _expressions(value)]
    return []


MANY = 1200  # targets


def test_each_target_has_its_series_and_gives_up_its_place(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    old = {f"old{number}": "test+tcp://127.0.0.1:1/default" for number in range(MANY)}
    gate = make_gate({"hail": daemon.uri("unix")} | old)
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    failing = "virtgate_target_failing"
    there = served(gate.control)
    assert all(key(failing, target=name) in there for name in old)
    with busy.Crew(gate.socket, "hail", 2) as crew:
        gate.config.write_text(gate.config.read_text().replace("\nold", "\nnew"))
        os.kill(gate.pid, signal.SIGHUP)
        gate.logged(" reloaded")
        crew.progress(50)
    there = served(gate.control)
    names = {dict(labels)["target"] for name, labels in there if name == "virtgate_replies_total"}
    assert names == {"hail", "(none)", "(opened)"} | {f"new{number}" for number in range(MANY)}
    assert there[key("virtgate_replies_total", target="hail", status="ok")] >= 100


def test_visitors_without_pause_hold_up_nobody(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    others = {f"other{number}": "test+tcp://127.0.0.1:1/default" for number in range(500)}
    gate = make_gate({"hail": daemon.uri("unix")} | others)
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    done = threading.Event()
    answers: list[int] = []

    def visit(path: str) -> None:
        while not done.is_set():
            code, _, body = ask.fetch(gate.control, path)
            assert code == 200
            answers.append(len(body))

    visitors = [
        threading.Thread(target=visit, args=(path,))
        for path in ("/metrics", "/status.json")
        for _ in range(3)
    ]
    with busy.Crew(gate.socket, "hail", 2) as crew:
        for one in visitors:
            one.start()
        crew.progress(200)
        harness.wait_for("visitors to be answered", lambda: len(answers) >= 6)
        done.set()
        for one in visitors:
            one.join(harness.PATIENCE)
    assert all(answers)
