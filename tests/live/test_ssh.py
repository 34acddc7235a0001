"""Through ssh to a libvirtd: what gets there, and what is said when nothing does."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import time
from typing import Any, Callable, Iterator

import pytest

import busy
import harness
import raw
import sshd
import victims
from machines import opens, opens_yet, patient, refusal, target, virsh
from meddler import Meddler

MakeGate = Callable[..., harness.Gate]
MakeServer = Callable[..., sshd.Server]

NETCAT = r"""
test "$1" = -q && { echo "nc: option requires an argument -- 'q'"; exit 1; }
test "$1 $2" = "-q0 -U" || exit 9
exec /usr/bin/python3 -c '
import os, socket, sys, threading
far = socket.socket(socket.AF_UNIX)
far.connect(sys.argv[1])
def up():
    while data := os.read(0, 65536):
        far.sendall(data)
    os._exit(0)
threading.Thread(target=up, daemon=True).start()
while data := far.recv(65536):
    os.write(1, data)
os._exit(0)
' "$3"
"""
NOT_THERE = "echo not here >&2\nexit 127\n"


@pytest.fixture
def make_server(folders: Iterator[pathlib.Path]) -> Iterator[MakeServer]:
    with contextlib.ExitStack() as stack:

        def make(options: str = "", host_key: str = "ed25519") -> sshd.Server:
            one = sshd.Server(next(folders), options, host_key)
            stack.callback(one.stop)
            return one.start()

        yield make


def test_virsh_prints_the_same(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server()
    gate = make_gate({"machines": server.uri(daemon)}, harness.Listen(target="machines"))
    for command in (["list", "--all"], ["dumpxml", "machine1"], ["net-list", "--all"]):
        result = virsh(gate.uri(daemon.file), *command)
        assert result == virsh(daemon.uri("unix"), *command)
        assert result[0] == 0
    assert server.connections() == 1


def test_keys_change_under_eight_busy_clients(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server("RekeyLimit 64K\nLogLevel DEBUG1\n")
    gate = make_gate({"machines": server.uri(daemon)})
    with busy.Crew(gate.socket, "machines", 8) as crew:
        crew.progress(600)
    assert server.log().count("SSH2_MSG_NEWKEYS received") > 2
    assert server.connections() == 1


def test_clients_do_not_notice_that_sshd_is_killed(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server()
    gate = make_gate(patient(server.uri(daemon)))
    with busy.Crew(gate.socket, "machines", 8) as crew:
        for _ in range(2):
            crew.progress(50)
            server.kill()
            time.sleep(1.0)
            server.start()
            crew.progress(50)


def test_clients_do_not_notice_that_the_daemon_is_killed(
    own_daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    gate = make_gate(patient(make_server().uri(own_daemon)))
    with busy.Crew(gate.socket, "machines", 8) as crew:
        crew.progress(50)
        own_daemon.kill()
        time.sleep(1.0)
        own_daemon.start()
        crew.progress(50)


def test_forty_targets_behind_one_sshd_that_takes_few_logins(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server("MaxStartups 3:50:6\n")
    names = [f"hail{number}" for number in range(40)]
    gate = make_gate({"well": daemon.uri("unix"), **{name: server.uri(daemon) for name in names}})

    def version(name: str) -> int:
        with raw.connect(gate.socket, name) as one:
            return one.version()

    def all_at_once() -> None:
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            assert all(pool.map(version, names))

    with victims.Victims(gate.socket, ["well"] * 2, range(1, 100)) as others:
        others.bear("forty logins at an sshd that takes few", all_at_once, 4.0)
    assert server.connections() == len(names)


def test_first_logins_that_are_cut_off_are_tried_again(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    """As by an sshd that others keep busy; a login that is refused is told of at once."""
    server = make_server()
    between = Meddler(server.port)
    between.refuses = 3
    server.known_hosts.write_text(f"[127.0.0.1]:{between.port} {sshd.public(server.host_key)}")
    uri = server.uri(daemon).replace(f":{server.port}/", f":{between.port}/")
    gate = make_gate({"machines": {"uri": uri, "retry_timeout": "0s"}})
    with contextlib.closing(between):
        assert opens(gate)
        assert between.refuses == 0
        server.authorized.write_text("")
        other = make_gate({"machines": {"uri": uri, "retry_timeout": "0s"}})
        assert "ssh login as" in refusal(other)
    other.logged("upstream-failed")
    assert other.log().count("upstream-failed") == 1


@pytest.mark.parametrize("sessions", [10, 2, 1])
def test_without_streamlocal_forwarding_netcat_is_run(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate, sessions: int
) -> None:
    server = make_server(f"AllowStreamLocalForwarding no\nMaxSessions {sessions}\n")
    server.program("nc", NETCAT)
    gate = make_gate({"machines": server.uri(daemon)})
    with busy.Crew(gate.socket, "machines", 6) as crew:
        crew.progress(30)


def test_the_helper_is_run(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server("AllowStreamLocalForwarding no\n")
    check = f'test "$1" = -r || exit 9\nset -- -q0 -U {daemon.unix}\n'
    server.program("virt-ssh-helper", check + NETCAT.replace('test "$1" = -q', "false"))
    uri = server.uri(daemon, "&proxy=native")
    gate = make_gate({"machines": uri})
    assert opens(gate)


def test_no_way_to_the_daemon_names_each(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server("AllowStreamLocalForwarding no\n")
    server.program("nc", "echo no netcat here >&2\nexit 3\n")
    text = refusal(make_gate(target(server.uri(daemon))))
    assert f"socket {daemon.unix}" in text
    assert "exit status 3: no netcat here" in text


def test_an_unknown_host_key_is_shown_and_recorded_on_request(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server()
    server.known_hosts.write_text("# none\n")
    text = refusal(make_gate(target(server.uri(daemon))))
    assert "is not known: ssh-ed25519 SHA256:" in text
    assert opens(make_gate(target(server.uri(daemon, "&known_hosts_verify=auto"))))
    assert opens(make_gate(target(server.uri(daemon))))
    assert server.known_hosts.read_text().startswith("# none\n[127.0.0.1]:")


@pytest.mark.parametrize("named", [True, False])
def test_the_command_that_records_a_host_key_can_be_pasted(
    daemon: harness.Daemon, make_server: MakeServer, folders: Iterator[pathlib.Path], named: bool
) -> None:
    """For a user who has no folder for it yet."""
    server = make_server()
    folder = next(folders)
    server.known_hosts = folder / "new" / "known_hosts"
    uri = server.uri(daemon)
    if not named:
        uri = uri.replace(f"&known_hosts={server.known_hosts}", "")

    def ping() -> tuple[int, str]:
        done = subprocess.run(
            [harness.GATE, "ping", uri],
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * harness.PATIENCE,
            env=harness.environment(folder),
        )
        return done.returncode, done.stdout

    code, text = ping()
    assert code == 1
    command = re.search(r"if it is the same: (mkdir -p \S+ && ssh-keyscan .*)$", text, re.MULTILINE)
    assert command, text
    subprocess.run(["sh", "-c", command[1]], check=True, capture_output=True, timeout=60)
    code, text = ping()
    assert code == 0, text


@pytest.mark.parametrize(("mark", "said"), [("", "has changed"), ("@revoked ", "is revoked by")])
def test_a_changed_or_revoked_host_key(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate, mark: str, said: str
) -> None:
    server = make_server()
    server.knows(server.host_key if mark else server.key, mark)
    text = refusal(make_gate(target(server.uri(daemon, "&known_hosts_verify=auto"))))
    assert said in text
    assert f"{server.known_hosts}:1" in text


def test_who_is_not_let_in(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server()
    nobody = refusal(make_gate(target(server.uri(daemon, user="nobody-of-that-name"))))
    assert "ssh login as nobody-of-that-name failed" in nobody
    assert "the server accepts publickey" in nobody
    wrong = sshd.make_key(server.folder / "wrong")
    text = refusal(make_gate(target(server.uri(daemon, key=wrong))))
    assert f"key {wrong}, ssh-ed25519 (refused by the server)" in text
    wrong.chmod(0o644)
    assert "mode 0644, needs 0600" in refusal(make_gate(target(server.uri(daemon, key=wrong))))


def test_a_server_that_never_speaks(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server.port = silent.getsockname()[1]
        text = refusal(make_gate(target(server.uri(daemon), login_timeout="1s")))
        assert "the server took the connection and said nothing within" in text


@pytest.mark.parametrize("server_speaks", [True, False])
@pytest.mark.parametrize("offset", [5, 300, 1100, 1400, 1700, 2100, 2500, 3500])
def test_a_flipped_bit_is_no_more_than_a_new_connection(
    daemon: harness.Daemon,
    make_server: MakeServer,
    make_gate: MakeGate,
    server_speaks: bool,
    offset: int,
) -> None:
    server = make_server()
    with contextlib.closing(Meddler(server.port, server_speaks)) as meddler:
        server.port = meddler.port
        server.knows(server.host_key)
        meddler.flips = offset
        gate = make_gate(target(server.uri(daemon)))
        with contextlib.suppress(raw.LibvirtError), raw.connect(gate.socket, "machines") as one:
            assert one.domain("machine1").startswith(raw.string("machine1"))
            while not meddler.flipped:
                assert one.version() > 0
        harness.wait_for("the gate to have connected again", lambda: opens_yet(gate))
        assert meddler.flipped == 1


def test_a_program_in_place_of_our_own_ssh(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server()
    server.program("virt-ssh-helper", NOT_THERE)
    server.program("nc", NETCAT)
    wrapper = server.folder / "ssh"
    wrapper.write_text(
        f'#!/bin/sh\necho "wrapped $#" >&2\n'
        f'exec ssh -F none -o UserKnownHostsFile={server.known_hosts} "$@"\n'
    )
    wrapper.chmod(0o755)
    gate = make_gate({"machines": server.uri(daemon, f"&command={wrapper}&no_tty=1")})
    assert opens(gate)
    gate.logged(f"{wrapper}: wrapped ")
    assert server.connections() >= 1


def test_a_user_that_the_uri_does_not_name_is_ours(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    server = make_server()
    uri = server.uri(daemon).replace(f"{sshd.USER}@", "")
    assert opens(make_gate({"machines": uri}))


def test_an_rsa_key_is_told_what_it_lacks(
    daemon: harness.Daemon, make_server: MakeServer, make_gate: MakeGate
) -> None:
    """Where libssh2 cannot sign with it as servers want it, which it can since 1.11."""
    server = make_server()
    key = sshd.make_key(server.folder / "rsa", "rsa")
    server.authorized.write_text(sshd.public(key))
    gate = make_gate(target(server.uri(daemon, key=key)))
    with raw.Client(gate.socket) as one:
        try:
            one.open("machines")
        except raw.LibvirtError as failure:
            assert "signs with RSA keys only by SHA-1" in failure.text
            assert str(key) in failure.text


def test_openssl_reads_its_configuration_before_anybody_is_served(
    daemon: harness.Daemon,
    make_server: MakeServer,
    folders: Iterator[pathlib.Path],
) -> None:
    """A file server that goes away later keeps nobody waiting at the first handshake."""
    server = make_server()
    folder = next(folders)
    configuration = folder / "openssl.cnf"
    configuration.write_text("")
    targets = {"machines": server.uri(daemon), "near": daemon.uri("unix")}
    gate = harness.Gate(folder, targets)
    gate.environment = {"OPENSSL_CONF": str(configuration)}
    try:
        gate.start()
        # Whoever opens a pipe waits until somebody writes to it.
        configuration.unlink()
        os.mkfifo(configuration)
        with busy.Crew(gate.socket, "near", 2) as crew:
            assert opens(gate)
            crew.progress(20)
    finally:
        gate.stop()
