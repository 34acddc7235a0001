"""Events reach whoever asked for them, and nobody else, under numbers of their own."""

import json
import pathlib
import subprocess
import sys
from typing import Callable, Iterator

import libvirt
import pytest

import harness
import raw
import recorder

LISTENER = pathlib.Path(__file__).with_name("support") / "listener.py"
SUSPENDED, RESUMED = 3, 4
LIFECYCLE = raw.uint(0) + raw.optional(None)


@pytest.fixture
def keeper(daemon: harness.Daemon) -> Iterator[libvirt.virDomain]:
    """test:///default is one and the same for all connections while one of them lasts."""
    connection = libvirt.open(daemon.uri("unix", "/default"))
    yield connection.lookupByName("test")
    connection.close()


@pytest.fixture
def between(
    daemon: harness.Daemon, make_recorder: Callable[[harness.Daemon], recorder.Recorder]
) -> recorder.Recorder:
    return make_recorder(daemon)


@pytest.fixture
def gate(between: recorder.Recorder, make_gate: Callable[..., harness.Gate]) -> harness.Gate:
    return make_gate({"default": between.uri("/default")})


Connect = Callable[..., raw.Client]


def register(client: raw.Client, event: int = 0, domain: bytes | None = None) -> int:
    body = raw.uint(event) + raw.optional(domain)
    reply = client.call(raw.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, body)
    return int.from_bytes(reply, "big")


def deregister(client: raw.Client, callback: int) -> None:
    client.call(raw.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, raw.uint(callback))


def modern(message: raw.Frame) -> tuple[int, str, int]:
    """Callback id, name of the domain and kind of a lifecycle event."""
    assert (message.procedure, message.kind, message.serial) == (318, raw.MESSAGE, 1)
    name, after = raw.read_string(message.body, 4)
    event = int.from_bytes(message.body[after + 20 : after + 24], "big")
    return int.from_bytes(message.body[:4], "big"), name.decode(), event


def legacy(message: raw.Frame) -> tuple[str, int]:
    assert (message.procedure, message.kind) == (raw.DOMAIN_EVENT_LIFECYCLE, raw.MESSAGE)
    name, after = raw.read_string(message.body)
    return name.decode(), int.from_bytes(message.body[after + 20 : after + 24], "big")


def quiet(client: raw.Client) -> bool:
    """No message has come: what was sent before the reply to a call would be here by then."""
    client.version()
    client.listen(0.2)
    return not client.messages


def test_each_client_hears_under_its_own_id(
    keeper: libvirt.virDomain, gate: harness.Gate, between: recorder.Recorder, connect: Connect
) -> None:
    clients = [connect(gate.socket, "default") for _ in range(3)]
    ids = [register(one) for one in clients]
    keeper.suspend()
    keeper.resume()
    for client, callback in zip(clients, ids):
        assert modern(client.message()) == (callback, "test", SUSPENDED)
        assert modern(client.message()) == (callback, "test", RESUMED)
        assert quiet(client)
    asked = between.calls(raw.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY)
    assert [one.body[:4] for one in asked] == [raw.uint(0)]


def test_the_last_to_leave_ends_it_upstream(
    keeper: libvirt.virDomain, gate: harness.Gate, between: recorder.Recorder, connect: Connect
) -> None:
    def ended() -> int:
        return len(between.calls(raw.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY))

    first, second = (connect(gate.socket, "default") for _ in range(2))
    callback = register(first)
    register(second)
    deregister(first, callback)
    keeper.suspend()
    assert modern(second.message())[2] == SUSPENDED
    assert quiet(first)
    assert ended() == 0
    second.close()
    harness.wait_for("the registration upstream to end", lambda: ended() == 1)
    third = connect(gate.socket, "default")
    callback = register(third)
    keeper.resume()
    assert modern(third.message()) == (callback, "test", RESUMED)


def test_rules_for_registering_are_the_daemons(
    keeper: libvirt.virDomain, daemon: harness.Daemon, gate: harness.Gate, connect: Connect
) -> None:
    """Twice the same is an error, of one domain and of all is not, other clients do not matter."""
    for address, name in ((daemon.unix, "test:///default"), (gate.socket, "default")):
        one, other = (connect(address, name) for _ in range(2))
        domain = one.domain("test")
        first = register(one)
        with pytest.raises(raw.LibvirtError):
            register(one)
        second = register(one, domain=domain)
        assert first != second
        mine = register(other)
        with pytest.raises(raw.LibvirtError):
            deregister(one, max(first, second, mine) + 1000)
        keeper.suspend()
        keeper.resume()
        heard = sorted(modern(one.message()) for _ in range(4))
        assert heard == sorted((i, "test", e) for i in (first, second) for e in (3, 4))
        deregister(one, first)
        with pytest.raises(raw.LibvirtError):
            deregister(one, first)
        deregister(one, second)
        register(one)
        with pytest.raises(raw.LibvirtError):
            register(one, event=9999)
        one.close()
        other.close()


def test_another_clients_id_is_unknown(
    keeper: libvirt.virDomain, gate: harness.Gate, connect: Connect
) -> None:
    owner, thief = (connect(gate.socket, "default") for _ in range(2))
    ids = [register(owner, event) for event in range(5)]
    for callback in ids:
        with pytest.raises(raw.LibvirtError):
            deregister(thief, callback)
    keeper.suspend()
    keeper.resume()
    assert modern(owner.message()) == (ids[0], "test", SUSPENDED)


def test_the_oldest_registration(
    keeper: libvirt.virDomain, gate: harness.Gate, connect: Connect
) -> None:
    """Procedures 105 and 106; the messages carry no id."""
    old, new = (connect(gate.socket, "default") for _ in range(2))
    old.call(raw.CONNECT_DOMAIN_EVENT_REGISTER)
    callback = register(new)
    keeper.suspend()
    assert legacy(old.message()) == ("test", SUSPENDED)
    assert modern(new.message()) == (callback, "test", SUSPENDED)
    old.call(raw.CONNECT_DOMAIN_EVENT_DEREGISTER)
    keeper.resume()
    assert modern(new.message()) == (callback, "test", RESUMED)
    assert quiet(old)


def test_the_older_registration_by_event(
    keeper: libvirt.virDomain, gate: harness.Gate, connect: Connect
) -> None:
    """Procedures 167 and 168."""
    client = connect(gate.socket, "default")
    client.call(raw.CONNECT_DOMAIN_EVENT_REGISTER_ANY, raw.uint(0))
    keeper.suspend()
    assert legacy(client.message()) == ("test", SUSPENDED)
    client.call(raw.CONNECT_DOMAIN_EVENT_DEREGISTER_ANY, raw.uint(0))
    keeper.resume()
    assert quiet(client)


def test_events_go_on_after_an_upstream_is_lost(
    keeper: libvirt.virDomain, gate: harness.Gate, between: recorder.Recorder, connect: Connect
) -> None:
    modernist, traditionalist = (connect(gate.socket, "default") for _ in range(2))
    callback = register(modernist)
    traditionalist.call(raw.CONNECT_DOMAIN_EVENT_REGISTER)
    registering = (
        raw.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
        raw.CONNECT_DOMAIN_EVENT_REGISTER_ANY,
        raw.CONNECT_DOMAIN_EVENT_REGISTER,
    )
    before = len(between.calls(*registering))
    answered = len(replies(between, *registering))
    between.cut()
    assert modernist.version() > 0
    harness.wait_for(
        "the registration to be made again",
        lambda: len(between.calls(*registering)) > before
        and len(replies(between, *registering)) > answered,
    )
    keeper.suspend()
    assert modern(modernist.message()) == (callback, "test", SUSPENDED)
    assert legacy(traditionalist.message()) == ("test", SUSPENDED)
    keeper.resume()


def replies(between: recorder.Recorder, *procedures: int) -> list[raw.Frame]:
    return [
        one
        for one in between.said(upward=False)
        if one.procedure in procedures and one.kind == raw.REPLY
    ]


@pytest.mark.parametrize("style", ["any", "legacy"])
def test_python_clients_hear_events(
    keeper: libvirt.virDomain, gate: harness.Gate, tmp_path: pathlib.Path, style: str
) -> None:
    """Two programs with libvirt's own event loop, and what they print."""
    env = harness.environment(tmp_path)
    command = [sys.executable, str(LISTENER), gate.uri("/default"), style, "2"]
    listeners = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)
    ]
    try:
        for one in listeners:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        keeper.suspend()
        keeper.resume()
        for one in listeners:
            output, _ = one.communicate(timeout=harness.PATIENCE)
            heard = [json.loads(line) for line in output.splitlines()]
            assert heard == [["test", SUSPENDED], ["test", RESUMED]]
            assert one.returncode == 0
    finally:
        for one in listeners:
            one.kill()
            one.wait()


def test_virsh_waits_for_every_event(
    keeper: libvirt.virDomain, gate: harness.Gate, between: recorder.Recorder
) -> None:
    """It registers each kind that its libvirt knows, and undoes it."""
    virsh = subprocess.Popen(
        ["virsh", "-c", gate.uri("/default"), "event --all --loop --timeout 2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    registered = raw.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY
    harness.wait_for("virsh to register", lambda: len(replies(between, registered)) >= 27)
    keeper.suspend()
    keeper.resume()
    output, _ = virsh.communicate(timeout=harness.PATIENCE)
    assert virsh.returncode == 0, output
    assert output.count("event 'lifecycle' for domain 'test'") == 2
    undone = raw.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY
    harness.wait_for("all to be undone upstream", lambda: len(between.calls(undone)) >= 27)
