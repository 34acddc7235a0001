"""What a gate does that cannot do all that it is told: it says so, and nobody is left hanging."""

import json
import os
import pathlib
import signal
import stat
import subprocess
from typing import Any, Callable, Iterator

import pytest

import busy
import harness
import machines
import manager
import raw

MakeGate = Callable[..., harness.Gate]
Folders = Iterator[pathlib.Path]

STRANGER, HELPDESK = 61301, 61302


def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess:
    return subprocess.run(
        [harness.GATE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * harness.PATIENCE,
        **more,
    )


def status(gate: harness.Gate) -> dict[str, Any]:
    return json.loads(run("status", "--json", "--control", gate.control).stdout)


def reload(gate: harness.Gate) -> subprocess.CompletedProcess:
    return run("reload", "--control", gate.control)


def rewrite(gate: harness.Gate, old: str, new: str) -> None:
    text = gate.config.read_text()
    assert old in text
    gate.config.write_text(text.replace(old, new))


def refusal(path: str, name: str = "hail") -> str:
    with raw.Client(path) as client, pytest.raises(raw.LibvirtError) as refused:
        client.open(name)
    return str(refused.value)


def test_a_rule_with_an_unknown_group_lets_nobody_in(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    rules = (
        {"groups": ["no such group"], "targets": ["*"], "allow": ["*"]},
        {"users": ["root"], "targets": ["*"], "allow": ["CONNECT_*"]},
    )
    gate = make_gate({"hail": daemon.uri("unix")}, rules=rules)
    with raw.connect(gate.socket, "hail") as client:
        assert client.version() > 0
    (problem,) = status(gate)["problems"]
    assert 'there is no group "no such group"' in problem
    gate.logged("degraded reason=")
    checked = run("serve", "--check", "--config", str(gate.config))
    assert checked.returncode == 0 and 'there is no group "no such group"' in checked.stderr


def test_a_socket_whose_group_is_unknown_is_for_its_owner(
    daemon: harness.Daemon, folders: Folders
) -> None:
    """The rest is served, and the group may come later."""
    unknown = 'group = "no such group"'
    gate = harness.Gate(
        next(folders),
        {"hail": daemon.uri("unix")},
        sections={"control": {"group": "no such group"}},
    )
    rewrite(gate, "[[listen]]", f"[[listen]]\n{unknown}")

    def modes() -> list[int]:
        harness.wait_for("the control socket", lambda: harness.answers(gate.control))
        return [stat.S_IMODE(os.stat(path).st_mode) for path in (gate.socket, gate.control)]

    try:
        gate.start()
        assert modes() == [0o600, 0o600]
        with raw.connect(gate.socket, "hail") as client:
            assert client.version() > 0
        problems = status(gate)["problems"]
        assert ['there is no group "no such group"' in one for one in problems] == [True, True]
        gate.logged("degraded reason=")
        checked = run("serve", "--check", "--config", str(gate.config))
        assert checked.returncode == 0
        assert checked.stderr.count('there is no group "no such group"') == 2
        rewrite(gate, unknown, f'group = "{os.getgid()}"')
        assert "needs a restart" in reload(gate).stderr
        gate.stop()
        gate.start()
        assert modes() == [0o666, 0o666]
        assert status(gate)["problems"] == []
    finally:
        gate.stop()


def test_a_socket_that_is_taken_does_not_stop_the_others(
    daemon: harness.Daemon, folders: Folders
) -> None:
    listen = (harness.Listen("first"), harness.Listen("second"))
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")}, listen)
    first, second = gate.path("first"), gate.path("second")
    gate.accepts = lambda: harness.answers(second)
    with manager.listening(first):
        try:
            gate.start()
            with raw.connect(second, "hail") as client:
                assert client.version() > 0
            gate.logged("degraded reason=")
            gate.logged("someone already listens there")
        finally:
            gate.stop()


def test_sockets_that_somebody_removes_are_made_again(
    daemon: harness.Daemon, folders: Folders
) -> None:
    folder = next(folders)
    metrics = str(folder / "metrics")
    listen = (harness.Listen("first"), harness.Listen("second"))
    sections = {"metrics": {"socket": metrics}}
    gate = harness.Gate(folder, {"hail": daemon.uri("unix")}, listen, sections=sections)
    paths = [gate.path("first"), gate.control, metrics]
    try:
        gate.start()
        for path in paths:
            harness.wait_for(path, lambda: harness.answers(path))
        with busy.Crew(gate.path("second"), "hail", 2) as crew, busy.Crew(paths[0], "hail", 2) as old:
            for path in paths:
                os.unlink(path)
            for path in paths:
                harness.wait_for(path, lambda: harness.answers(path))
                gate.logged(f"socket-gone socket={path}")
            crew.progress(50)
            old.progress(50)
        with raw.connect(paths[0], "hail") as client:
            assert client.version() > 0
        assert stat.S_IMODE(os.stat(paths[0]).st_mode) == 0o666
        assert status(gate)["problems"] == []
    finally:
        gate.stop()
    assert not any(os.path.exists(path) for path in paths)


def test_a_socket_whose_place_somebody_takes_is_missing_until_it_is_free(
    daemon: harness.Daemon, folders: Folders
) -> None:
    listen = (harness.Listen("first"), harness.Listen("second"))
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")}, listen)
    first, second = gate.path("first"), gate.path("second")
    try:
        gate.start()
        with busy.Crew(second, "hail", 2) as crew:
            os.unlink(first)
            with manager.listening(first):
                gate.logged("degraded reason=")
                (problem,) = status(gate)["problems"]
                assert problem.startswith(first)
                crew.progress(50)
            os.unlink(first) if os.path.exists(first) else None
            assert reload(gate).returncode == 0
            with raw.connect(first, "hail") as client:
                assert client.version() > 0
            assert status(gate)["problems"] == []
    finally:
        gate.stop()


def test_without_a_configuration_clients_are_told(
    daemon: harness.Daemon, folders: Folders
) -> None:
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")})
    with manager.listening(gate.socket) as mine:
        manager.pass_on(gate, {"clients": mine})
        rewrite(gate, "[targets]", "[targets]\nwrong = 7")
        try:
            gate.start()
            assert "this gate is not configured: " in refusal(gate.socket)
            virsh = subprocess.run(
                ["virsh", "-c", gate.uri("/default"), "list"],
                capture_output=True,
                text=True,
                check=False,
                timeout=harness.PATIENCE,
            )
            assert virsh.returncode == 1 and "this gate is not configured" in virsh.stderr
            rewrite(gate, "wrong = 7", "")
            os.kill(gate.pid, 1)
            assert gate.process is not None
            # Whoever supervises it starts another one, which serves.
            assert gate.process.popen.wait(harness.PATIENCE) == os.EX_TEMPFAIL
            gate.start()
            with raw.connect(gate.socket, "hail") as client:
                assert client.version() > 0
        finally:
            gate.stop()


def test_a_reload_waits_and_says_what_came_of_it(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    before = status(gate)["configuration"]
    assert before["read"] > 0 and not before["other_on_disk"] and not before["reload_failed"]
    good = gate.config.read_text()
    rewrite(gate, "[targets]", "[targets]\nwrong = 7")
    assert status(gate)["configuration"]["other_on_disk"]
    failed = reload(gate)
    assert failed.returncode == 1
    assert f"{gate.config}:" in failed.stderr and "wrong" in failed.stderr
    now = status(gate)["configuration"]
    assert now["reload_failed"] > 0 and "wrong" in now["mistakes"][0]
    assert "reload failed at " in run("status", "--control", gate.control).stdout
    gate.config.write_text(good.replace("[targets]", f'[targets]\nsnow = "{daemon.uri("unix")}"'))
    assert reload(gate).returncode == 0
    with raw.connect(gate.socket, "snow") as client:
        assert client.version() > 0
    after = status(gate)["configuration"]
    assert not after["other_on_disk"] and not after["reload_failed"] and not after["mistakes"]


def test_a_socket_that_somebody_removed_is_made_again(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")})
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))
    with raw.connect(gate.socket, "hail") as stays:
        os.unlink(gate.socket)
        assert reload(gate).returncode == 0
        with raw.connect(gate.socket, "hail") as client:
            assert client.version() > 0
        assert stays.version() > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_strangers_hear_a_sentence_and_the_helpdesk_all_of_it(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate(
        {"hail": "test+unix:///default?socket=/nowhere/at-all"},
        sections={"control": {"group": str(HELPDESK)}},
    )
    harness.wait_for("the control socket", lambda: harness.answers(gate.control))

    def told(gid: int) -> str:
        script = (
            f"import raw\nwith raw.Client({gate.socket!r}) as c:\n"
            "  try:\n    c.open('hail')\n  except raw.LibvirtError as e:\n    print(e)"
        )
        with machines.run_as(STRANGER, script, group=gid, stdout=subprocess.PIPE) as child:
            return child.communicate(timeout=3 * harness.PATIENCE)[0]

    stranger = told(STRANGER)
    assert "target 'hail' cannot be reached: nothing answers at its address; ask" in stranger
    assert "/nowhere" not in stranger
    reference = stranger.split("(reference ")[1][:6]
    gate.logged(f"reference={reference}")
    assert "/nowhere/at-all" in told(HELPDESK)
    known = {one["reference"]: one for one in status(gate)["references"]}
    assert "/nowhere/at-all" in known[reference]["text"] and known[reference]["uid"] == STRANGER


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_a_reload_that_takes_the_last_rule_away(
    daemon: harness.Daemon, folders: Folders, default: str
) -> None:
    """Everybody reads everything then, and that is said; or nobody reads anything."""
    gate = harness.Gate(
        next(folders),
        {"hail": daemon.uri("unix")},
        sections={"policy": {"default": default}},
    )
    rules = gate.folder / "conf.d" / "rules.toml"
    rules.parent.mkdir()
    rules.write_text(
        f'[[policy.rule]]\nusers = ["{STRANGER}"]\ntargets = ["*"]\nallow = ["*"]\n'
    )
    try:
        gate.start()
        harness.wait_for("the control socket", lambda: harness.answers(gate.control))
        refusal(gate.socket)
        assert status(gate)["warnings"] == []
        rules.rename(rules.with_suffix(".toml.off"))
        os.kill(gate.pid, signal.SIGHUP)
        gate.logged(" reloaded")
        told = f'everybody on this host may use the socket "{gate.socket}" and read every target'
        checked = run("serve", "--check", "--config", str(gate.config))
        shown = run("status", "--control", gate.control).stdout
        again = reload(gate)
        assert again.returncode == 0
        if default == "deny":
            refusal(gate.socket)
            told = "nobody may read anything"
        else:
            with raw.connect(gate.socket, "hail") as client:
                assert client.version() > 0
        gate.logged("configuration-warning")
        assert [told in one for one in status(gate)["warnings"]] == [True]
        assert told in shown
        assert told in again.stderr
        assert checked.returncode == 0 and told in checked.stderr
    finally:
        gate.stop()
