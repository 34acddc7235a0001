"""Through TLS to a libvirtd, with certificates that are good and others."""

import contextlib
import pathlib
import socket
import threading
import time
from typing import Callable, Iterator

import pytest

import busy
import certificates
import harness
import raw
from machines import opens, opens_yet, patient, refusal, target, virsh
from meddler import Meddler
from tls_scene import Pki, TlsDaemon

MakeGate = Callable[..., harness.Gate]


@contextlib.contextmanager
def running(daemon: TlsDaemon) -> Iterator[TlsDaemon]:
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_virsh_prints_the_same(
    tls_daemon: TlsDaemon, client: certificates.ClientFolder, make_gate: MakeGate, host: str
) -> None:
    direct = tls_daemon.tls_uri(client.folder, host)
    gate = make_gate({"machines": direct}, harness.Listen(target="machines"))
    for command in (["list", "--all"], ["dumpxml", "machine1"], ["net-list", "--all"]):
        result = virsh(gate.uri(tls_daemon.file), *command)
        assert result == virsh(direct, *command)
        assert result[0] == 0


def test_clients_do_not_notice_a_crash(
    folders: Iterator[pathlib.Path],
    pki: Pki,
    client: certificates.ClientFolder,
    make_gate: MakeGate,
) -> None:
    with running(TlsDaemon(next(folders), pki)) as daemon:
        gate = make_gate(patient(daemon.tls_uri(client.folder)))
        with busy.Crew(gate.socket, "machines", 8) as crew:
            crew.progress(50)
            daemon.kill()
            time.sleep(1.0)
            daemon.start()
            crew.progress(50)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("old", ["expired on 2021-01-01 00:00:00 UTC", "daemon"]),
        ("strange", ["is not for the name localhost", "elsewhere.example"]),
    ],
)
def test_a_server_that_is_not_good(
    folders: Iterator[pathlib.Path],
    pki: Pki,
    client: certificates.ClientFolder,
    make_gate: MakeGate,
    server: str,
    said: list[str],
) -> None:
    with running(TlsDaemon(next(folders), pki, server)) as daemon:
        uri = daemon.tls_uri(client.folder, more="&no_verify=0")
        text = refusal(make_gate(target(uri)))
        for words in said:
            assert words in text
        uri = daemon.tls_uri(client.folder, more="&no_verify=1")
        assert opens(make_gate(target(uri, insecure=True)))


def test_an_address_that_the_certificate_does_not_have(
    folders: Iterator[pathlib.Path],
    pki: Pki,
    client: certificates.ClientFolder,
    make_gate: MakeGate,
) -> None:
    with running(TlsDaemon(next(folders), pki, "strange")) as daemon:
        text = refusal(make_gate(target(daemon.tls_uri(client.folder, "127.0.0.1"))))
        assert "is not for the address 127.0.0.1" in text


def test_a_ca_that_is_not_the_servers(
    tls_daemon: TlsDaemon, pki: Pki, client: certificates.ClientFolder, make_gate: MakeGate
) -> None:
    client.trust(pki.theirs)
    text = refusal(make_gate(target(tls_daemon.tls_uri(client.folder))))
    assert f"was not signed by a CA in {client.folder}/cacert.pem" in text


def test_files_are_read_anew(
    tls_daemon: TlsDaemon, pki: Pki, client: certificates.ClientFolder, make_gate: MakeGate
) -> None:
    gate = make_gate(target(tls_daemon.tls_uri(client.folder)))
    client.revoke(pki.ours.crl(pki.servers["good"][0]))
    assert "was revoked on" in refusal(gate)
    client.revoke(pki.ours.crl(pki.servers["old"][0]))
    harness.wait_for("a good CRL to count", lambda: opens_yet(gate))
    assert opens(gate)


def test_a_server_that_refuses_us(
    folders: Iterator[pathlib.Path],
    tls_daemon: TlsDaemon,
    pki: Pki,
    client: certificates.ClientFolder,
    make_gate: MakeGate,
) -> None:
    gate = make_gate(target(tls_daemon.tls_uri(client.folder)))
    client.be(*pki.stranger)
    text = refusal(gate)
    assert "the server refused us" in text
    assert f"{client.folder}/clientcert.pem" in text
    (client.folder / "clientkey.pem").unlink()
    gate = make_gate(target(tls_daemon.tls_uri(client.folder)))
    assert f"there is no {client.folder}/clientkey.pem" in refusal(gate)
    client.be(*pki.client)
    only = 'tls_allowed_dn_list = ["CN=somebody else"]\n'
    with running(TlsDaemon(next(folders), pki, more=only)) as daemon:
        gate = make_gate(target(daemon.tls_uri(client.folder)))
        assert "the server refused us" in refusal(gate)


def test_a_key_that_others_can_read(
    tls_daemon: TlsDaemon, client: certificates.ClientFolder, make_gate: MakeGate
) -> None:
    key = client.folder / "clientkey.pem"
    key.chmod(0o644)
    text = refusal(make_gate(target(tls_daemon.tls_uri(client.folder))))
    assert f"{key} is refused: mode 0644" in text


@pytest.fixture(scope="module")
def spoken(
    folders: Iterator[pathlib.Path], pki: Pki, tls_daemon: TlsDaemon, make_module_gate: MakeGate
) -> int:
    """Bytes that the daemon says until a client has an answer, give or take a few."""
    client = certificates.ClientFolder(next(folders), pki.ours)
    client.be(*pki.client)
    with contextlib.closing(Meddler(tls_daemon.tls_port)) as meddler:
        uri = tls_daemon.tls_uri(client.folder, port=meddler.port)
        with raw.connect(make_module_gate(target(uri)).socket, "machines") as one:
            assert one.domain("machine1")
            return meddler.heard


@pytest.mark.parametrize("percent", [0, 1, 2, *range(5, 96, 5)])
def test_a_flipped_bit_is_no_more_than_a_new_connection(
    tls_daemon: TlsDaemon,
    client: certificates.ClientFolder,
    make_gate: MakeGate,
    spoken: int,
    percent: int,
) -> None:
    with contextlib.closing(Meddler(tls_daemon.tls_port)) as meddler:
        meddler.flips = spoken * percent // 100
        gate = make_gate(target(tls_daemon.tls_uri(client.folder, port=meddler.port)))
        with contextlib.suppress(raw.LibvirtError), raw.connect(gate.socket, "machines") as one:
            assert one.domain("machine1").startswith(raw.string("machine1"))
        harness.wait_for("the gate to have connected again", lambda: opens_yet(gate))
        with raw.connect(gate.socket, "machines") as again:
            assert again.domain("machine1").startswith(raw.string("machine1"))
        assert meddler.flipped == 1


def test_a_server_that_never_speaks(
    tls_daemon: TlsDaemon, client: certificates.ClientFolder, make_gate: MakeGate
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = int(silent.getsockname()[1])
        uri = tls_daemon.tls_uri(client.folder, port=port)
        gate = make_gate(target(uri, login_timeout="1s"))
        assert "the handshake of TLS was not done within" in refusal(gate)


@pytest.mark.parametrize("kind", ["ed25519", "rsa-pss"])
def test_a_server_with_a_newer_kind_of_key(
    folders: Iterator[pathlib.Path],
    pki: Pki,
    client: certificates.ClientFolder,
    make_gate: MakeGate,
    kind: str,
) -> None:
    pki.servers[kind] = pki.ours.issue(kind, certificates.SERVER, kind=kind)
    with running(TlsDaemon(next(folders), pki, kind)) as daemon:
        assert opens(make_gate(target(daemon.tls_uri(client.folder))))


def test_a_server_that_hangs_up(client: certificates.ClientFolder, make_gate: MakeGate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as one:
                        one.recv(4096)
                        # The head of a ServerHello, and no more.
                        one.sendall(bytes.fromhex("160303004a02000046"))

        threading.Thread(target=serve, daemon=True).start()
        uri = f"test+tls://localhost:{listener.getsockname()[1]}/default?pkipath={client.folder}"
        text = refusal(make_gate(target(uri)))
        listener.shutdown(socket.SHUT_RDWR)
    assert "closed the connection during the handshake" in text
