"""The gate as a service: how it is checked, started, kept alive and stopped."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import time
from typing import Callable

import libvirt
import pytest

import busy
import harness
import raw
import recorder

MakeGate = Callable[..., harness.Gate]
Connect = Callable[..., raw.Client]


GOOD = """\
[[listen]]
path = "/run/virtgate/virtgate-sock"
mode = "0660"
target = "hail"

[targets]
hail = "test+tcp://127.0.0.1:1/default"
sleet = { uri = "test+tcp://127.0.0.1:2/default", upstreams = 2, call_timeout = "5s" }

[limits]
clients = 10
"""


def test_a_good_configuration_passes(tmp_path: pathlib.Path) -> None:
    done = harness.check(tmp_path, GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 targets, 1 socket, 0 rules\n"


def test_a_link_that_cannot_be_turned_without_a_restart_is_named(tmp_path: pathlib.Path) -> None:
    links = [tmp_path / "fixed", tmp_path / "free"]
    (tmp_path / "v1").mkdir()
    for link, there in zip(links, ("/var/tmp", "v1")):
        link.symlink_to(there)
    targets = [f"{one.name} = 'qemu+ssh://h/system?keyfile={one}/key'" for one in links]
    text = "\n".join(['[[listen]]', 'path = "/run/x"', '[targets]', *targets])
    done = harness.check(tmp_path, text)
    assert done.returncode == 0
    assert f"warning: {links[0]} is a link on the way" in done.stderr
    assert f"{links[1]} is a link" not in done.stderr


def test_a_warning_is_no_mistake_unless_it_is_to_be_one(tmp_path: pathlib.Path) -> None:
    text = GOOD.replace(":2/default", ":2/default?sockt=/nowhere")
    for options, status in (([], 0), (["--strict"], 1)):
        done = harness.check(tmp_path, text, *options)
        assert done.returncode == status
        config = tmp_path / "virtgate.toml"
        assert done.stderr == (
            f'virtgate: {config}:8:17: warning: "sockt" is not a parameter of the connection, so '
            'the driver gets it; did you mean "socket"?\n'
        )
        assert done.stdout == "2 targets, 1 socket, 0 rules; 1 warning\n"


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("mode = ", "mood = "),
        ('"0660"', '"0999"'),
        ('"0660"', "[]"),
        ('"/run/virtgate/virtgate-sock"', '"/' + "x" * 200 + '"'),
        ('target = "hail"', 'target = "rain"'),
        ('"test+tcp://127.0.0.1:1/default"', '"test+pigeon://127.0.0.1/default"'),
        ('"test+tcp://127.0.0.1:1/default"', '"test+tcp://[::1/default"'),
        ("upstreams = 2", "upstreams = 0"),
        ("upstreams = 2", 'upstreams = "many"'),
        ("upstreams = 2", "downstreams = 2"),
        ('"5s"', '"5 parsecs"'),
        ("clients = 10", "clients = -1"),
        ("clients = 10", "clients = "),
        ("sleet = ", "hail = "),
    ],
    ids=[
        "unknown_key",
        "mode_not_octal",
        "mode_no_string",
        "path_too_long",
        "unknown_target",
        "unknown_transport",
        "broken_uri",
        "no_upstreams",
        "wrong_type",
        "unknown_key_of_target",
        "wrong_duration",
        "negative",
        "no_value",
        "target_twice",
    ],
)
def test_a_mistake_is_found_where_it_is(tmp_path: pathlib.Path, good: str, bad: str) -> None:
    assert good in GOOD
    text = GOOD.replace(good, bad, 1)
    done = harness.check(tmp_path, text)
    assert done.returncode == 1
    place = re.search(r"virtgate\.toml:(\d+):(\d+): \S", done.stdout + done.stderr)
    assert place, done.stdout + done.stderr
    where = GOOD[: GOOD.index(good)].count("\n") + 1
    # A value that is missing altogether is noticed at the end of its line, or just behind it.
    assert int(place[1]) - where in (0, 1)


def test_every_mistake_is_reported_at_once(tmp_path: pathlib.Path) -> None:
    bad = GOOD.replace("mode", "mood").replace("upstreams", "downstreams").replace("clients", "c")
    done = harness.check(tmp_path, bad)
    assert done.returncode == 1
    lines = re.findall(r"virtgate\.toml:(\d+):", done.stdout + done.stderr)
    assert len(set(lines)) == 3


def test_a_file_that_is_not_there(tmp_path: pathlib.Path) -> None:
    command = [harness.GATE, "serve", "--check", "--config", str(tmp_path / "nowhere.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    assert "nowhere.toml" in done.stdout + done.stderr


def test_serving_a_bad_file_fails(tmp_path: pathlib.Path) -> None:
    config = tmp_path / "virtgate.toml"
    config.write_text("[limits]\nclients = 'few'\n")
    command = [harness.GATE, "serve", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    assert "virtgate.toml:2:" in done.stderr


def test_the_packaged_configuration_passes(tmp_path: pathlib.Path) -> None:
    """Groups that it names may be missing on this machine, so those lines are left out."""
    text = (harness.TOP / "packaging" / "virtgate.toml").read_text()
    text = "".join(line for line in text.splitlines(True) if not line.startswith("group"))
    done = harness.check(tmp_path, text)
    assert done.returncode == 0, done.stderr


def test_one_socket_for_each_target(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    """%t in a path."""
    folder = pathlib.Path(make_gate({"a": daemon.uri("unix")}).folder)
    targets = {"first": daemon.uri("unix"), "second": daemon.uri("tcp", "/default")}
    gate = harness.Gate(folder.parent, targets, (harness.Listen("gate-%t.sock"),))
    gate.accepts = lambda: all(harness.answers(gate.path(f"gate-{t}.sock")) for t in targets)
    try:
        gate.start()
        with raw.connect(gate.path("gate-first.sock"), None) as client:
            assert client.domain("machine1")
        with raw.connect(gate.path("gate-second.sock"), None) as client:
            assert client.domain("test")
    finally:
        gate.stop()


def test_an_abstract_socket(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    folder = pathlib.Path(make_gate({"a": daemon.uri("unix")}).folder)
    name = f"virtgate-test-{os.getpid()}"
    gate = harness.Gate(folder.parent, {"machines": daemon.uri("unix")})
    gate.config.write_text(gate.config.read_text().replace(gate.socket, f"@{name}"))
    gate.accepts = lambda: harness.answers("\0" + name)
    try:
        gate.start()
        with raw.connect("\0" + name, "machines") as client:
            assert client.version() > 0
    finally:
        gate.stop()


def test_a_stale_socket_is_replaced_and_a_living_one_is_not(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    other = subprocess.run(
        [harness.GATE, "serve", "--config", str(gate.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
        env=harness.environment(gate.folder),
    )
    assert other.returncode == 1
    assert gate.socket in other.stderr
    with raw.connect(gate.socket, "machines") as client:
        assert client.version() > 0
    gate.stop()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(gate.socket)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(gate.socket)
    gate.start()
    with raw.connect(gate.socket, "machines") as client:
        assert client.version() > 0


def test_the_mode_is_what_is_configured(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    assert os.stat(gate.socket).st_mode & 0o777 == 0o666


def test_the_log_says_who_did_what(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    with raw.connect(gate.socket, "machines") as client:
        with pytest.raises(raw.LibvirtError):
            client.call(raw.DOMAIN_DESTROY, client.domain("machine1"))
    with raw.Client(gate.socket) as client, pytest.raises(raw.LibvirtError):
        client.open("x\n\x1b[31mforged line")
    gate.logged("DOMAIN_DESTROY")
    gate.logged("forged line")
    gate.logged("machines")
    assert "\x1b" not in gate.log()
    assert not any(line.startswith("forged") for line in gate.log().splitlines())


def test_sigterm_answers_what_is_in_flight(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: MakeGate,
    connect: Connect,
) -> None:
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(daemon.file)})
    clients = [connect(gate.socket, "machines") for _ in range(4)]
    between.forget()
    between.hold()
    asked = raw.DOMAIN_LOOKUP_BY_NAME
    serials = [one.post(asked, raw.string(f"machine{i}")) for i, one in enumerate(clients, 1)]
    harness.wait_for("the calls", lambda: len(between.calls(asked)) == len(clients))
    gate.terminate()
    harness.wait_for("the gate to stop accepting", lambda: not gate.accepts())
    between.release()
    for client, serial in zip(clients, serials):
        assert client.reply(serial).status == raw.OK
        with pytest.raises(raw.Closed):
            client.receive()
    gate.stop()


def test_sigterm_under_load(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    """Every call is answered, or its connection ends; the gate ends by itself, and well."""
    gate = make_gate({"machines": daemon.uri("tcp")})
    members = [busy.Busy(gate.socket, "machines") for _ in range(8)]
    harness.wait_for("load", lambda: all(one.done > 20 for one in members))
    started = time.monotonic()
    gate.stop()
    assert time.monotonic() - started < harness.PATIENCE
    for one in members:
        with pytest.raises(ConnectionError):
            one.finish()


def test_sigterm_does_not_wait_for_ever(
    daemon: harness.Daemon,
    make_recorder: Callable[[harness.Daemon], recorder.Recorder],
    make_gate: MakeGate,
    connect: Connect,
) -> None:
    """The daemon never answers."""
    between = make_recorder(daemon)
    gate = make_gate({"machines": between.uri(daemon.file)}, drain_timeout="1s")
    client = connect(gate.socket, "machines")
    between.hold()
    client.post(raw.CONNECT_GET_LIB_VERSION)
    asked = raw.CONNECT_GET_LIB_VERSION
    harness.wait_for("the call", lambda: between.calls(asked))
    gate.stop()


def test_idle_clients_end_with_the_gate(
    daemon: harness.Daemon, make_gate: MakeGate, connect: Connect
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    client = connect(gate.socket, "machines")
    silent = raw.Client(gate.socket)
    gate.stop()
    for one in (client, silent):
        with pytest.raises(raw.Closed):
            one.receive()
    silent.close()


def test_an_idle_client_is_told_why_its_connection_ends(
    daemon: harness.Daemon, make_gate: MakeGate, connect: Connect
) -> None:
    """Whoever registered for it, as virt-manager does, hears that the other side has ended."""
    gate = make_gate({"machines": daemon.uri("unix")})
    client = connect(gate.socket, "machines")
    client.call(raw.CONNECT_REGISTER_CLOSE_CALLBACK)
    gate.stop()
    told = client.message()
    assert told.procedure == raw.CONNECT_EVENT_CONNECTION_CLOSED
    assert told.body == raw.uint(libvirt.VIR_CONNECT_CLOSE_REASON_EOF)
    with pytest.raises(raw.Closed):
        client.receive()


def test_virsh_keeps_its_connection_alive(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    """It pings each second, and would give up after the third without an answer."""
    gate = make_gate({"machines": daemon.uri("unix")})
    command = ["virsh", "-k", "1", "-K", "2", "-c", gate.uri(daemon.file)]
    done = subprocess.run(
        [*command, "event --all --timeout 5; domstate machine1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    assert "running" in done.stdout, done.stderr
    assert "isconnected" not in done.stdout + done.stderr


def test_a_ping_is_answered_at_any_time(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    ping = raw.frame(raw.PING, program=raw.KEEPALIVE, kind=raw.MESSAGE, serial=77)
    with raw.Client(gate.socket) as client:
        for _ in range(2):
            client.send(ping)
            pong = client.receive()
            assert (pong.program, pong.procedure) == (raw.KEEPALIVE, raw.PONG)
            assert (pong.kind, pong.serial, pong.status) == (raw.MESSAGE, 0, raw.OK)
            if client.serial == 0:
                client.open("machines")


def features(client: raw.Client, feature: int) -> int:
    return int.from_bytes(client.call(raw.CONNECT_SUPPORTS_FEATURE, raw.uint(feature)), "big")


def test_who_asks_for_keepalive_is_pinged(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    """Whoever did not ask is not, because it may not know how to answer."""
    gate = make_gate({"machines": daemon.uri("unix")}, keepalive_interval="1s", keepalive_count=2)
    with contextlib.ExitStack() as stack:
        asking, silent, plain = (stack.enter_context(raw.Client(gate.socket)) for _ in range(3))
        silent.answer_pings = False
        for one in (asking, silent):
            assert features(one, raw.FEATURE_KEEPALIVE) == 1
            one.open("machines")
        plain.open("machines")
        asking.listen(5.0)
        assert asking.pings >= 2
        assert asking.version() > 0
        with pytest.raises(raw.Closed):
            silent.listen(harness.PATIENCE)
        plain.listen(0.1)
        assert plain.pings == 0
        assert plain.version() > 0


def test_features_of_this_hop(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    with raw.connect(gate.socket, "machines") as client:
        answers = {feature: features(client, feature) for feature in (8, 10, 14, 15)}
    assert answers == {8: 0, 10: 1, 14: 1, 15: 1}
