"""Rules of the policy, met by users of their own."""

import os
import pathlib
import pwd
import subprocess
import time
from typing import Any, Callable, Iterator

import pytest

import ask
import busy
import harness
import machines
import raw

MakeGate = Callable[..., harness.Gate]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")

# Numbers that no account of a system has.
ANNA, BERT, CARL = 61001, 61002, 61003
OWN, EXTRA = 61101, 61102


def virsh(
    gate: harness.Gate,
    daemon: harness.Daemon,
    uid: int,
    *command: str,
    gid: int = 61199,
    groups: tuple[int, ...] = (),
) -> subprocess.CompletedProcess:
    home = gate.folder / f"home-{uid}"
    if not home.exists():
        home.mkdir()
        os.chown(home, uid, gid)
    env = harness.environment(home) | {name: str(home) for name in ("HOME", "XDG_CACHE_HOME")}
    return subprocess.run(
        ["virsh", "-c", gate.uri(daemon.file), *command],
        user=uid,
        group=gid,
        extra_groups=list(groups),
        env=env,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )


def everything(**who: Any) -> dict[str, Any]:
    return {"targets": ["*"], "allow": ["*"], **who}


@pytest.mark.parametrize(
    ("who", "gid", "groups"),
    [
        ({"users": [str(ANNA)]}, 61199, ()),
        ({"groups": [str(OWN)]}, OWN, ()),
        ({"groups": [str(EXTRA)]}, 61199, (61103, EXTRA)),
    ],
)
def test_a_rule_by_user_or_group(
    daemon: harness.Daemon,
    make_gate: MakeGate,
    who: dict[str, Any],
    gid: int,
    groups: tuple[int, ...],
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, rules=(everything(**who),))
    done = virsh(gate, daemon, ANNA, "list", "--name", gid=gid, groups=groups)
    assert done.returncode == 0, done.stderr
    assert "machine1\n" in done.stdout
    other = virsh(gate, daemon, BERT, "list")
    assert other.returncode == 1
    assert "; there are no targets; ask your administrator (reference " in other.stderr
    reference = other.stderr.split("(reference ")[1][:6]
    gate.logged(f"reference={reference}")
    records = [line for line in gate.log().splitlines() if f"reference={reference}" in line]
    assert f"uid={BERT}" in records[0]
    assert f"user {BERT} may not see target 'hail': no rule lets them" in records[0]
    assert any(
        reference in line and f"user {BERT} may not see target 'hail'" in line
        for line in ask.status_text(gate).splitlines()
    )


@pytest.fixture(scope="module", name="people")
def accounts() -> Iterator[str]:
    """A user of the system with a primary and a supplementary group, for as long as it is needed."""
    name = f"vg{os.getpid()}"
    commands = [["groupadd", f"{name}own"], ["groupadd", f"{name}extra"]]
    commands += [["useradd", "-M", "-g", f"{name}own", "-G", f"{name}extra", name]]
    undo = [["userdel", name], ["groupdel", f"{name}own"], ["groupdel", f"{name}extra"]]
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
        yield name
    finally:
        for command in undo:
            subprocess.run(command, check=False, capture_output=True)


@pytest.mark.parametrize(("key", "end"), [("users", ""), ("groups", "own"), ("groups", "extra")])
def test_rules_name_users_and_groups_of_the_system(
    daemon: harness.Daemon, make_gate: MakeGate, people: str, key: str, end: str
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, rules=(everything(**{key: [people + end]}),))
    account = pwd.getpwnam(people)
    groups = tuple(os.getgrouplist(people, account.pw_gid))
    done = virsh(
        gate, daemon, account.pw_uid, "list", "--name", gid=account.pw_gid, groups=groups
    )
    assert done.returncode == 0, done.stderr
    assert "machine1\n" in done.stdout
    explain = [harness.GATE, "policy", "explain", "--config", str(gate.config), "--user", people]
    explain += ["--target", "hail", "CONNECT_LIST_ALL_DOMAINS"]
    assert subprocess.run(explain, capture_output=True, check=False).returncode == 0
    without = virsh(gate, daemon, BERT, "list")
    assert without.returncode == 1 and "there are no targets" in without.stderr


def test_a_rule_for_some_calls(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    rule = everything(users=[str(ANNA)], deny=["DOMAIN_GET_XML_DESC"])
    gate = make_gate({"hail": daemon.uri("unix")}, rules=(rule,))
    assert virsh(gate, daemon, ANNA, "list").returncode == 0
    done = virsh(gate, daemon, ANNA, "dumpxml", "machine1")
    assert done.returncode == 1
    assert "you may not call DOMAIN_GET_XML_DESC of target 'hail'" in done.stderr
    gate.logged(f"does not let user {ANNA} call DOMAIN_GET_XML_DESC of target 'hail'")
    gate.logged(f"{gate.config} line ")
    assert virsh(gate, daemon, ANNA, "destroy", "machine1").returncode == 1


def test_the_gate_and_explain_say_the_same(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    rule = everything(users=[str(ANNA)], deny=["DOMAIN_GET_XML_DESC"])
    gate = make_gate({"hail": daemon.uri("unix")}, rules=(rule,))

    def explain(uid: int, *what: str) -> tuple[int, str]:
        command = [harness.GATE, "policy", "explain", "--config", str(gate.config)]
        command += ["--target", "hail", "--user", str(uid), *what]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert explain(ANNA, "CONNECT_LIST_ALL_DOMAINS")[0] == 0
    code, text = explain(ANNA, "DOMAIN_GET_XML_DESC")
    assert code == 1 and "does not allow DOMAIN_GET_XML_DESC" in text
    code, text = explain(BERT, "CONNECT_LIST_ALL_DOMAINS")
    assert code == 1 and f"user {BERT} may not see target 'hail'" in text
    code, text = explain(ANNA, "NODE_GET_MEMORY_STATS", "--flags", "1")
    assert code == 1 and "bits 0x1 of flags are no flags that it knows" in text
    assert explain(ANNA, "DOMAIN_FLY")[0] == 2


def test_one_users_rate_is_nobody_elses(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    slow = everything(users=[str(ANNA)], calls_per_second=20, clients=1)
    gate = make_gate(
        {"hail": daemon.uri("unix")}, rules=(slow, everything(users=["0", str(CARL)]))
    )
    script = f"import raw; c = raw.connect({gate.socket!r}, 'hail')\nwhile True: c.version()"
    with machines.run_as(ANNA, script, stderr=subprocess.DEVNULL) as greedy:
        try:
            gate.logged(f"uid={ANNA}")
            begin = time.monotonic()
            with busy.Crew(gate.socket, "hail", 4) as crew:
                crew.progress(500)
                time.sleep(max(0.0, begin + 3.0 - time.monotonic()))
            second = virsh(gate, daemon, ANNA, "list")
            assert "you already have the maximum of 1 connections" in second.stderr
            gate.logged("already has the maximum of 1 clients of rule 1")
            seconds = time.monotonic() - begin
            assert greedy.poll() is None
        finally:
            greedy.kill()
    harness.wait_for("its last line", lambda: _calls(gate) > 0)
    assert 20 <= _calls(gate) <= 20 * (seconds + 5)


def _calls(gate: harness.Gate) -> int:
    for line in gate.log().splitlines():
        if f"uid={ANNA}" in line and "calls=" in line and "calls=0" not in line:
            return int(line.split("calls=")[1].split()[0])
    return 0


def test_mistakes_in_rules_are_found(daemon: harness.Daemon, folders: Any) -> None:
    config = next(folders) / "virtgate.toml"
    config.write_text(
        '[[listen]]\npath = "/s"\n[targets]\nhail = "test:///default"\n'
        '[[policy.rule]]\nusers = ["no such user"]\ntargets = ["hial"]\n'
        'allow = ["DOMAIN_DESTROY", "DOMAIN_GET_*"]\ndeny = ["DOMAIN_GET_XLM"]\nqueue = 0\n'
    )
    done = subprocess.run(
        [harness.GATE, "serve", "--check", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for words in (
        'there is no user "no such user"',
        ':7:12: there is no target "hial"',
        ':8:10: DOMAIN_DESTROY is more than reading and never passes; remove it',
        ':9:9: there is no procedure "DOMAIN_GET_XLM"; did you mean',
        ":10:9: \"queue\" is 0; it must be from 1 to 1024",
    ):
        assert words in done.stderr


def test_a_client_in_a_user_namespace_of_its_own_is_judged_by_its_real_uid(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    """There it is root, and the kernel tells us who it is here."""
    gate = make_gate(
        {"hail": daemon.uri("unix")},
        rules=(
            everything(users=["0"]),
            everything(users=[str(ANNA)], deny=["CONNECT_GET_LIB_VERSION"]),
        ),
    )
    script = (
        "import os, raw\n"
        "print(os.getuid(), flush=True)\n"
        f"with raw.connect({gate.socket!r}, 'hail') as one:\n"
        "    try:\n"
        "        print(one.version())\n"
        "    except raw.LibvirtError as error:\n"
        "        print(error.text)\n"
    )
    command = ["unshare", "-Ur", "/usr/bin/python3", "-c", script]
    inside = f"import os\nos.execvp('unshare', {command!r})"
    with machines.run_as(ANNA, inside, stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=harness.PATIENCE)
    who, answer = said.splitlines()
    assert who == "0"
    assert "you may not call" in answer
    gate.logged(f"uid={ANNA} ")


def test_numbers_that_are_lent_to_somebody_are_that_person(
    daemon: harness.Daemon, make_gate: MakeGate, people: str
) -> None:
    """Whoever may map them has thousands (subuid(5)), and is one user all the same."""
    lent = 700_000_000
    numbers = f"{lent}-{lent + 9}"
    subprocess.run(["usermod", "--add-subuids", numbers, people], check=True, capture_output=True)
    try:
        one_client = everything(users=[people], clients=1)
        gate = make_gate({"hail": daemon.uri("unix")}, rules=(one_client, everything(users=["0"])))
        person = pwd.getpwnam(people).pw_uid
        script = f"import raw, time\nc = raw.connect({gate.socket!r}, 'hail')\ntime.sleep(600)"
        with machines.run_as(lent, script, stderr=subprocess.DEVNULL) as first:
            try:
                gate.logged(f"uid={person} pid={first.pid} subuid={lent}")
                for other in (lent + 9, person):
                    second = virsh(gate, daemon, other, "list")
                    assert "you already have the maximum of 1 connections" in second.stderr
                # The next number is nobody's, and no rule lets it see a target.
                assert "there are no targets" in virsh(gate, daemon, lent + 10, "list").stderr
            finally:
                first.kill()
    finally:
        undo = ["usermod", "--del-subuids", numbers, people]
        subprocess.run(undo, check=True, capture_output=True)


def test_a_gate_in_a_user_namespace_takes_nobody_for_the_user_nobody(
    daemon: harness.Daemon, folders: Iterator[pathlib.Path]
) -> None:
    """There all others have the overflow uid, which is that of nobody here."""
    rules = (everything(users=["nobody", "65534"]), everything(users=["0"]))
    gate = harness.Gate(next(folders), {"hail": daemon.uri("unix")}, rules=rules)
    gate.launcher = ["unshare", "-Ur"]
    try:
        gate.start()
        with raw.connect(gate.socket, "hail") as one:
            assert one.version() > 0
        refused = virsh(gate, daemon, ANNA, "list")
        assert refused.returncode == 1
        assert "there are no targets" in refused.stderr
        gate.logged("user namespace")
    finally:
        gate.stop()
