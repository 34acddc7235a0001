"""URIs that clients name, beyond the targets of the gate."""

import json
import subprocess
from typing import Any, Callable

import pytest

import harness
import machines
import raw

MakeGate = Callable[..., harness.Gate]

LOCAL = {"uri": "*+tcp://localhost:*/*", "local_addresses": True}


def remote(daemon: harness.Daemon, host: str = "localhost") -> str:
    return f"test+tcp://{host}:{daemon.port}{daemon.file}"


def through(gate: harness.Gate, uri: str, *command: str) -> tuple[int, str, str]:
    """As a user does it: the URI rides in name=, which the client sends as it is."""
    name = uri.replace("?", "%3F").replace("&", "%26").replace("+", "%2B")
    return machines.virsh(f"test+unix:///?socket={gate.socket}&name={name}", *command)


def refusal(gate: harness.Gate, name: str) -> str:
    with raw.Client(gate.socket) as one, pytest.raises(raw.LibvirtError) as failure:
        one.open(name)
    return failure.value.text


def test_virsh_reaches_what_open_uris_let_pass(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, open_uris=(LOCAL,))
    code, out, errors = through(gate, remote(daemon), "list", "--name")
    assert code == 0, errors
    assert "machine1" in out
    code, _, errors = through(gate, remote(daemon), "destroy", "machine1")
    assert code == 1 and "forbidden" in errors
    gate.logged(f"target={remote(daemon)}")


def test_this_host_is_no_host_for_clients(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, open_uris=("*://*:*/*",))
    for host in ("localhost", "127.0.0.1", "[::1]", "2130706433"):
        text = refusal(gate, f"test+ssh://{host}:{daemon.port}/default")
        assert "an address of this host or of its link" in text, host


@pytest.mark.parametrize(
    "more",
    ["?keyfile=/k", "?command=/bin/sh", "?netcat=x", "?socket=/run/x", "?pkipath=/p", "?no_verify=1"]
    + ["?known_hosts=/k", "?known_hosts_verify=ignore", "?name=test:///default", "?proxy=netcat"],
)
def test_only_the_parts_of_a_uri_are_taken(
    daemon: harness.Daemon, make_gate: MakeGate, more: str
) -> None:
    gate = make_gate({"hail": daemon.uri("unix")}, open_uris=(LOCAL,))
    key = more[1:].split("=")[0]
    assert f'has the parameter "{key}", and clients may name none' in refusal(
        gate, remote(daemon) + more
    )


def test_patterns_do_not_reach_over_parts(daemon: harness.Daemon, make_gate: MakeGate) -> None:
    pattern = {"uri": "test+tcp://*.example.com/*", "local_addresses": True}
    gate = make_gate({"hail": daemon.uri("unix")}, open_uris=(pattern,))
    for uri in (
        f"test+tcp://localhost:{daemon.port}/.example.com/default",
        f"test+tcp://localhost:{daemon.port}/default",
        "test+tcp://x@a.example.com/default",
        "test+tcp://a.example.com:1/default",
        "qemu+tcp://a.example.com/default",
        "test+ssh://a.example.com/default",
    ):
        text = refusal(gate, uri)
        assert "and no pattern of open_uris lets it pass" in text, uri


def explained(gate: harness.Gate, uri: str, user: str = "root") -> tuple[int, str]:
    command = [harness.GATE, "policy", "explain", "--config", str(gate.config), "--user", user]
    command += ["--target", uri, "CONNECT_LIST_ALL_DOMAINS"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_rules_and_explain_see_them_as_targets(
    daemon: harness.Daemon, make_gate: MakeGate
) -> None:
    rule: dict[str, Any] = {"users": ["root"], "allow": ["CONNECT_*", "DOMAIN_LOOKUP_*"]}
    rule["targets"] = [f"test+tcp://localhost:*{daemon.file}"]
    gate = make_gate({"hail": daemon.uri("unix")}, open_uris=(LOCAL,), rules=(rule,), audit_calls=False)
    code, _, errors = through(gate, remote(daemon), "dumpxml", "machine1")
    assert code == 1 and "does not let user 0 call DOMAIN_GET_XML_DESC" in errors
    assert "user 0 may not see target" in refusal(gate, "hail")
    assert "may not see" in refusal(gate, f"test+tcp://localhost:{daemon.port}/default")
    assert explained(gate, remote(daemon))[0] == 0
    code, text = explained(gate, remote(daemon), "nobody")
    assert code == 1 and "may not see target" in text
    code, text = explained(gate, "qemu+ssh://elsewhere/system")
    assert code == 1 and "no pattern of open_uris" in text
    assert explained(gate, remote(daemon) + "?keyfile=/k")[0] == 2
    records = [json.loads(line) for line in gate.audit.read_text().splitlines()]
    assert remote(daemon) in {record.get("target") for record in records}
