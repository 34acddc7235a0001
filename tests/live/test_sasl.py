"""Upstreams to a libvirtd that asks for SASL: over tcp with encryption, over unix without."""

import subprocess
from typing import Callable, Iterator

import pytest

import busy
import certificates
import harness
import raw
import sasl_scene

AUTH_FAILED = 45

MakeGate = Callable[..., harness.Gate]
Connect = Callable[..., raw.Client]


@pytest.fixture
def sasl_daemon(folders: Iterator) -> Iterator[sasl_scene.Daemon]:
    with sasl_scene.running(next(folders), "scram-sha-256 digest-md5") as one:
        yield one


def virsh(daemon: sasl_scene.Daemon, uri: str, *command: str) -> str:
    run = subprocess.run(
        ["virsh", "-q", "-r", "-c", uri, *command],
        capture_output=True,
        text=True,
        check=False,
        env=harness.environment(daemon.folder),
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def refusal(gate: harness.Gate, connect: Connect) -> str:
    """What the gate says, which never has the password in it."""
    with pytest.raises(raw.LibvirtError) as failure:
        connect(gate.socket, "machines")
    assert failure.value.code == AUTH_FAILED
    for secret in (sasl_scene.PASSWORD, "wrong-password"):
        assert secret not in failure.value.text
        assert secret not in gate.log()
    return failure.value.text


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_same_output(sasl_daemon: sasl_scene.Daemon, make_gate: MakeGate, kind: str) -> None:
    sasl_daemon.auth_conf()
    direct = sasl_daemon.target(kind)
    gate = make_gate({"machines": direct})
    through = gate.uri(sasl_daemon.file)
    for command in (["list", "--all"], ["domstats"], ["dumpxml", "machine1"], ["capabilities"]):
        out = virsh(sasl_daemon, direct, *command)
        assert out and virsh(sasl_daemon, through, *command) == out
    assert sasl_scene.PASSWORD not in gate.log()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_many_clients_and_a_crash(
    sasl_daemon: sasl_scene.Daemon, make_gate: MakeGate, kind: str
) -> None:
    sasl_daemon.auth_conf()
    target = {"uri": sasl_daemon.target(kind), "keepalive_interval": "200ms"}
    gate = make_gate({"machines": target})
    with busy.Crew(gate.socket, "machines", 8) as crew:
        crew.progress(50)
        sasl_daemon.kill()
        sasl_daemon.start()
        crew.progress(50)


@pytest.mark.parametrize("kind, mechanism", [("tcp", "DIGEST-MD5"), ("unix", "SCRAM-SHA-256")])
def test_wrong_password_until_the_file_is_right(
    sasl_daemon: sasl_scene.Daemon,
    make_gate: MakeGate,
    connect: Connect,
    kind: str,
    mechanism: str,
) -> None:
    path = sasl_daemon.auth_conf(password="wrong-password")
    gate = make_gate({"machines": sasl_daemon.target(kind)})
    text = refusal(gate, connect)
    assert f"refuses the user or password of [credentials-test] in {path} with {mechanism}" in text
    assert "authentication failed" in text
    sasl_daemon.auth_conf()

    def opens() -> bool:
        try:
            return bool(connect(gate.socket, "machines").domain("machine1"))
        except raw.LibvirtError:
            return False

    harness.wait_for("the new password to be used", opens)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_unknown_user(
    sasl_daemon: sasl_scene.Daemon, make_gate: MakeGate, connect: Connect, kind: str
) -> None:
    sasl_daemon.auth_conf(user="nobody-like-that")
    gate = make_gate({"machines": sasl_daemon.target(kind)})
    assert "refuses the user or password of [credentials-test]" in refusal(gate, connect)


@pytest.mark.parametrize("kind, mechanism", [("tcp", "DIGEST-MD5"), ("unix", "SCRAM-SHA-256")])
def test_no_credentials(
    sasl_daemon: sasl_scene.Daemon,
    make_gate: MakeGate,
    connect: Connect,
    kind: str,
    mechanism: str,
) -> None:
    gate = make_gate({"machines": sasl_daemon.target(kind)})
    text = refusal(gate, connect)
    path = sasl_daemon.folder / "auth.conf"
    assert f"no credentials for the SASL mechanism {mechanism}: there is no {path}" in text


def test_credentials_of_another_host(
    sasl_daemon: sasl_scene.Daemon, make_gate: MakeGate, connect: Connect
) -> None:
    path = sasl_daemon.auth_conf(host="hail.example.com")
    gate = make_gate({"machines": sasl_daemon.target("tcp")})
    text = refusal(gate, connect)
    assert f"{path} has no credentials for this host; it needs [auth-libvirt-127.0.0.1]" in text


def test_a_file_for_all_to_read(
    sasl_daemon: sasl_scene.Daemon, make_gate: MakeGate, connect: Connect
) -> None:
    path = sasl_daemon.auth_conf(mode=0o644)
    gate = make_gate({"machines": sasl_daemon.target("tcp")})
    assert f"{path} holds passwords and is refused: mode 0644" in refusal(gate, connect)


@pytest.mark.parametrize(
    "parameter, words",
    [
        (
            "&auth=sasl.SCRAM-SHA-256",
            "requested authentication type sasl.SCRAM-SHA-256 rejected: the daemon offers the SASL "
            "mechanisms DIGEST-MD5",
        ),
        (
            "&auth=polkit",
            "requested authentication type polkit rejected: the daemon asks for sasl",
        ),
    ],
)
def test_what_the_daemon_does_not_offer(
    sasl_daemon: sasl_scene.Daemon,
    make_gate: MakeGate,
    connect: Connect,
    parameter: str,
    words: str,
) -> None:
    sasl_daemon.auth_conf()
    gate = make_gate({"machines": sasl_daemon.target("tcp", parameter)})
    assert words in refusal(gate, connect)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_inside_tls(
    folders: Iterator, make_gate: MakeGate, connect: Connect, mechanism: str
) -> None:
    ours = certificates.Authority(next(folders), "ours")
    client = certificates.ClientFolder(next(folders), ours)
    client.be(*ours.issue("client", certificates.CLIENT))
    daemon = sasl_scene.Daemon(next(folders), mechanism.lower())
    daemon.serve_tls(ours)
    path = daemon.auth_conf(password="wrong-password", host="localhost")
    uri = f"test+tls://localhost:{daemon.tls_port}{daemon.file}"
    uri += f"?pkipath={client.folder}&authfile={path}"
    try:
        daemon.start()
        assert f"[credentials-test] in {path} with {mechanism}" in refusal(
            make_gate({"machines": uri}), connect
        )
        daemon.auth_conf(host="localhost")
        gate = make_gate({"machines": uri})
        assert connect(gate.socket, "machines").domain("machine1")
    finally:
        daemon.stop()


def test_sasl_of_a_daemon_that_asks_for_nothing(
    daemon: harness.Daemon, make_gate: MakeGate, connect: Connect
) -> None:
    gate = make_gate({"machines": daemon.uri("tcp") + "?auth=sasl"})
    with pytest.raises(raw.LibvirtError) as failure:
        connect(gate.socket, "machines")
    words = "requested authentication type sasl rejected: the daemon asks for none"
    assert words in failure.value.text


@pytest.mark.parametrize(
    "kind, parameter",
    [
        ("tcp", "&auth=sasl.DIGEST-MD5"),
        ("unix", "&auth=sasl.DIGEST-MD5"),
        ("unix", "&auth=sasl"),
    ],
)
def test_a_mechanism_of_choice(
    sasl_daemon: sasl_scene.Daemon,
    make_gate: MakeGate,
    connect: Connect,
    kind: str,
    parameter: str,
) -> None:
    sasl_daemon.auth_conf()
    gate = make_gate({"machines": sasl_daemon.target(kind, parameter)})
    assert connect(gate.socket, "machines").domain("machine1")
