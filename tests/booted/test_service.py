"""The units of the package under a systemd that has booted.

`run` beside this boots a Debian of its own for it, which these tests may change as they like.
"""

import contextlib
import grp
import json
import os
import pathlib
import shutil
import signal
import subprocess
from typing import Any, Callable, Iterator

import pytest

import busy
import harness
import raw
import sshd
import visitors

SOCKET = "/run/virtgate/virtgate-sock"
ETC = pathlib.Path("/etc/virtgate")
CONFIG = ETC / "virtgate.toml"
SERVICE = "virtgate.service"
PACKAGE = "virtgate.deb"
MEMBER, STRANGER = "booted-member", "booted-stranger"


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, capture_output=True, text=True, check=check, timeout=3 * harness.PATIENCE
    )


def shown(*properties: str, unit: str = SERVICE) -> tuple[str, ...]:
    lines = run("systemctl", "show", "-p", ",".join(properties), unit).stdout.splitlines()
    values = dict(line.split("=", 1) for line in lines)
    return tuple(values[name] for name in properties)


def main_pid() -> int:
    return int(shown("MainPID")[0])


def journal(event: str) -> list[dict[str, str]]:
    """What this start of the service said of such an event."""
    (invocation,) = shown("InvocationID")
    entries = run(
        *("journalctl", "--no-pager", "-o", "json", f"_SYSTEMD_INVOCATION_ID={invocation}"),
        f"VIRTGATE_EVENT={event}",
    )
    return [json.loads(line) for line in entries.stdout.splitlines()]


def version() -> int:
    with raw.connect(SOCKET, "hail") as client:
        return client.version()


@pytest.fixture(scope="session")
def folder() -> Iterator[pathlib.Path]:
    """Where the service sees it too, which /tmp is not."""
    path = pathlib.Path("/srv/booted")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def started(kind: Callable[[pathlib.Path], Any], place: pathlib.Path) -> Iterator[Any]:
    place.mkdir()
    one = kind(place)
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def daemon(folder: pathlib.Path) -> Iterator[harness.Daemon]:
    with started(harness.Daemon, folder / "daemon") as one:
        os.chmod(one.unix, 0o666)
        yield one


@pytest.fixture(scope="session")
def server(folder: pathlib.Path) -> Iterator[sshd.Server]:
    with started(sshd.Server, folder / "sshd") as one:
        yield one


@pytest.fixture(scope="session", autouse=True)
def package(daemon: harness.Daemon, server: sshd.Server) -> None:
    """Installed, and given its targets; the key is one that only systemd may read."""
    run("dpkg", "--purge", "virtgate")
    run("dpkg", "-i", PACKAGE)
    assert shown("ActiveState", unit="virtgate.socket") == ("active",)
    key = ETC / "keys" / "sleet"
    shutil.copy(server.key, key)
    key.chmod(0o600)
    shutil.copy(server.known_hosts, ETC / "known_hosts")
    (ETC / "known_hosts").chmod(0o644)
    there = "keyfile=/run/credentials/virtgate.service/sleet"
    there += f"&known_hosts={ETC}/known_hosts&socket={daemon.unix}"
    CONFIG.write_text(
        f'[[listen]]\npath = "{SOCKET}"\n'
        '[[listen]]\npath = "/run/virtgate/%t"\n'
        f'[targets]\nhail = "{daemon.uri("unix")}"\n'
        f'sleet = "test+ssh://root@127.0.0.1:{server.port}{daemon.file}?{there}"\n'
    )
    for user, more in ((MEMBER, ("--groups", "virtgate")), (STRANGER, ())):
        run("userdel", user, check=False)
        run("useradd", *more, user)
    drop_in("credential", f"LoadCredential=sleet:{key}")
    run("systemctl", "restart", SERVICE)


def drop_in(name: str, *lines: str) -> pathlib.Path:
    path = pathlib.Path(f"/run/systemd/system/{SERVICE}.d/{name}.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["[Service]", *lines]) + "\n")
    run("systemctl", "daemon-reload")
    return path


@contextlib.contextmanager
def rewritten(old: str, new: str) -> Iterator[None]:
    before = CONFIG.read_text()
    assert old in before
    CONFIG.write_text(before.replace(old, new))
    try:
        yield
    finally:
        CONFIG.write_text(before)


def virsh(user: str, daemon: harness.Daemon) -> subprocess.CompletedProcess:
    return run(
        *("setpriv", "--reuid", user, "--regid", user, "--init-groups", "env", "HOME=/"),
        *("virsh", "-c", f"test+unix://{daemon.file}?socket={SOCKET}", "list", "--name", "--all"),
        check=False,
    )


def test_it_is_ready_when_it_says_so() -> None:
    assert shown("Type", "ActiveState", "SubState", "NRestarts") == (
        *("notify", "active", "running", "0"),
    )
    assert version() > 0
    (record,) = journal("confined")
    # Whether the kernel has Landlock is not the unit's business, but it must not be what forbids it.
    lacking = ("Function not implemented", "Operation not supported")
    assert record["VIRTGATE_FILES"].startswith(
        ("as configured", *(f"all: no Landlock: {reason}" for reason in lacking))
    )
    assert record["VIRTGATE_SYSTEM_CALLS"] == "those that are used (seccomp)"


def test_status_finds_it() -> None:
    told = json.loads(run("virtgate", "status", "--json").stdout)
    assert told["pid"] == main_pid()
    assert {target["name"] for target in told["targets"]} == {"hail", "sleet"}


def test_whose_group_it_is_may_connect(daemon: harness.Daemon) -> None:
    assert "machine1\n" in virsh(MEMBER, daemon).stdout
    refused = virsh(STRANGER, daemon)
    assert refused.returncode == 1 and "Permission denied" in refused.stderr


def test_the_first_client_starts_it() -> None:
    run("systemctl", "stop", SERVICE)
    assert shown("ActiveState", "Result") == ("inactive", "success")
    assert version() > 0
    assert shown("ActiveState") == ("active",)


def test_a_key_that_only_systemd_may_read_opens_ssh(server: sshd.Server) -> None:
    user = shown("User")[0]
    reads = ("setpriv", "--reuid", user, "--clear-groups", "cat", str(server.key))
    assert run(*reads, check=False).returncode == 1
    before = server.connections()
    with raw.connect(SOCKET, "sleet") as client:
        assert client.version() > 0
    assert server.connections() == before + 1


def test_the_journal_has_fields() -> None:
    with raw.connect(SOCKET, "hail") as client:
        client.version()
        with pytest.raises(raw.LibvirtError):
            client.call(raw.DOMAIN_DESTROY, raw.string("machine1") + bytes(20))
    last = harness.wait_for("the refusal", lambda: journal("refused"))[-1]
    assert last["VIRTGATE_UID"] == str(os.getuid())
    assert last["VIRTGATE_TARGET"] == "hail"
    assert "DOMAIN_DESTROY" in last["VIRTGATE_PROCEDURE"]
    assert last["_SYSTEMD_UNIT"] == SERVICE and last["SYSLOG_IDENTIFIER"] == "virtgate"


def test_a_reload_disturbs_nobody(daemon: harness.Daemon) -> None:
    pid = main_pid()
    with busy.Crew(SOCKET, "hail", 4) as crew:
        with rewritten("[targets]\n", f'[targets]\nsnow = "{daemon.uri("unix", "/default")}"\n'):
            run("systemctl", "reload", SERVICE)
            harness.wait_for("the reload", lambda: journal("reloaded"))
            with raw.connect(SOCKET, "snow") as client:
                assert client.version() > 0
        with rewritten("[targets]\n", "[targets]\nsnow = 7\n"):
            assert run("systemctl", "reload", SERVICE, check=False).returncode != 0
            failed = harness.wait_for("its failure", lambda: journal("reload-failed"))
            assert f"{CONFIG}:" in failed[-1]["VIRTGATE_REASON"]
            assert "; reload failed: " in shown("StatusText")[0]
        run("systemctl", "reload", SERVICE)
        assert shown("StatusText")[0].startswith("targets: ")
        crew.progress(200)
    assert shown("ActiveState", "SubState") == ("active", "running")
    assert main_pid() == pid


def test_restarts_turn_nobody_away() -> None:
    with visitors.nobody_lost(SOCKET, "hail") as crowd:
        for _ in range(4):
            crowd.progress(5)
            run("systemctl", "restart", SERVICE)
        crowd.progress(5)


def test_an_upgrade_turns_nobody_away() -> None:
    pid = main_pid()
    with visitors.nobody_lost(SOCKET, "hail") as crowd:
        crowd.progress(5)
        run("dpkg", "--force-confold", "-i", PACKAGE)
        assert main_pid() != pid
        crowd.progress(5)


def test_a_stop_tells_idle_clients(daemon: harness.Daemon) -> None:
    with raw.connect(SOCKET, "hail") as idle:
        run("systemctl", "stop", SERVICE)
        assert shown("Result", "ExecMainStatus") == ("success", "0")
        with pytest.raises(raw.Closed):
            while True:
                idle.receive()
    assert version() > 0


def test_one_that_hangs_is_started_again() -> None:
    quick = drop_in("quick", "WatchdogSec=2s")
    try:
        run("systemctl", "restart", SERVICE)
        pid = main_pid()
        os.kill(pid, signal.SIGSTOP)
        harness.wait_for("another", lambda: shown("NRestarts") == ("1",) and main_pid() not in (0, pid))
        assert version() > 0
    finally:
        quick.unlink()
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", SERVICE)


def test_a_target_gets_a_socket_of_its_own() -> None:
    run("groupadd", "--force", "hailstones")
    extra = pathlib.Path("/run/systemd/system/virtgate@hail.socket.d/group.conf")
    extra.parent.mkdir(parents=True, exist_ok=True)
    extra.write_text("[Socket]\nSocketGroup=hailstones\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "virtgate@hail.socket")
    run("systemctl", "restart", SERVICE)
    assert os.stat("/run/virtgate/hail").st_gid == grp.getgrnam("hailstones").gr_gid
    with raw.connect("/run/virtgate/hail", None) as client:
        assert client.version() > 0
    assert "hail" in [record.get("VIRTGATE_PASSED_AS") for record in journal("listen")]


def test_a_mistake_at_start_is_told_to_clients_and_mended_by_a_reload() -> None:
    with rewritten("[targets]\n", "[targets]\nsnow = 7\n"):
        run("systemctl", "restart", SERVICE)
        assert shown("ActiveState") == ("active",)
        assert "this gate is not configured" in shown("StatusText")[0]
        with raw.Client(SOCKET) as client, pytest.raises(raw.LibvirtError, match="not configured"):
            client.open("hail")
    run("systemctl", "reload", SERVICE)
    harness.wait_for(
        "another", lambda: shown("ActiveState", "StatusText")[1].startswith("targets: ")
    )
    assert version() > 0


def test_a_socket_that_nobody_serves_stops_nothing() -> None:
    run("systemctl", "enable", "virtgate@nowhere.socket")
    try:
        run("systemctl", "restart", SERVICE)
        assert version() > 0
        assert "virtgate@nowhere.socket" in shown("StatusText")[0]
        with raw.Client("/run/virtgate/nowhere") as client, pytest.raises(raw.LibvirtError):
            client.open("hail")
    finally:
        run("systemctl", "disable", "--now", "virtgate@nowhere.socket")
        run("systemctl", "restart", SERVICE)


def test_it_goes_without_a_trace() -> None:
    assert shown("ActiveState", unit="virtgate@hail.socket") == ("active",)
    run("dpkg", "--purge", "virtgate")
    assert shown("ActiveState", unit="virtgate@hail.socket") == ("inactive",)
    assert not list(pathlib.Path("/etc/systemd/system").rglob("virtgate*"))
    # What is not the package's stays.
    assert sorted(path.name for path in ETC.rglob("*")) == ["keys", "known_hosts", "sleet"]
    shutil.rmtree(ETC)
    assert not os.path.exists("/run/virtgate")
    assert shown("LoadState") == ("not-found",)
