"""Certificates, CRLs, keys and known hosts that change while connections are open."""

import contextlib
import os
import pathlib
import shutil
import signal
from typing import Callable, Iterator

import pytest

import ask
import certificates
import harness
import raw
import sshd
from machines import opens, refusal, target
from tls_scene import Pki, TlsDaemon

MakeGate = Callable[..., harness.Gate]


def reload(gate: harness.Gate) -> None:
    before = gate.log().count(" reloaded")
    os.kill(gate.pid, signal.SIGHUP)
    harness.wait_for("the reload", lambda: gate.log().count(" reloaded") > before)


def renew(gate: harness.Gate) -> None:
    """Reloads, and waits until the changed files have been noticed, which a thread looks at."""
    before = gate.log().count(" credentials-changed ")
    reload(gate)
    harness.wait_for(
        "the changed files", lambda: gate.log().count(" credentials-changed ") > before
    )


def opened(gate: harness.Gate) -> int:
    """How many connections to the target there have been."""
    return int(ask.named(ask.status(gate)["counters"], "machines")["opened"])


def test_a_reload_without_other_files_keeps_connections(
    tls_daemon: TlsDaemon, client: certificates.ClientFolder, make_gate: MakeGate
) -> None:
    gate = make_gate(target(tls_daemon.tls_uri(client.folder)))
    with raw.connect(gate.socket, "machines") as one:
        assert one.version() > 0
        reload(gate)
        assert one.version() > 0
    assert opened(gate) == 1


def test_a_revocation_reaches_open_connections(
    tls_daemon: TlsDaemon, pki: Pki, client: certificates.ClientFolder, make_gate: MakeGate
) -> None:
    client.revoke(pki.ours.crl())
    gate = make_gate(target(tls_daemon.tls_uri(client.folder)))
    with raw.connect(gate.socket, "machines") as one:
        assert one.version() > 0
        client.revoke(pki.ours.crl(pki.servers["good"][0]))
        assert one.version() > 0
        renew(gate)
        with pytest.raises(raw.LibvirtError, match="was revoked on"):
            one.version()
    assert "was revoked on" in refusal(gate)
    assert "upstream-lost" not in gate.log()
    client.revoke(pki.ours.crl())
    renew(gate)
    harness.wait_for("the target", lambda: _opens(gate))


def _opens(gate: harness.Gate) -> bool:
    with contextlib.suppress(raw.LibvirtError):
        return opens(gate)
    return False


def test_a_new_client_certificate_is_shown(
    tls_daemon: TlsDaemon, pki: Pki, client: certificates.ClientFolder, make_gate: MakeGate
) -> None:
    gate = make_gate(target(tls_daemon.tls_uri(client.folder)))
    with raw.connect(gate.socket, "machines") as one:
        assert one.version() > 0
        client.be(*pki.stranger)
        renew(gate)
        with pytest.raises(raw.LibvirtError, match="the server refused us"):
            one.version()
        client.be(*pki.ours.issue("renewed", certificates.CLIENT))
        renew(gate)
        assert one.version() > 0
    assert "upstream-lost" not in gate.log()


def test_a_new_ssh_key_is_used(
    daemon: harness.Daemon, server: sshd.Server, make_gate: MakeGate, tmp_path: pathlib.Path
) -> None:
    key = tmp_path / "key"
    shutil.copy(server.key, key)
    gate = make_gate(target(server.uri(daemon, key=key)))
    with raw.connect(gate.socket, "machines") as one:
        assert one.version() > 0
        other = sshd.make_key(tmp_path / "other")
        shutil.copy(other, key)
        renew(gate)
        with pytest.raises(raw.LibvirtError, match="login"):
            one.version()
        server.authorized.write_text(sshd.public(other))
        harness.wait_for("the server to let the new key in", lambda: _opens(gate))
        assert one.version() > 0
    assert server.connections() == 2


def test_a_revoked_host_key_ends_open_connections(
    daemon: harness.Daemon, server: sshd.Server, make_gate: MakeGate
) -> None:
    gate = make_gate(target(server.uri(daemon)))
    with raw.connect(gate.socket, "machines") as one:
        assert one.version() > 0
        server.knows(server.host_key, "@revoked ")
        assert one.version() > 0
        renew(gate)
        with pytest.raises(raw.LibvirtError, match="revoked"):
            one.version()
    assert server.connections() == 1


@pytest.mark.parametrize("moves_out", [False, True])
@pytest.mark.parametrize("kind", ["pkipath", "keyfile"])
def test_a_link_on_the_way_to_the_files_is_turned(
    daemon: harness.Daemon,
    tls_daemon: TlsDaemon,
    client: certificates.ClientFolder,
    server: sshd.Server,
    make_gate: MakeGate,
    folders: Iterator[pathlib.Path],
    kind: str,
    moves_out: bool,
) -> None:
    store, elsewhere = next(folders), next(folders)
    versions = [store / "v1", (elsewhere if moves_out else store) / "v2"]
    for version in versions:
        shutil.copytree(client.folder, version)
        shutil.copy(server.key, version / "key")
    live = store / "live"
    live.symlink_to(versions[0])
    uri = tls_daemon.tls_uri(live) if kind == "pkipath" else server.uri(daemon, key=live / "key")
    gate = make_gate(target(uri))
    gate.logged(" confined ")
    confined = 'files="all: ' not in gate.log()
    live.unlink()
    live.symlink_to(versions[1])
    shutil.rmtree(versions[0])
    if not moves_out or not confined:
        assert opens(gate)
        return
    assert f"does not have the folder {versions[1]}; systemctl restart virtgate" in refusal(gate)
    os.kill(gate.pid, signal.SIGHUP)
    wanted = f"reading {versions[1]}"
    gate.logged(wanted)
