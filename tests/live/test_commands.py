"""`virtgate resolve`, `ping` and `aliases`, beside what virsh does with the same input."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
from typing import Any, Callable, Iterator

import pytest

import harness

KEYS = (
    "input source alias uri driver transport user host port path socket command name parameters "
    "notes"
)
NOBODY = 65534
ALIASES = """\
uri_aliases = [ "hail=qemu+tcp://localhost/al", "A-b_9=qemu:///system", "loop=hail", "empty=", ]
"""


def run(
    *arguments: str, env: dict[str, str] | None = None, folder: pathlib.Path | None = None
) -> subprocess.CompletedProcess[str]:
    if env is None:
        assert folder is not None
        env = harness.environment(folder)
    done = subprocess.run(
        [harness.GATE, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE * 3,
    )
    trouble = harness.TROUBLE.search(done.stderr)
    assert not trouble, done.stderr
    return done


@pytest.fixture
def folder(folders: Iterator[pathlib.Path]) -> pathlib.Path:
    return next(folders)


def test_resolve_prints_json_with_all_its_keys(folder: pathlib.Path) -> None:
    done = run("resolve", "--json", "qemu+ssh://u@h:22/system?x=1", folder=folder)
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert list(answer) == KEYS.split()
    assert (answer["driver"], answer["transport"], answer["port"]) == ("qemu", "ssh", 22)


def test_resolve_says_why_it_cannot(folder: pathlib.Path) -> None:
    done = run("resolve", "--json", "nope", folder=folder)
    assert done.returncode == 1
    assert list(json.loads(done.stdout)) == [*KEYS.split(), "error"]
    done = run("resolve", "nope", folder=folder)
    assert done.returncode == 1
    assert "It fails: " in done.stdout


def test_using_it_wrongly(folder: pathlib.Path) -> None:
    for arguments in (["resolve", "a", "b"], ["ping", "-n", "0"], ["aliases", "x"], ["nope"], []):
        assert run(*arguments, folder=folder).returncode == 2
    for command in ("resolve", "ping", "aliases", "serve"):
        done = run(command, "--help", folder=folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Usage: virtgate {command}" in done.stdout


def test_resolve_says_what_a_gate_makes_of_it(folder: pathlib.Path) -> None:
    config = folder / "virtgate.toml"
    config.write_text(
        '[[listen]]\npath = "/run/gate"\n[targets]\nhail = "qemu+ssh://hail.example.com/system"\n'
    )
    done = run("resolve", "--json", "--config", str(config), "hail", folder=folder)
    answer = json.loads(done.stdout)
    assert (answer["source"], answer["input"]) == ("target", "hail")
    assert answer["uri"] == "qemu+ssh://hail.example.com/system"
    done = run("resolve", "--config", str(config), "qemu:///system", folder=folder)
    assert 'on "/run/gate" takes "hail"' in done.stdout
    done = run("resolve", "--config", str(config), "xen:///system", folder=folder)
    assert 'on "/run/gate" refuses' in done.stdout
    assert done.returncode == 0
    config.write_text("nonsense = 1\n")
    done = run("resolve", "--config", str(config), "hail", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "virtgate.toml:1" in done.stderr


# What virsh does with an input is the truth; `resolve` has to say the same. Each case is a URI (or
# none), and what else there is: read_only, uid, env, conf, sockets.
BOTH = ["S:libvirt-sock", "S:libvirt-sock-ro", "S:virtqemud-sock", "S:virtqemud-sock-ro"]
CASES: list[dict[str, Any]] = [
    {"uri": "qemu:///system"},
    {"uri": "qemu:///system", "read_only": True},
    {"uri": "qemu:///session"},
    {"uri": "qemu:///system", "sockets": BOTH, "read_only": True},
    {"uri": "qemu:///system?mode=legacy", "sockets": BOTH},
    {"uri": "qemu:///system?mode=direct"},
    {"uri": "qemu:///system?mode=bogus"},
    {"uri": "qemu:///system", "sockets": BOTH, "conf": 'remote_mode = "legacy"\n'},
    {"uri": "qemu:///system", "conf": 'remote_mode = "bogus"\n'},
    {"uri": "qemu:///system", "conf": "this is not valid\n"},
    {"uri": "qemu:///system?socket=/nosuch&SOCKET=/run/t/my%20sock"},
    {"uri": "qemu+unix://host/system"},
    {"uri": "qemu:system?foo=a;b&c"},
    {"uri": "qemu://system"},
    {"uri": "qemu"},
    {"uri": "XEN"},
    {"uri": "test:///default"},
    {"uri": "esx:///"},
    {"uri": "nosuchdrv:///x"},
    {"uri": "remote+unix:///?name=qemu:///system"},
    {"uri": "qemu+unix:///system?socket=/run/t/custom.sock&name=host%20A%2Fx"},
    {"uri": "QEMU+TCP://localhost/sys%74em?foo=a%20b%26c&no_tty=1#frag"},
    {"uri": "qemu+tcp://[::1]:5000/a%20b?x=a+b&y"},
    {"uri": "qemu+tcp://localhost/system?a=1;b=2&c=3"},
    {"uri": "qemu+tcp://localhost/system?no_verify=0x1"},
    {"uri": "qemu+tcp://localhost:x/system"},
    {"uri": "qemu+tcp://localhost/embed"},
    {"uri": "qemu+foo://localhost/system"},
    {"uri": "qemu+ssh://u%40dom@h:2222/system?x=a%27b&keyfile=/k%20f", "read_only": True},
    {"uri": "remote+ssh://h/?no_verify=1&no_tty=1"},
    {"uri": "qemu+ssh://[::1]/system?netcat=/opt/n%20c"},
    {"uri": "qemu+ssh://-oProxyCommand=x/a!b"},
    {"uri": "qemu+ssh://h/system?socket=/s/p%20q';id;'"},
    {"uri": "qemu+ssh://h/system?socket=/x&proxy=auto"},
    {"uri": "qemu+ssh://h/system", "conf": 'remote_proxy = "native"\n'},
    {"uri": "qemu+ssh://h/system?netcat=nc&proxy=native"},
    {"uri": "qemu+ssh://h/system?mode=direct"},
    {"uri": "qemu+ssh://h/system?command=way"},
    {"uri": "qemu+ext:///system?command=/run/t/bin/way"},
    {"uri": "qemu+ext://host/system"},
    {"uri": "qemu+ext://host/system?command=nosuch%20program"},
    {"uri": None},
    {"uri": ""},
    {"uri": None, "env": {"LIBVIRT_DEFAULT_URI": "qemu+tcp://localhost/env"}},
    {
        "uri": None,
        "env": {
            "VIRSH_DEFAULT_CONNECT_URI": "qemu+tcp://localhost/vdc",
            "LIBVIRT_DEFAULT_URI": "qemu+tcp://localhost/env",
        },
    },
    {"uri": "", "env": {"VIRSH_DEFAULT_CONNECT_URI": "qemu+tcp://localhost/vdc"}},
    {"uri": None, "conf": 'uri_default = "hail"\n' + ALIASES},
    {"uri": None, "conf": 'uri_default = ""\n'},
    {"uri": "hail", "conf": ALIASES},
    {"uri": "HAIL", "conf": ALIASES},
    {"uri": "loop", "conf": ALIASES},
    {"uri": "empty", "conf": ALIASES},
    {"uri": "xen", "conf": 'uri_aliases = [ "xen=qemu+tcp://localhost/x" ]\n'},
    {"uri": "xen", "conf": 'uri_aliases = [ "a.b=qemu:///x" ]\n'},
    {"uri": "hail", "conf": 'uri_aliases = [\n  # comment\n  "hail=qemu+tcp://localhost/al" ]\n'},
]
USER_CASES: list[dict[str, Any]] = [
    {"uri": "qemu:///session", "sockets": ["U:libvirt-sock"]},
    {"uri": "qemu:///session?x=1", "sockets": ["U:libvirt-sock", "U:virtqemud-sock"]},
    {"uri": "qemu:///Session"},
    {"uri": None, "sockets": ["U:libvirt-sock"]},
    {"uri": "qemu:///session", "sockets": [], "env": {"LIBVIRT_AUTOSTART": "0"}},
    {
        "uri": "qemu:///session",
        "sockets": [],
        "env": {"LIBVIRT_AUTOSTART": "0", "XDG_RUNTIME_DIR": "", "XDG_CACHE_HOME": "/run/t/cache"},
    },
    {"uri": "qemu+tcp://localhost/session", "read_only": True},
    {"uri": "qemu+ssh://h/session", "read_only": True},
    {"uri": "qemu+ssh://h/session?proxy=netcat"},
    {"uri": "qemu+ssh://h/session?netcat=nc"},
    {"uri": "hail", "conf": ALIASES},
]
if os.geteuid() == 0:
    CASES += [one | {"uid": NOBODY} for one in USER_CASES]


@pytest.fixture(scope="module")
def seen() -> list[dict[str, Any]]:
    """All cases in one go, on a host made for them."""
    unshare = ["unshare", "--mount", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    scene = pathlib.Path(__file__).with_name("uri_scene.py")
    done = subprocess.run(
        [*unshare, sys.executable, "-B", str(scene), harness.GATE],
        input=json.dumps(CASES),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("number", range(len(CASES)), ids=[str(one["uri"]) for one in CASES])
def test_resolve_says_what_virsh_does(number: int, seen: list[dict[str, Any]]) -> None:
    virsh, ours = seen[number]["virsh"], seen[number]["resolve"]
    answer = json.loads(ours["json"])
    if virsh["code"] != 0:
        refuses = ours["code"] == 1 and "error" in answer
        assert refuses or not socket_is_there(answer), (virsh, answer)
        return
    assert ours["code"] == 0, (virsh, answer)
    assert "error" not in answer
    assert (answer["uri"] or "fake:///probed") == virsh["uri"]
    assert answer["name"] == virsh.get("name")
    flags = re.search(r"^  flags sent (\d+)", ours["text"], re.MULTILINE)
    assert (int(flags[1]) if flags else None) == virsh.get("flags")
    assert endpoint_of(answer) == virsh.get("endpoint")
    assert spawned_by(answer) == virsh["spawned"]


def socket_is_there(answer: dict[str, Any]) -> bool:
    taken = answer["socket"]
    return bool(taken) and any(
        one["exists"] for one in taken["candidates"] if one["path"] == taken["path"]
    )


def endpoint_of(answer: dict[str, Any]) -> str | None:
    if answer["command"]:
        return "tunnel"
    if answer["transport"] == "unix":
        path: str = answer["socket"]["path"]
        return "unix:" + re.sub("^/var/run/", "/run/", path)
    if answer["transport"] == "tcp":
        host = {"localhost": "127.0.0.1"}.get(answer["host"], answer["host"])
        return f"tcp:{host}:{answer['port']}"
    return None


def spawned_by(answer: dict[str, Any]) -> list[str] | None:
    command: list[str] | None = answer["command"]
    return [os.path.basename(command[0]), *command[1:]] if command else None


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_ping(kind: str, daemon: harness.Daemon, folder: pathlib.Path) -> None:
    done = run("ping", daemon.uri(kind), "-n", "5", "--json", folder=folder)
    assert done.returncode == 0, done.stdout
    answer = json.loads(done.stdout)
    stages = [one["stage"] for one in answer["stages"]]
    assert stages[-4:] == ["connect", "authentication", "open", "call"]
    assert all(one["ms"] >= 0 for one in answer["stages"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", answer["version"])
    assert answer["host"] == socket.gethostname()
    assert answer["remote_uri"] == daemon.name
    calls = answer["calls"]
    assert calls["count"] == 5
    assert 0 < calls["min"] <= calls["avg"] <= calls["max"]


def test_ping_in_words(daemon: harness.Daemon, folder: pathlib.Path) -> None:
    done = run("ping", daemon.uri("tcp"), "-n", "3", folder=folder)
    assert done.returncode == 0
    assert re.search(r"^  authentication +\d+\.\d{3} ms$", done.stdout, re.MULTILINE)
    assert re.search(r"^libvirt \d+\.\d+\.\d+ on host ", done.stdout, re.MULTILINE)
    assert re.search(r"^3 calls: min .* avg .* max .* ms$", done.stdout, re.MULTILINE)


def test_ping_of_a_target_and_through_a_gate(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate], folder: pathlib.Path
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    done = run("ping", "machines", "--config", str(gate.config), "--json", folder=folder)
    assert done.returncode == 0
    assert json.loads(done.stdout)["target"] == "machines"
    done = run("ping", gate.uri("/default") + "&name=machines", "--json", folder=folder)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["version"]
    done = run("ping", "nobody", "--config", str(gate.config), folder=folder)
    assert done.returncode == 1
    assert "no target has this name" in done.stderr


def failure_of(folder: pathlib.Path, *arguments: str) -> dict[str, Any]:
    done = run("ping", "--json", *arguments, folder=folder)
    assert done.returncode == 1, done.stdout
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return error


def test_ping_where_nothing_listens(folder: pathlib.Path) -> None:
    error = failure_of(folder, f"qemu+tcp://127.0.0.1:{harness.free_port()}/system")
    assert (error["stage"], error["kind"]) == ("connect", "system")
    assert "Connection refused" in error["reason"]
    assert "does the daemon listen there" in error["hints"][0]


def test_ping_of_a_socket_that_is_not_there(folder: pathlib.Path) -> None:
    error = failure_of(folder, f"qemu+unix:///system?socket={folder}/nosuch")
    assert error["stage"] == "connect"
    assert "No such file or directory" in error["reason"]
    assert "systemctl status" in error["hints"][0]
    done = run("ping", f"qemu+unix:///system?socket={folder}/nosuch", folder=folder)
    assert done.returncode == 1
    assert "failed in stage connect: " in done.stdout
    assert "\n  try: does the daemon run?" in done.stdout


def test_ping_of_a_server_that_says_nothing(folder: pathlib.Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        config = folder / "virtgate.toml"
        uri = f"qemu+tcp://127.0.0.1:{port}/system"
        config.write_text(f'[[listen]]\npath = "/run/gate"\n[targets]\nsilent = {{ uri = "{uri}", open_timeout = "1s" }}\n')
        error = failure_of(folder, "silent", "--config", str(config))
    assert (error["stage"], error["kind"]) == ("authentication", "timeout")
    assert "another service" in error["hints"][0]


def test_ping_of_a_driver_that_is_not_there(
    daemon: harness.Daemon, folder: pathlib.Path
) -> None:
    error = failure_of(folder, f"nosuch+unix:///x?socket={daemon.unix}")
    assert (error["stage"], error["kind"]) == ("open", "refused")
    assert "the daemon says: " in error["reason"]


def test_ping_does_not_take_what_is_not_protected(folder: pathlib.Path) -> None:
    done = run("ping", "qemu+tcp://192.0.2.1/system", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--insecure" in done.stderr


def test_ping_of_a_driver_inside_the_client(folder: pathlib.Path) -> None:
    done = run("ping", "test:///default", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no daemon to ask" in done.stderr


# A client of root's reads /etc/libvirt, whatever the environment says.
PRIVATE_CONFIG = 'mount --bind "$1" /etc/libvirt && shift && exec "$@"'


def virsh_as(user: str, folder: pathlib.Path, *arguments: str) -> str:
    command = ["virsh", *arguments]
    env = harness.environment(folder) | {"XDG_CONFIG_HOME": str(folder / "config")}
    if user == "root":
        own = str(folder / "config/libvirt")
        command = ["unshare", "--mount", "sh", "-c", PRIVATE_CONFIG, "sh", own, *command]
    elif os.geteuid() == 0:
        env |= {name: str(folder / "config") for name in ("HOME", "XDG_CACHE_HOME")}
        ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        command = ["setpriv", *ids, *command]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=harness.PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("user", ["root", "user"] if os.geteuid() == 0 else ["user"])
def test_aliases_lead_virsh_to_the_targets(
    user: str,
    daemon: harness.Daemon,
    make_gate: Callable[..., harness.Gate],
    folder: pathlib.Path,
) -> None:
    default = daemon.uri("unix", "/default")
    gate = make_gate({"hail": daemon.uri("unix"), "sleet_2": default, '"web.1"': default})
    done = run("aliases", "--config", str(gate.config), folder=folder)
    assert done.returncode == 0
    assert '# "web.1" is left out' in done.stdout
    conf = folder / "config/libvirt/libvirt.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(done.stdout)
    (folder / "config").chmod(0o777)
    assert "machine1\n" in virsh_as(user, folder, "-c", "hail", "list", "--name")
    assert virsh_as(user, folder, "-c", "sleet_2", "list", "--name").split() == ["test"]
    assert gate.socket in virsh_as(user, folder, "-c", "hail", "uri")


def test_aliases_for_another_socket(folder: pathlib.Path) -> None:
    config = folder / "virtgate.toml"
    config.write_text(
        '[[listen]]\npath = "/run/gate"\n[targets]\nhail = "qemu+ssh://hail.example.com/system"\n'
    )
    done = run("aliases", "--config", str(config), "--socket", "/srv/gate sock", folder=folder)
    assert done.stdout == (
        "uri_aliases = [\n"
        '  "hail=qemu+unix:///system?socket=/srv/gate%20sock&name=hail",\n'
        "]\n"
    )
    done = run("aliases", "--config", str(config), "--socket", "relative", folder=folder)
    assert done.returncode == 2
