"""What `virtgate serve --check` says of the files that people write.

Each file is as somebody wrote it who had read a little of the manual. What has to be said is that
line, that column, what is wrong, and what to write instead. Nothing is connected to.
"""

import json
import pathlib
import subprocess

import pytest

import harness

# By name: the file, the exit status, and what is said. FOLDER stands for a folder that is there.
FILES: dict[str, tuple[str, int, list[str]]] = {
    "01_paht": (
        "[[listen]]\n"
        'paht = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        1,
        [
            '1:1: [[listen]] has no "path"',
            '2:1: unknown key "paht" in [[listen]]; did you mean "path"?',
        ],
    ),
    "02_heading_not_closed": (
        "[[listen]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        1,
        [
            "1:10: the heading is not closed; write it as [[NAME]]",
        ],
    ),
    "03_mode_without_quotes": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "mode = 0666\n"
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        1,
        [
            '3:8: a number cannot begin with 0; write an octal mode in quotes: "0666"',
        ],
    ),
    "04_mode_not_octal": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        'mode = "0888"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        1,
        [
            '3:8: "mode" is "0888"; it must be an octal mode in quotes, such as "0660"',
        ],
    ),
    "05_relative_path": (
        "[[listen]]\n"
        'path = "run/virtgate.sock"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        1,
        [
            '2:8: the path "run/virtgate.sock" is relative; it must begin with /, or with @ '
            "for the abstract namespace",
        ],
    ),
    "06_listen_in_one_bracket": (
        "[listen]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        1,
        [
            "1:2: write [[listen]] with two brackets",
        ],
    ),
    "07_no_target": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n',
        1,
        [
            'no targets: add  [targets]  NAME = "qemu+ssh://..."',
        ],
    ),
    "08_uris": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = "qemu+shh://h/system"\n'
        'b = "hail.example.com"\n'
        'c = "qemu+tcp://h/system"\n'
        'd = "quemu+ssh://h/system"\n'
        'e = "qemu+ssh://h"\n',
        1,
        [
            '4:5: there is no transport "shh"; did you mean "ssh"?',
            '5:5: the URI "hail.example.com" cannot be parsed: the URI does not begin with a '
            "driver and a colon, as qemu: does, at byte 17",
            '6:5: plain tcp to "h" is neither encrypted nor authenticated; set insecure = '
            "true for this target if that is meant",
            '7:5: warning: libvirt has no driver "quemu"; did you mean "qemu"?',
            '8:5: warning: the driver "qemu" needs a path, such as "/system"',
        ],
    ),
    "09_parameters": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = "qemu+ssh://h/system?keyfile=/nope/key&known_host=/x&no_verify=2"\n',
        1,
        [
            "4:5: no_verify= accepts any host key; set insecure = true for this target if "
            "that is meant",
            '4:5: warning: "known_host" is not a parameter of the connection, so the driver '
            'gets it; did you mean "known_hosts"?',
            '4:5: warning: keyfile= of target "a": "/nope/key": No such file or directory',
        ],
    ),
    "10_times": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = { uri = "test+tcp://127.0.0.1:1/default", call_timeout = "5 parsecs" }\n'
        'b = { uri = "test+tcp://127.0.0.1:1/default", idle_timeout = 30 }\n',
        1,
        [
            '4:62: "call_timeout" is "5 parsecs"; it must be a time in quotes, such as '
            '"500ms", "30s", "5min" or "1h"',
            '5:62: "idle_timeout" is an integer; it must be a time in quotes, such as '
            '"500ms", "30s", "5min" or "1h"',
        ],
    ),
    "11_key_twice": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = "test+tcp://127.0.0.1:1/default"\n'
        'b = "test+tcp://127.0.0.1:2/default"\n'
        'a = "test+tcp://127.0.0.1:3/default"\n',
        1,
        [
            "6:1: the key a is defined twice; first at line 4",
        ],
    ),
    "12_user": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[[policy.rule]]\n"
        'targets = ["*"]\n'
        'allow = ["*"]\n'
        'user = ["root"]\n',
        1,
        [
            '8:1: unknown key "user" in [[policy.rule]]; did you mean "users"?',
        ],
    ),
    "13_misspelt_target_and_procedure": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        'target = "hial"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[[policy.rule]]\n"
        'targets = ["hial"]\n'
        'allow = ["DOMAIN_GET_XML"]\n',
        1,
        [
            '3:10: there is no target "hial"; did you mean "hail"?',
            '7:12: there is no target "hial"; did you mean "hail"?',
            '8:10: there is no procedure "DOMAIN_GET_XML"; did you mean '
            '"DOMAIN_GET_XML_DESC"?',
        ],
    ),
    "14_lists": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[[policy.rule]]\n"
        'users = "root"\n'
        'targets = "*"\n'
        "allow = [1]\n",
        1,
        [
            '6:9: "users" is a string; write ["root"]',
            '7:11: "targets" is a string; write ["*"]',
            '8:10: "allow" holds an integer; it must be a list of strings',
        ],
    ),
    "15_never_passes": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[[policy.rule]]\n"
        'targets = ["*"]\n'
        'allow = ["DOMAIN_DESTROY", "FOO_*", "CONNECT_OPEN"]\n',
        1,
        [
            "7:10: DOMAIN_DESTROY is more than reading and never passes; remove it (stops "
            "the domain)",
            '7:28: no procedure that may pass has a name like "FOO_*"; "virtgate policy '
            'list" has them all',
            "7:37: CONNECT_OPEN belongs to the connection itself and always passes; remove it",
        ],
    ),
    "16_user_and_group": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        'group = "rooot"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[[policy.rule]]\n"
        'targets = ["*"]\n'
        'allow = ["*"]\n'
        'users = ["rooot"]\n'
        'groups = ["rooot"]\n',
        0,
        [
            "3:9: warning: this socket is for the gate's own user alone until a restart finds "
            'this group: there is no group "rooot"; did you mean "root"?',
            "9:10: warning: the rule lets nobody in by this name until a reload finds it: "
            'there is no user "rooot"; did you mean "root"?',
            "10:11: warning: the rule lets nobody in by this name until a reload finds it: "
            'there is no group "rooot"; did you mean "root"?',
        ],
    ),
    "17_sizes": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[limits]\n"
        'max_call = "1 megabyte"\n'
        "clients = 0\n",
        1,
        [
            '6:12: "max_call" is "1 megabyte"; it must be a number of bytes, or a size in '
            'quotes such as "64KiB", "16MiB" or "1GiB"',
            '7:11: "clients" is 0; it must be from 1 to 1000000',
        ],
    ),
    "18_address": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[metrics]\n"
        'listen = "0.0.0.0:9779"\n',
        1,
        [
            "6:10: \"listen\" is \"0.0.0.0:9779\"; it must be an address of this host's own and "
            'a port, such as "127.0.0.1:9779" or "[::1]:9779", because everybody who can connect '
            "may read it",
        ],
    ),
    "19_section": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[polcy]\n",
        1,
        [
            '5:2: unknown key "polcy" in the file; did you mean "policy"?',
        ],
    ),
    "20_open_uris": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[policy]\n"
        'open_uris = ["qemu+ssh://h/system?keyfile=/k"]\n',
        1,
        [
            '6:14: "qemu+ssh://h/system?keyfile=/k" is no pattern of URIs: its parts can '
            "have letters, digits, '.', '_', '-' and *, which is all that such URIs may have",
        ],
    ),
    "21_name_with_dots": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail.example.com = "qemu:///system"\n',
        1,
        [
            '4:1: a name with dots needs quotes; write "hail.example.com"',
        ],
    ),
    "22_percent_t_and_folder": (
        "[[listen]]\n"
        'path = "FOLDER/%t"\n'
        'target = "hail"\n'
        "[[listen]]\n"
        'path = "/nope/dir/sock"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        1,
        [
            "3:10: remove target=: %t in the path already names the target",
            '5:8: warning: the folder of this socket: "/nope/dir": No such file or directory',
        ],
    ),
    "23_target_and_url": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets.hail]\n"
        'url = "qemu:///system"\n'
        "[[policy.rule]]\n"
        'target = ["hail"]\n'
        'allow = ["*"]\n',
        1,
        [
            '3:10: target "hail" has no "uri"',
            '4:1: unknown key "url" in target "hail"; did you mean "uri"?',
            '5:1: [[policy.rule]] has no "targets"; for all of them write ["*"], for none []',
            '6:1: unknown key "target" in [[policy.rule]]; did you mean "targets"?',
        ],
    ),
    "24_string_not_closed": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\r\n"
        'hail = "qemu:///system\r\n',
        1,
        [
            "4:23: the string is not closed; add a quote at its end",
        ],
    ),
    "25_nothing": (
        "",
        1,
        [
            'no targets: add  [targets]  NAME = "qemu+ssh://..."',
            'no sockets: add  [[listen]]  path = "/run/virtgate/virtgate-sock"',
        ],
    ),
    "26_port_logging_password_socket_path": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = "qemu+ssh://h:99999/system"\n'
        'b = "qemu+ssh://monitor:s3cret@h/system"\n'
        'c = "qemu+unix:///system?socket=/nope/sock"\n'
        'd = "qemu+ssh://h/sytem"\n'
        "[logging]\n"
        'level = "debug"\n',
        1,
        [
            "4:5: the port 99999 is too large; the last one is 65535",
            '5:5: the URI has a password after the user "monitor", which libvirt takes as a '
            "part of the name; leave it out, and name a key with keyfile= (ssh) or a file of "
            "credentials with authfile= (SASL)",
            '8:2: unknown key "logging" in the file; known are listen, targets, policy, '
            "audit, control, metrics, limits",
            '6:5: warning: the socket of target "c": "/nope/sock": No such file or directory',
            '7:5: warning: the driver "qemu" does not open the path "/sytem"; did you mean '
            '"/system"?',
        ],
    ),
    "f5_missing_files": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = "qemu+ssh://h/system?keyfile=/nope/key"\n'
        'b = "qemu+ssh://h/system?known_host=/x"\n'
        'c = "qemu://h/system?pkipath=/nope"\n'
        'd = "qemu+unix:///system?socket=/nope/sock"\n'
        "[audit]\n"
        'file = "/nope/audit.log"\n',
        0,
        [
            '4:5: warning: keyfile= of target "a": "/nope/key": No such file or directory',
            '5:5: warning: "known_host" is not a parameter of the connection, so the driver '
            'gets it; did you mean "known_hosts"?',
            '6:5: warning: pkipath= of target "c": "/nope": No such file or directory',
            '7:5: warning: the socket of target "d": "/nope/sock": No such file or directory',
            '9:8: warning: the folder of "file" of [audit]: "/nope": No such file or '
            "directory",
        ],
    ),
    "f5_driver_and_path": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = "quemu+ssh://h/system"\n'
        'b = "qemu+ssh://h/sytem"\n',
        0,
        [
            '4:5: warning: libvirt has no driver "quemu"; did you mean "qemu"?',
            '5:5: warning: the driver "qemu" does not open the path "/sytem"; did you mean '
            '"/system"?',
        ],
    ),
    "f5_password": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'a = "qemu+ssh://monitor:secret@host/system"\n',
        1,
        [
            '4:5: the URI has a password after the user "monitor", which libvirt takes as a '
            "part of the name; leave it out, and name a key with keyfile= (ssh) or a file of "
            "credentials with authfile= (SASL)",
        ],
    ),
    "f5_folder_of_a_socket": (
        "[[listen]]\n"
        'path = "/nope/sock"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        0,
        [
            '2:8: warning: the folder of this socket: "/nope": No such file or directory',
        ],
    ),
    "f5_a_rule_that_never_matches": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n'
        "[[policy.rule]]\n"
        'targets = ["*"]\n'
        'allow = ["*"]\n'
        "[[policy.rule]]\n"
        'users = ["root"]\n'
        'targets = ["hail"]\n'
        'allow = ["CONNECT_*"]\n',
        0,
        [
            "8:1: warning: this rule can never match: rule 1 (FOLDER/virtgate.toml line 5) "
            "comes first and is for the same users and targets; move this one up, or remove "
            "it",
        ],
    ),
    "f5_everybody_without_rules": (
        "[[listen]]\n"
        'path = "FOLDER/s"\n'
        'mode = "0666"\n'
        "[targets]\n"
        'hail = "test+tcp://127.0.0.1:1/default"\n',
        0,
        [
            '1:1: warning: everybody on this host may use the socket "FOLDER/s" and read '
            "every target, because there are no rules; add [[policy.rule]], or default = "
            '"deny" in [policy], or give the socket a mode such as "0660"',
        ],
    ),
}


def check(
    folder: pathlib.Path, text: str, *options: str
) -> subprocess.CompletedProcess[str]:
    return harness.check(folder, text.replace("FOLDER", str(folder)), *options)


@pytest.mark.parametrize("name", FILES)
def test_what_is_wrong_is_said_in_full(tmp_path: pathlib.Path, name: str) -> None:
    text, status, said = FILES[name]
    done = check(tmp_path, text)
    start = f"virtgate: {tmp_path}/virtgate.toml:"
    lines = [line.replace(start, "", 1).lstrip() for line in done.stderr.splitlines()]
    assert [line.replace(str(tmp_path), "FOLDER") for line in lines] == said
    assert done.returncode == status
    assert done.stdout.count("\n") == (status == 0)


@pytest.mark.parametrize("name", FILES)
def test_json_says_the_same(tmp_path: pathlib.Path, name: str) -> None:
    text, status, said = FILES[name]
    done = check(tmp_path, text, "--json")
    assert (done.returncode, done.stderr) == (status, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["ok", "files", "targets", "sockets", "rules", "findings"]
    assert answer["ok"] is (status == 0)
    assert answer["files"] == [f"{tmp_path}/virtgate.toml"]
    lines = []
    for one in answer["findings"]:
        assert list(one) == ["severity", "file", "line", "column", "message"]
        place = "".join(f"{n}:" for n in (one["line"], one["column"]) if n is not None)
        word = "warning: " if one["severity"] == "warning" else ""
        lines.append(f"{place} {word}{one['message']}".lstrip().replace(str(tmp_path), "FOLDER"))
    assert lines == said


def test_paths_that_a_gate_could_not_use(tmp_path: pathlib.Path) -> None:
    """What `serve` would stumble over is told before."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "open").write_text("key")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "key.pub").write_text("key")
    text = (
        "[[listen]]\n"
        'path = "FOLDER/folder"\n'
        "[targets]\n"
        'a = "qemu+ext://h/system?command=/nope/x"\n'
        'b = "qemu+ssh://h/system?command=FOLDER/open&keyfile=FOLDER/open"\n'
        'c = "qemu+ssh://h/system?keyfile=FOLDER/key.pub"\n'
        'd = "qemu+tls://h/system?pkipath=FOLDER/folder"\n'
        "[audit]\n"
        'file = "FOLDER/folder"\n'
        "[control]\n"
        'path = "FOLDER/none/control"\n'
        "[metrics]\n"
        'socket = "FOLDER/none/metrics"\n'
    )
    is_folder = 'warning: "FOLDER/folder" is a folder; add the name of a file or socket in it'
    none = '"FOLDER/none": No such file or directory'
    done = check(tmp_path, text)
    start = f"virtgate: {tmp_path}/virtgate.toml:"
    lines = [line.replace(start, "", 1) for line in done.stderr.splitlines()]
    assert [line.replace(str(tmp_path), "FOLDER") for line in lines] == [
        f"2:8: {is_folder}",
        '4:5: warning: command= of target "a": "/nope/x": No such file or directory',
        '5:5: warning: command= of target "b": "FOLDER/open" is not executable',
        '5:5: warning: keyfile= of target "b": "FOLDER/open": mode 0644, needs 0600',
        '6:5: warning: keyfile= of target "c": "FOLDER/key.pub" is the public key; name the '
        "private one, without .pub",
        '7:5: warning: pkipath= of target "d": "FOLDER/folder": cacert.pem: No such file or '
        "directory",
        f"9:8: {is_folder}",
        f'11:8: warning: the folder of "path" of [control]: {none}',
        f'13:10: warning: the folder of "socket" of [metrics]: {none}',
    ]
    assert done.returncode == 0
    assert check(tmp_path, text, "--strict").returncode == 1


def test_strict_fails_on_warnings_alone(tmp_path: pathlib.Path) -> None:
    for name, (text, status, said) in FILES.items():
        for options in (["--strict"], ["--strict", "--json"]):
            done = check(tmp_path, text, *options)
            assert done.returncode == (1 if status or said else 0), name
    good = FILES["f5_everybody_without_rules"][0].replace("0666", "0660")
    done = check(tmp_path, good, "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 target, 1 socket, 0 rules\n"
    assert json.loads(check(tmp_path, good, "--strict", "--json").stdout)["findings"] == []


def test_foreign_text_is_escaped(tmp_path: pathlib.Path) -> None:
    text = '[limits]\n"a\\u001b[31m\\u202e" = 1\n'
    done = check(tmp_path, text)
    assert "\x1b" not in done.stderr and "\u202e" not in done.stderr
    assert r"\x1b[31m" in done.stderr
    done = check(tmp_path, text, "--json")
    assert done.stdout.isascii() and "\x1b" not in done.stdout
    messages = [one["message"] for one in json.loads(done.stdout)["findings"]]
    assert any('unknown key "a\x1b[31m\u202e"' in one for one in messages)


def test_default_deny_restricts_a_socket_for_everybody(tmp_path: pathlib.Path) -> None:
    text = FILES["f5_everybody_without_rules"][0]
    deny = '[policy]\ndefault = "deny"\n'
    done = check(tmp_path, text + deny)
    assert done.returncode == 0
    assert done.stderr == (
        f"virtgate: {tmp_path}/virtgate.toml: warning: nobody may read anything: there are no "
        'rules, and "default" of [policy] is "deny"; add [[policy.rule]]\n'
    )
    rule = '[[policy.rule]]\ntargets = ["*"]\nallow = ["*"]\n'
    done = check(tmp_path, text + deny + rule)
    assert (done.returncode, done.stderr) == (0, "")
    done = check(tmp_path, text + '[policy]\ndefault = "dney"\n')
    assert ':7:11: "default" is "dney"; it must be "allow" or "deny"\n' in done.stderr
