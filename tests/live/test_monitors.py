"""Programs that watch machines, from distributions and unmodified, get through a gate what they get
without one."""

import contextlib
import pathlib
import re
import urllib.request
from typing import Callable, Iterator

import harness

MakeGate = Callable[..., harness.Gate]


@contextlib.contextmanager
def exporter(folder: pathlib.Path, uri: str) -> Iterator[str]:
    """Where prometheus-libvirt-exporter shows its figures."""
    port = harness.free_port()
    command = ["prometheus-libvirt-exporter", "--libvirt.uri", uri]
    command += ["--web.listen-address", f"127.0.0.1:{port}"]
    process = harness.Process(command, folder / f"{port}.log", harness.environment(folder))
    try:
        harness.wait_for("the exporter", lambda: harness.answers(("127.0.0.1", port)))
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        # The exporter knows no other end than by a signal.
        process.end()


def figures(address: str) -> dict[str, float]:
    """libvirt's own, by name and labels."""
    with urllib.request.urlopen(address, timeout=harness.PATIENCE) as answer:
        text = answer.read().decode()
    return {
        name: float(value)
        for name, value in re.findall(r"^(libvirt_\S*?(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    }


def test_the_prometheus_exporter(
    daemon: harness.Daemon, make_gate: MakeGate, folders: Iterator[pathlib.Path]
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    folder = next(folders)
    with (
        exporter(folder, daemon.uri("unix")) as directly,
        exporter(folder, gate.uri(daemon.file)) as through,
    ):
        expected, found = figures(directly), figures(through)
    assert expected["libvirt_up"] == found["libvirt_up"] == 1
    assert found["libvirt_domains_number"] > 100
    assert found.keys() == expected.keys()
    # The test driver takes its counters from the clock.
    different = {name for name in found if found[name] != expected[name]}
    assert all(name.partition("{")[0].endswith("_total") for name in different)
