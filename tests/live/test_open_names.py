"""Nothing that a client names when it opens, in any encoding, reaches an upstream."""

import struct
import subprocess
from typing import Callable

import pytest

import ask
import harness
import oracle
import raw
import recorder

FOREIGN = {
    "ssh": "qemu+ssh://root@other.example.com/system",
    "command": "qemu+ext:///system?command=/bin/false",
    "name_inside": "test+unix:///x?name=test:///default",
    "name_of_target_inside": "test+tcp://127.0.0.1/x?name=machines",
    "percent": "%74est:///default",
    "percent_nul": "test:///default%00",
    "upper": "TEST:///DEFAULT",
    "file_and_parameter": "test:///FILE?name=test:///default",
    "spaces": " test:///default ",
    "newline": "machines\ntest:///default",
    "target_and_more": "machines?name=test:///default",
    "target_prefix": "machine",
    "port": "test://localhost:1/default",
    "brackets": "test://[::1]/default",
    "no_uri": "://",
    "long": "a" * 5000,
    "long_uri": "test:///" + "a/" * 2500,
    "longer": "x" * 300000,
    "remote": "remote+unix:///system",
    "esx": "vpx://admin@vcenter.example.com/dc/cluster/host?no_verify=1",
    "utf8": "test:///d\u00e9fault\u202e",
}

# These say driver and path of the target, and more, or the driver alone, which on a socket for one
# target means that target. Whether that is understood is not the point.
ADORNED = {
    "another_file": "test:///other",
    "the_default": "test:///default",
    "a_file_of_the_host": "test:///etc/passwd",
    "percent_path": "test:///%2e%2e/%64efault",
    "file_and_more": "test:///FILE/../../default",
    "user": "test://user@/default",
    "fragment": "test:///FILE#default",
    "parameters": "test:///FILE?socket=/run/libvirt/libvirt-sock&mode=direct",
    "transport": "test+unix:///FILE?socket=/run/libvirt/libvirt-sock",
    "command": "test+ext:///FILE?command=/bin/false",
}

RAW = {
    "bad_utf8": b"test:///\xff\xfe",
    "nul_inside": b"machines\0test:///default",
    "nul_after_uri": b"test:///default\0",
    "controls": b"\x1b[2J\x07machines",
}


def name_body(name: bytes, present: bytes = b"\0\0\0\1", flags: int = 0) -> bytes:
    return present + raw.string(name) + struct.pack(">I", flags)


class Case:
    """A gate before a recorder, with the machines of the file as its only target."""

    def __init__(
        self, daemon: harness.Daemon, gate: harness.Gate, between: recorder.Recorder
    ) -> None:
        self.daemon, self.gate, self.between = daemon, gate, between

    def open(self, body: bytes, calls: bool = True) -> raw.Frame:
        """Opens with that body while no upstream is open, and calls when that went well."""
        self.between.cut()
        self.between.forget()
        with raw.Client(self.gate.socket) as client:
            client.call(raw.AUTH_LIST)
            reply = client.ask(raw.CONNECT_OPEN, body)
            if reply.status == raw.OK and calls:
                assert client.version() > 0
                assert client.domain("machine5")
        self.check_upstream()
        return reply

    def check_upstream(self) -> int:
        """How many opens the daemon has seen, each of them just as it is configured."""
        opens = self.between.calls(raw.CONNECT_OPEN)
        for one in opens:
            name, flags = raw.read_string(one.body, 4)
            assert one.body[:4] == b"\0\0\0\1"
            assert name.decode() == self.daemon.name
            assert int.from_bytes(one.body[flags:], "big") & 1 == 1
            assert len(one.body) == flags + 4
        return len(opens)


@pytest.fixture(scope="module")
def case(
    daemon: harness.Daemon,
    make_module_gate: Callable[..., harness.Gate],
    make_module_recorder: Callable[[harness.Daemon], recorder.Recorder],
) -> Case:
    between = make_module_recorder(daemon)
    gate = make_module_gate(
        {"machines": between.uri(daemon.file)}, harness.Listen(target="machines")
    )
    return Case(daemon, gate, between)


GOOD = {
    "target": b"machines",
    "empty": b"",
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("flags", [0, 1, 2, 4, 6, 0x80000000, 0xFFFFFFFF])
def test_flags_never_open_for_writing(case: Case, name: str, flags: int) -> None:
    """Bits that libvirt does not know may be refused; what is opened upstream is for reading."""
    reply = case.open(name_body(GOOD[name], flags=flags))
    if flags <= 7:
        assert reply.status == raw.OK
        assert case.check_upstream() >= 1


@pytest.mark.parametrize("present", [b"\1\0\0\0", b"\0\0\0\2", b"\xff\xff\xff\xff"])
def test_any_discriminator_but_zero_means_present(case: Case, present: bytes) -> None:
    assert case.open(name_body(b"machines", present)).status == raw.OK
    assert case.check_upstream() >= 1


def test_no_name_means_the_target_of_the_socket(case: Case) -> None:
    assert case.open(raw.open_body(None, 0)).status == raw.OK
    assert case.check_upstream() >= 1


def test_the_local_form_finds_the_target(case: Case) -> None:
    assert case.open(raw.open_body(case.daemon.name, 0)).status == raw.OK
    assert case.check_upstream() >= 1


@pytest.mark.parametrize("label", FOREIGN)
def test_a_foreign_name_is_refused(case: Case, label: str) -> None:
    name = FOREIGN[label].replace("/FILE", str(case.daemon.file))
    reply = case.open(name_body(name.encode()))
    assert reply.status == raw.ERROR
    assert raw.error_of(reply).text


@pytest.mark.parametrize("label", ADORNED)
def test_what_adorns_the_name_is_not_sent_on(case: Case, label: str) -> None:
    name = ADORNED[label].replace("/FILE", str(case.daemon.file))
    reply = case.open(name_body(name.encode()))
    assert (reply.status == raw.OK) == (case.check_upstream() > 0)


@pytest.mark.parametrize("label", RAW)
def test_bytes_that_are_no_name_are_refused(case: Case, label: str) -> None:
    reply = case.open(name_body(RAW[label]))
    assert reply.status == raw.ERROR
    text = raw.error_of(reply).text
    assert text and all(c.isprintable() for c in text)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0\1",
        b"\0\0\0\1\xff\xff\xff\xff",
        b"\0\0\0\1\0\0\0\x08machi",
        b"\0\0\0\1\0\0\0\x08machines",
        name_body(b"machines") + b"test:///default\0",
        b"\0\0\0\0\0\0\0\0test",
    ],
    ids=["empty", "no_string", "huge", "short", "no_flags", "left_over", "behind_null"],
)
def test_a_malformed_open_is_refused(case: Case, body: bytes) -> None:
    assert case.open(body).status == raw.ERROR
    assert case.between.calls(raw.CONNECT_OPEN) == []


@pytest.mark.parametrize(
    "uri",
    [
        "test+unix:///nowhere?socket=GATE&name=machines",
        "test+unix:///?socket=GATE&name=machines",
        "test+unix://FILE?socket=GATE",
        "remote+unix:///?socket=GATE",
        "qemu+unix:///system?socket=GATE&name=machines&mode=direct",
        "test+unix:///other?socket=GATE",
        "test+unix:///x?socket=GATE&name=test:///other",
        "test+unix:///x?socket=GATE&name=test%3a///other",
    ],
)
def test_virsh_reaches_the_target(case: Case, uri: str) -> None:
    done = virsh(case, uri, "domstate machine1")
    assert (done.returncode, done.stdout.strip()) == (0, "running"), done.stderr


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+unix:///system?socket=GATE",
        "qemu+unix:///session?socket=GATE",
        "test+unix:///x?socket=GATE&name=qemu%2Bssh://other/system",
    ],
)
def test_virsh_is_told_what_it_may_name(case: Case, uri: str) -> None:
    done = virsh(case, uri, "list")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "machines" in done.stderr


def virsh(case: Case, uri: str, command: str) -> subprocess.CompletedProcess[str]:
    uri = uri.replace("GATE", case.gate.socket).replace("FILE", str(case.daemon.file))
    case.between.cut()
    case.between.forget()
    done = subprocess.run(
        ["virsh", "-c", uri, *command.split()],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    case.check_upstream()
    return done


def test_a_second_open_is_an_error(case: Case, connect: Callable[..., raw.Client]) -> None:
    client = connect(case.gate.socket, "machines")
    with pytest.raises(raw.LibvirtError):
        client.call(raw.CONNECT_OPEN, raw.open_body("machines"))
    assert client.version() > 0


def test_a_call_before_the_open_is_an_error(case: Case) -> None:
    with raw.Client(case.gate.socket) as client:
        with pytest.raises(raw.LibvirtError):
            client.version()
        client.open("machines")
        assert client.version() > 0


def test_calls_right_behind_the_open_wait_for_it(case: Case) -> None:
    """Their replies come, and none before that of the open."""
    case.between.cut()
    with raw.Client(case.gate.socket) as client:
        first = client.post(raw.AUTH_LIST)
        opened = client.post(raw.CONNECT_OPEN, raw.open_body("machines"))
        later = [client.post(raw.CONNECT_GET_LIB_VERSION) for _ in range(10)]
        replies = [client.receive() for _ in range(12)]
    assert [one.serial for one in replies[:2]] == [first, opened]
    assert sorted(one.serial for one in replies[2:]) == later
    assert all(one.status == raw.OK for one in replies)


def test_the_identity_cannot_be_set(case: Case, connect: Callable[..., raw.Client]) -> None:
    identity = oracle.number_of("CONNECT_SET_IDENTITY")
    client = connect(case.gate.socket, "machines")
    with pytest.raises(raw.LibvirtError) as refusal:
        client.call(identity, raw.uint(0) + raw.uint(0))
    assert refusal.value.code == raw.OPERATION_DENIED
    assert case.between.calls(identity) == []


@pytest.mark.parametrize(
    "name",
    [
        "qemu+ssh://monitor:s3cret@other.example.com/system",
        "qemu+ssh://monitor%3as3cret@other.example.com/system",
        "qemu+ssh://monitor:s3/cret@other.example.com/system",
        "test+tcp://monitor:s3cret@127.0.0.1/x?name=machines",
        "qemu+pigeon://monitor:s3cret@other.example.com/system",
    ],
)
def test_a_password_in_what_a_client_names_is_shown_nowhere(
    daemon: harness.Daemon, make_gate: Callable[..., harness.Gate], name: str
) -> None:
    gate = make_gate({"machines": daemon.uri("unix")})
    with raw.Client(gate.socket) as client, pytest.raises(raw.LibvirtError) as failed:
        client.open(name)
    gate.logged("***@")
    assert "cret" not in str(failed.value) + gate.log()
    for options in ([], ["--json"]):
        assert "cret" not in ask.status_text(gate, *options)
