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


@pytest.mark.parametrize(
    "words, told",
    [
        (["statsu"], 'unknown command "statsu"; did you mean "status"?'),
        (["-v", "chekc"], 'unknown command "chekc"'),
        (["frobnicate"], 'unknown command "frobnicate"; `virtgate help` lists them'),
        (["policy", "exlain"], 'unknown command "exlain"; did you mean "explain"?'),
    ],
)
def test_an_unknown_command_is_named(folder: pathlib.Path, words: list[str], told: str) -> None:
    done = run(*words, folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"virtgate: {told}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no command is given; `virtgate help` lists them"),
        (["serve", "--chek"], "unknown argument --chek"),
        (["resolve", "a", "b"], "unknown argument b"),
        (["policy", "explain", "--flags", "x", "a", "b"], "--flags = x is not a valid value"),
        (["ping", "--count", "x", "a"], "--count: Value x not in range 1 to 100000; see --help"),
    ],
)
def test_what_is_wrong_with_arguments_is_told(
    folder: pathlib.Path, words: list[str], told: str
) -> None:
    done = run(*words, folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"virtgate: {told}")


def test_ping_doubts_a_misspelt_parameter(folder: pathlib.Path) -> None:
    done = run("ping", "test+ssh://root@127.0.0.1:1/default?keyfil=/k", folder=folder)
    assert 'did you mean "keyfile"?' in done.stderr


def test_help_is_a_command_too(folder: pathlib.Path) -> None:
    for words in ([], ["ping"], ["policy", "explain"]):
        done = run("help", *words, folder=folder)
        assert done.returncode == 0
        assert done.stdout == run(*words, "--help", folder=folder).stdout
    assert run("-V", folder=folder).stdout == run("--version", folder=folder).stdout


def test_a_password_in_a_uri_is_not_shown(folder: pathlib.Path) -> None:
    uri = "qemu+ssh://monitor:s3cret@127.0.0.1:1/system"
    for words in (["resolve"], ["resolve", "--json"], ["ping"], ["bridge"]):
        done = run(*words, uri, folder=folder)
        assert "s3cret" not in done.stdout + done.stderr
        assert "monitor:***@" in done.stdout or "password" in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "qemu+ssh://monitor:s3cret@127.0.0.1/system",
        "qemu+ssh://monitor:s3cret@other.example.com/system",
        "qemu+ext://monitor:s3cret@/system?command=/bin/true",
    ],
)
def test_a_password_in_a_target_is_not_repeated_by_policy(
    folder: pathlib.Path, name: str
) -> None:
    config = folder / "virtgate.toml"
    opens = '[policy]\nopen_uris = ["qemu+ssh://*@other.example.com/system"]\n'
    config.write_text(f"{CONFIG}{opens}")
    known = ["--config", str(config), "--user", "0", "--target", name]
    for words in (["explain", *known, "NODE_GET_INFO"], ["show", *known], ["list", *known]):
        done = run("policy", *words, folder=folder)
        assert done.returncode == 2, done
        assert "s3cret" not in done.stdout + done.stderr
        assert "***" in done.stderr


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
    assert 'socket "/run/gate", "qemu:///system" means "hail"' in done.stdout
    done = run("resolve", "--config", str(config), "xen:///system", folder=folder)
    assert 'socket "/run/gate", "xen:///system" is refused: ' in done.stdout
    assert done.returncode == 0
    done = run("resolve", "--config", str(config), "qemu+unix:///system?socket=/x", folder=folder)
    assert '"/x" is none of the gate\'s sockets' in done.stdout
    assert "/run/gate" not in done.stdout
    config.write_text("nonsense = 1\n")
    done = run("resolve", "--config", str(config), "hail", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "virtgate.toml:1" in done.stderr


@pytest.mark.parametrize(
    "uri, told",
    [
        ("qemu:///system", '"qemu:///system" means the target that the socket is for'),
        ("xen:///system", '"xen:///system" is refused: no target has the URI "xen:///system"'),
        ("qemu:///t7", '"qemu:///t7" means the target that the socket is for'),
    ],
)
def test_resolve_says_the_same_of_many_sockets_once(
    folder: pathlib.Path, uri: str, told: str
) -> None:
    config = folder / "virtgate.toml"
    targets = "".join(f't{i} = "qemu+ssh://h{i}.example.com/system"\n' for i in range(60))
    config.write_text(f'[[listen]]\npath = "/run/gate/%t"\n[targets]\n{targets}')
    done = run("resolve", "--config", str(config), uri, folder=folder)
    about = [line for line in done.stdout.splitlines() if "/run/gate/" in line]
    assert len(about) == 1, done.stdout
    assert 'on the gate\'s sockets "/run/gate/t0", "/run/gate/t1", "/run/gate/t2" and 57 more, ' in about[0]
    assert told in about[0]
    assert "socket is for target t" not in about[0]


@pytest.mark.parametrize(
    "uri, told",
    [
        ("quemu:///sytem", 'libvirt has no driver "quemu"; did you mean "qemu"?'),
        ("qemu:///sytem", 'does not open the path "/sytem"; did you mean "/system"?'),
        ("qemu+ssh://h/sytem", 'does not open the path "/sytem"; did you mean "/system"?'),
    ],
)
def test_resolve_fails_for_what_no_daemon_opens(
    folder: pathlib.Path, uri: str, told: str
) -> None:
    for options in ([], ["--json"]):
        done = run("resolve", *options, uri, folder=folder)
        assert done.returncode == 1, done.stdout
        assert told in done.stdout.replace('\\"', '"')


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
    scene = pathlib.Path(__file__).with_name("support") / "uri_scene.py"
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
    # The daemon of this scene opens whatever it is asked for.
    assert ours["code"] == (1 if no_daemon_opens(answer) else 0), (virsh, answer)
    assert "error" not in answer
    assert (answer["uri"] or "fake:///probed") == virsh["uri"]
    assert answer["name"] == virsh.get("name")
    flags = re.search(r"^  flags sent (\d+)", ours["text"], re.MULTILINE)
    assert (int(flags[1]) if flags else None) == virsh.get("flags")
    assert endpoint_of(answer) == virsh.get("endpoint")
    assert spawned_by(answer) == virsh["spawned"]


def no_daemon_opens(answer: dict[str, Any]) -> bool:
    return any(re.match(r"libvirt has no driver|the driver \S+ (does not open|needs a)", note) for note in answer["notes"])


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
    assert 'there is no target "nobody"; targets are machines' in done.stderr


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
    assert "failed to connect: " in done.stdout
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


CONFIG = """\
[[listen]]
path = "/run/gate"
[targets]
hail = "test+tcp://127.0.0.1:1/default"
sleet = "test+tcp://127.0.0.1:1/default"
"""


@pytest.fixture(name="config")
def fixture_config(folder: pathlib.Path) -> str:
    path = folder / "virtgate.toml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize("command", ["ping", "bridge"])
def test_a_target_that_is_misspelt(folder: pathlib.Path, config: str, command: str) -> None:
    done = run(command, "--config", config, "hial", folder=folder)
    assert done.returncode == 1
    assert 'there is no target "hial"; did you mean "hail"?' in done.stderr
    done = run(command, "--config", config, "frobnicate", folder=folder)
    assert 'there is no target "frobnicate"; targets are hail, sleet' in done.stderr


def explain(folder: pathlib.Path, config: str, *words: str) -> tuple[int, str]:
    known = ["--config", config, "--user", "0", "--target", "hail"]
    done = run("policy", "explain", *known, *words, folder=folder)
    return done.returncode, done.stdout + done.stderr


def test_policy_takes_names_in_any_case(folder: pathlib.Path, config: str) -> None:
    same = [explain(folder, config, name) for name in ("DOMAIN_GET_XML_DESC", "domain_get_xml_desc")]
    assert same[0] == same[1] and same[0][0] == 0
    status, said = explain(folder, config, "domain_get_xml")
    assert status == 2
    assert 'there is no procedure "domain_get_xml"; did you mean "DOMAIN_GET_XML_DESC"?' in said
    status, said = explain(folder, config, "domain_destory")
    assert (status, 'did you mean "DOMAIN_DESTROY"?' in said) == (2, True)
    listed = run("policy", "list", "domain_get_xml_*", folder=folder)
    assert listed.returncode == 0
    assert listed.stdout.count("\n") == 1 and "DOMAIN_GET_XML_DESC" in listed.stdout
    listed = run("policy", "list", "--json", "Domain_Get_Xml_Desc", folder=folder)
    assert [one["name"] for one in json.loads(listed.stdout)] == ["DOMAIN_GET_XML_DESC"]
    assert run("policy", "list", "nope", folder=folder).returncode == 1


RULES = """\
[[policy.rule]]
users = ["61011"]
targets = ["hail"]
allow = ["*"]
deny = ["DOMAIN_GET_XML_DESC"]
calls_per_second = 200
[[policy.rule]]
groups = ["61012"]
targets = ["*"]
allow = ["CONNECT_*"]
"""


@pytest.fixture(name="ruled")
def fixture_ruled(config: str) -> str:
    pathlib.Path(config).write_text(CONFIG + RULES)
    return config


def test_policy_says_what_a_user_may_do(folder: pathlib.Path, ruled: str) -> None:
    show = ["policy", "show", "--config", ruled]
    done = run(*show, "--user", "61011", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "user 61011"
    assert lines[1].startswith("hail: ") and f"by rule 1 ({ruled} line 6)" in lines[1]
    assert '  allow "*"; deny "DOMAIN_GET_XML_DESC"' in lines
    assert "  not DOMAIN_GET_XML_DESC" in lines
    assert "  of each user: calls_per_second = 200" in lines
    assert lines[-1] == "sleet: nothing, because no rule lets them"
    done = run(*show, "--user", "61011", "--group", "61012", "--target", "sleet", folder=folder)
    assert f"by rule 2 ({ruled} line 12)" in done.stdout and "hail" not in done.stdout
    done = run(*show, "--user", "61013", "--json", folder=folder)
    assert done.returncode == 1
    assert [one["sees"] for one in json.loads(done.stdout)["targets"]] == [False, False]
    done = run(*show, "--user", "0", "--target", "hial", folder=folder)
    assert done.returncode == 2 and 'did you mean "hail"?' in done.stderr
    done = run(*show, "--user", "nobodyy", folder=folder)
    assert done.returncode == 2 and 'there is no user "nobodyy"; did you mean "nobody"?' in done.stderr


def test_policy_says_of_each_call_what_explain_does(folder: pathlib.Path, ruled: str) -> None:
    who = ["--config", ruled, "--user", "61011", "--group", "61012"]
    shown = json.loads(run("policy", "show", *who, "--json", folder=folder).stdout)
    for target in shown["targets"]:
        of_target = [*who, "--target", target["target"]]
        listed = json.loads(run("policy", "list", *of_target, "--json", folder=folder).stdout)
        refused = [one["name"] for one in listed if one["verdict"] == "refused by a rule"]
        assert set(target["refused"]) <= set(refused)
        passing = [one for one in listed if one["verdict"] in ("passes", "depends on its arguments")]
        assert len(passing) == target["calls"]
        for name in ("DOMAIN_GET_XML_DESC", "CONNECT_GET_VERSION", "NODE_GET_INFO"):
            done = run("policy", "explain", *of_target, name, folder=folder)
            assert (done.returncode == 1) == (name in refused), (name, done.stdout)


def test_policy_prints_who_may_read_what(folder: pathlib.Path, ruled: str) -> None:
    matrix = ["policy", "matrix", "--config", ruled]
    done = run(*matrix, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [re.split(r"  +", line) for line in done.stdout.split("\n\n")[0].splitlines()]
    assert [row[:3] for row in rows] == [
        ["WHO", "TARGETS", "BY"],
        ["user 61011", "hail", "rule 1"],
        ["user 61011", "sleet", "-"],
        ["group 61012", "hail, sleet", "rule 2"],
        ["anybody else", "hail, sleet", "-"],
    ]
    assert rows[2][3] == rows[4][3] == "nothing"
    assert f"rule 2 ({ruled} line 12)\n" in done.stdout
    said = json.loads(run(*matrix, "--json", "--target", "sleet", folder=folder).stdout)
    assert [[one["target"] for one in who["targets"]] for who in said] == [["sleet"]] * 3
    assert [who["targets"][0]["sees"] for who in said] == [False, True, False]


def test_a_password_without_a_driver_is_not_shown(folder: pathlib.Path) -> None:
    for command in ("ping", "resolve"):
        for name in ("monitor:s3cret@127.0.0.1", "//monitor:s3cret@127.0.0.1"):
            done = run(command, name, folder=folder)
            said = done.stdout + done.stderr
            assert done.returncode != 0 and "monitor:***@127.0.0.1" in said and "s3cret" not in said


def test_the_matrix_tells_names_that_are_nobody(folder: pathlib.Path) -> None:
    config = folder / "lapsed.toml"
    config.write_text(
        CONFIG + '[[policy.rule]]\nusers = ["no such user"]\ntargets = ["*"]\nallow = ["*"]\n'
    )
    matrix = ["policy", "matrix", "--config", str(config)]
    for done in (run(*matrix, folder=folder), run(*matrix, "--json", folder=folder)):
        assert done.returncode == 0 and "4294967295" not in done.stdout
        assert 'there is no user "no such user"' in done.stderr
    assert [one["kind"] for one in json.loads(done.stdout)] == ["other"]


def test_policy_list_is_of_a_user_on_a_target(folder: pathlib.Path, ruled: str) -> None:
    known = ["policy", "list", "--config", ruled, "--user", "61011"]
    done = run(*known, "--target", "hail", "domain_get_xml_*", folder=folder)
    assert done.returncode == 0
    assert "refused by a rule" in done.stdout and done.stdout.count("\n") == 1
    done = run(*known, "--target", "sleet", folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "user 61011 may not see target 'sleet': no rule lets them" in done.stderr
    assert run(*known, folder=folder).returncode == 2
    assert run("policy", "list", "--target", "hail", folder=folder).returncode == 2


def test_policy_explain_knows_the_default(folder: pathlib.Path, config: str) -> None:
    pathlib.Path(config).write_text(CONFIG + '[policy]\ndefault = "deny"\n')
    status, said = explain(folder, config, "DOMAIN_GET_XML_DESC")
    assert status == 1
    assert 'there are no rules, and "default" of [policy] is "deny"' in said


def test_aliases_are_installed(folder: pathlib.Path, config: str) -> None:
    home = folder / "home"
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "HOME": str(folder)}
    command = [harness.GATE, "aliases", "--config", config, "--install"]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        folder.chmod(0o777)
    installed = home / "libvirt" / "libvirt.conf"
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{installed}\n"
        assert installed.read_text().count("uri_aliases") == 1
        assert '"hail=test+unix:///default?' in installed.read_text()
    installed.write_text('uri_aliases = [ "mine=test:///default" ]\n')
    installed.chmod(0o666)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "uri_aliases already" in done.stderr
    assert installed.read_text() == 'uri_aliases = [ "mine=test:///default" ]\n'


def test_every_command_has_examples_and_its_exit_status(folder: pathlib.Path) -> None:
    for words in (
        ["serve"],
        ["resolve"],
        ["ping"],
        ["aliases"],
        ["status"],
        ["reload"],
        ["policy", "list"],
        ["policy", "show"],
        ["policy", "matrix"],
        ["policy", "explain"],
        ["bridge"],
    ):
        said = run(*words, "--help", folder=folder).stdout
        assert "Examples:\n  " in said, words
        assert "Exit status: 0 success, 1 failure, 2 usage error" in said, words
