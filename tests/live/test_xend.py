"""A legacy xend through the gate: what reads passes without its passwords, and nothing else."""

import contextlib
import http.client
import json
import pathlib
import subprocess
import time
from typing import Any, Callable, Iterator

import pytest

import harness
import raw
import xend

FIELDS = "Accept-Encoding: identity\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def request(path: str, method: str = "GET", fields: str = FIELDS, body: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost:8000\r\n{fields}\r\n{body}".encode()


def sent(path: str, host: str) -> bytes:
    """What the gate makes of a question."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


def talk(address: harness.Address, data: bytes, piece: int = 0) -> tuple[int, bytes]:
    """Status and body; the gate must end the connection by itself, and say how long the body is."""
    with harness.dial(address) as connection:
        for at in range(0, len(data), piece or len(data)):
            connection.sendall(data[at : at + (piece or len(data))])
        answer = b""
        while more := connection.recv(1 << 16):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].startswith("HTTP/1.1 "), answer
    assert f"Content-Length: {len(body)}" in lines
    assert "Connection: close" in lines
    return int(lines[0].split()[1]), body


@pytest.fixture(scope="module", params=["unix", "tcp"])
def one(request: Any, folders: Iterator[pathlib.Path]) -> Iterator[xend.Xend]:
    unix = request.param == "unix"
    server = xend.Xend(str(next(folders) / "xend-socket") if unix else ("127.0.0.1", 0))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def gate(
    one: xend.Xend, daemon: harness.Daemon, make_module_gate: Callable[..., harness.Gate]
) -> harness.Gate:
    targets = {"rain": {"uri": one.uri, "call_timeout": "2s"}, "machines": daemon.uri("unix")}
    bound = (harness.Listen(f"{name}.sock", target=name) for name in targets)
    return make_module_gate(targets, harness.Listen("gate.sock"), *bound)


@pytest.fixture
def fresh(one: xend.Xend) -> Iterator[xend.Xend]:
    """Has heard nothing yet, and behaves again afterwards."""
    one.forget()
    yield one
    one.answer = None
    one.stall.clear()


READS = {
    "/xend/node/": ("/xend/node/", xend.NODE),
    "/xend/node": ("/xend/node/", xend.NODE),
    "/xend/domain": ("/xend/domain", "(Domain-0 web-1)"),
    "/xend/domain/": ("/xend/domain", "(Domain-0 web-1)"),
    "/xend/domain?state=halted": ("/xend/domain?state=halted", "(old)"),
    "/xend/domain?detail=1": ("/xend/domain?detail=1", f"({xend.CLEAN})"),
    "/xend/domain/web-1?detail=1": ("/xend/domain/web-1?detail=1", xend.CLEAN),
    "/xend/domain/%77eb-1?detail=%31": ("/xend/domain/web-1?detail=1", xend.CLEAN),
    "/xend/domain/7?op=vcpuinfo": ("/xend/domain/7?op=vcpuinfo", xend.VCPUS),
}


@pytest.mark.parametrize("path", READS)
def test_reads_pass_without_passwords(gate: harness.Gate, fresh: xend.Xend, path: str) -> None:
    asked, answer = READS[path]
    assert talk(gate.path("rain.sock"), request(path)) == (200, answer.encode())
    assert fresh.got() == [sent(asked, fresh.host)]
    assert "geheim" not in gate.log()


def test_a_request_byte_by_byte(gate: harness.Gate, fresh: xend.Xend) -> None:
    status, body = talk(gate.path("rain.sock"), request("/xend/domain/web-1?detail=1"), piece=1)
    assert (status, body.decode()) == (200, xend.CLEAN)
    assert fresh.got() == [sent("/xend/domain/web-1?detail=1", fresh.host)]


def test_errors_of_xend_pass(gate: harness.Gate, fresh: xend.Xend) -> None:
    status, body = talk(gate.path("rain.sock"), request("/xend/domain/nosuch?detail=1"))
    assert (status, body) == (404, b"(xend.err 'no such domain')")
    fresh.answer = xend.http("500 Oops", "Traceback: geheim")
    status, body = talk(gate.path("rain.sock"), request("/xend/node/"))
    assert status == 500
    assert body == b"virtgate: xend says 500 Internal Server Error\n"


def form(operation: str) -> bytes:
    body = f"op={operation}"
    return request("/xend/domain/web-1", "POST", f"Content-Length: {len(body)}\r\n", body)


POSTED = (
    "create new start delete pause unpause shutdown destroy save restore dump maxmem_set "
    "mem_target_set set_vcpus pincpu device_create device_configure device_destroy migrate "
    "wait_for_devices domain_sched_credit_set"
)
DESTROY = form("destroy").decode()
REFUSED: dict[str, tuple[int, bytes]] = {
    **{f"post_{name}": (403, form(name)) for name in POSTED.split()},
    **{
        f"get_{name}": (403, request(f"/xend/domain/web-1?op={name}"))
        for name in POSTED.split()
    },
    "post_long": (403, request("/xend/domain", "POST", "Content-Length: 200000\r\n", "x" * 200000)),
    "head": (403, request("/xend/node/", "HEAD")),
    "two_ops": (403, request("/xend/domain/web-1?op=vcpuinfo&op=destroy")),
    "escaped_op": (403, request("/xend/domain/web-1?op=%64estroy")),
    "dots": (403, request("/xend/domain/../domain/web-1?detail=1")),
    "escaped_dots": (403, request("/xend/domain/%2e%2e?detail=1")),
    "slashes": (403, request("//xend/node/")),
    "absolute": (403, request("http://localhost:8000/xend/node/")),
    "asterisk": (403, request("*", "OPTIONS")),
    "body": (403, request("/xend/node/", fields="Content-Length: 10\r\n", body=DESTROY)),
    "chunked": (403, request("/xend/node/", fields="Transfer-Encoding: chunked\r\n", body=DESTROY)),
    "two_lengths": (
        400,
        request("/xend/node/", fields="Content-Length: 0\r\nContent-Length: 99\r\n", body=DESTROY),
    ),
    "signed_length": (400, request("/xend/node/", fields="Content-Length: +0\r\n", body=DESTROY)),
    "bare_lf": (400, request("/xend/node/", fields="X: y\n\n", body=DESTROY)),
    "bare_cr": (400, request("/xend/node/", fields="X: y\r\r\n", body=DESTROY)),
    "folded": (400, request("/xend/node/", fields="X: y\r\n POST /xend/domain/web-1\r\n")),
    "blank_name": (400, request("/xend/node/", fields="Content-Length : 5\r\n", body=DESTROY)),
    "nul": (400, request("/xend/node/\0", body=DESTROY)),
    "rpc": (400, raw.frame(1, raw.uint(0) + raw.uint(0))),
    "tls": (400, bytes.fromhex("16030100c8010000c40303") + bytes(200)),
    "long_line": (414, request("/xend/domain/" + "a" * 3000 + "?detail=1")),
    "long_fields": (431, request("/xend/node/", fields="X: " + "y" * 9000 + "\r\n")),
    "many_fields": (431, request("/xend/node/", fields="X: y\r\n" * 100)),
}


@pytest.mark.parametrize("label", REFUSED)
def test_nothing_else_reaches_xend(gate: harness.Gate, fresh: xend.Xend, label: str) -> None:
    status, data = REFUSED[label]
    assert talk(gate.path("rain.sock"), data)[0] == status
    body = talk(gate.path("rain.sock"), data)[1]
    assert body.startswith(b"virtgate: ") and body.endswith(b"\n") and body.count(b"\n") == 1
    assert not fresh.got()


def test_what_is_smuggled_behind_a_question_is_dropped(gate: harness.Gate, fresh: xend.Xend) -> None:
    for behind in (form("destroy"), request("/xend/node/"), b"x" * 60000):
        fresh.forget()
        status, body = talk(gate.path("rain.sock"), request("/xend/domain") + behind)
        assert (status, body) == (200, b"(Domain-0 web-1)")
        time.sleep(0.1)
        assert fresh.got() == [sent("/xend/domain", fresh.host)]


BROKEN = {
    "garbage": bytes(range(256)) * 100 + b"\r\n\r\n",
    "html": xend.http("200 OK", "<html>geheim</html>"),
    "unbalanced": xend.http("200 OK", "(domain (vncpasswd geheim)"),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n(a)\r\n0\r\n\r\n",
    "huge": xend.http("200 OK", "(" + "a" * 300000 + ")"),
    "endless": b"HTTP/1.1 200 OK\r\n\r\n(" + b"a " * 200000,
    "long_head": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20000,
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "deep": xend.http("200 OK", "(" * 50000 + ")" * 50000),
}


@pytest.mark.parametrize("label", BROKEN)
def test_a_broken_xend_gives_a_clean_error(
    gate: harness.Gate, fresh: xend.Xend, label: str
) -> None:
    fresh.answer = BROKEN[label]
    status, body = talk(gate.path("rain.sock"), request("/xend/domain/web-1?detail=1"))
    assert status == 502
    assert body.startswith(b"virtgate: ") and b"geheim" not in body
    fresh.answer = None
    assert talk(gate.path("rain.sock"), request("/xend/node/"))[0] == 200


def test_a_stalled_xend_gives_an_error_in_time(gate: harness.Gate, fresh: xend.Xend) -> None:
    fresh.stall.set()
    status, body = talk(gate.path("rain.sock"), request("/xend/node/"))
    assert status == 504
    assert body == b"virtgate: target rain: xend did not answer within 2000 ms\n"


def test_a_xend_that_is_not_there(
    folders: Iterator[pathlib.Path], make_gate: Callable[..., harness.Gate]
) -> None:
    nowhere = next(folders) / "nobody"
    gate = make_gate({"rain": f"//{nowhere}"}, harness.Listen(target="rain"))
    status, body = talk(gate.socket, request("/xend/node/"))
    assert status == 502
    assert b"target rain: connect: " in body and b"No such file" in body


def test_clients_of_libvirt_never_get_to_it(gate: harness.Gate, fresh: xend.Xend) -> None:
    with raw.Client(gate.path("gate.sock")) as client:
        with pytest.raises(raw.LibvirtError, match="speaks HTTP"):
            client.open("rain")
    with raw.connect(gate.path("gate.sock"), ""), raw.connect(gate.path("machines.sock"), ""):
        pass
    assert not fresh.got()


class Connection(http.client.HTTPConnection):
    """Python's own client, on a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=harness.PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = harness.dial(self.path)


def test_common_clients_are_understood(gate: harness.Gate, fresh: xend.Xend) -> None:
    def ask(method: str, body: str | None = None) -> tuple[int, str | None, bytes]:
        with contextlib.closing(Connection(gate.path("rain.sock"))) as connection:
            connection.request(method, "/xend/domain/web-1?detail=1", body)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type"), answer.read()

    assert ask("GET") == (200, "application/sxp", xend.CLEAN.encode())
    status, kind, body = ask("POST", "op=destroy")
    assert (status, kind) == (403, "text/plain; charset=utf-8")
    assert body.endswith(b"only GET reads\n")
    assert fresh.got() == [sent("/xend/domain/web-1?detail=1", fresh.host)]


def test_one_pattern_makes_sockets_of_both_kinds(
    folders: Iterator[pathlib.Path], daemon: harness.Daemon, fresh: xend.Xend
) -> None:
    targets = {"rain": fresh.uri, "machines": daemon.uri("unix")}
    gate = harness.Gate(next(folders), targets, (harness.Listen("at-%t.sock"),))
    gate.listen = tuple(harness.Listen(f"at-{name}.sock") for name in targets)
    try:
        gate.start()
        assert talk(gate.path("at-rain.sock"), request("/xend/node/"))[0] == 200
        with raw.connect(gate.path("at-machines.sock"), ""):
            pass
    finally:
        gate.stop()


def run(gate: harness.Gate, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [harness.GATE, *arguments],
        env=harness.environment(gate.folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )


def test_ping_measures_it(gate: harness.Gate, fresh: xend.Xend) -> None:
    for arguments in (("rain", "--config", str(gate.config)), (fresh.uri,)):
        done = run(gate, "ping", "-n", "3", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["uri"] == fresh.uri
        assert answer["calls"]["count"] == 3
        assert answer["stages"][-1]["stage"] == "call"
    assert fresh.got() == [sent("/xend/node/", fresh.host)] * 6
    assert "a legacy xend" in run(gate, "ping", fresh.uri).stdout


def test_resolve_says_what_it_is(gate: harness.Gate, fresh: xend.Xend) -> None:
    done = run(gate, "resolve", "--json", "--config", str(gate.config), "rain")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["uri"] == fresh.uri
    assert answer["transport"] == ("unix" if fresh.port == 0 else "tcp")
    assert answer["name"] is None
    assert any(gate.path("rain.sock") in note for note in answer["notes"])
    assert "legacy xend" in run(gate, "resolve", fresh.uri).stdout
    assert not fresh.got()


def bridge(uri: str, given: bytes) -> tuple[int, bytes]:
    done = subprocess.run(
        [harness.GATE, "bridge", "--insecure", uri],
        input=given,
        capture_output=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    return done.returncode, done.stdout


def test_a_bridge_speaks_the_same(one: xend.Xend, fresh: xend.Xend) -> None:
    code, answer = bridge(one.uri, request("/xend/domain/web-1?detail=1"))
    assert code == 0
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(xend.CLEAN.encode())
    fresh.forget()
    code, answer = bridge(
        one.uri, request("/xend/domain/web-1", "POST", "Content-Length: 10\r\n", "op=destroy")
    )
    assert code == 0
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert fresh.got() == []


def test_a_bridge_to_a_xend_that_is_not_there(folders: Iterator[pathlib.Path]) -> None:
    code, answer = bridge(f"//{next(folders)}/xend-socket", request("/xend/node/"))
    assert code == 0
    assert answer.startswith(b"HTTP/1.1 502 ")
