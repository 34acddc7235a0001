"""Programs that only look, from Debian and unmodified, get through a gate what they get without one."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import Callable, Iterator

import libvirt
import pytest

import harness
import node
import raw
import recorder

MakeModuleGate = Callable[..., harness.Gate]
GO_LIBRARIES = "/usr/share/gocode"

RUBY = """
require "libvirt"
c = Libvirt::open_read_only(ARGV[0])
puts c.hostname, c.node_get_info.model
c.list_all_domains.map { |d| puts [d.name, d.uuid, d.state, d.info.max_mem, d.xml_desc].inspect }
c.list_all_storage_pools.map { |p| puts [p.name, p.info.capacity, p.list_all_volumes.length].inspect }
"""
PERL = """
use Sys::Virt;
my $c = Sys::Virt->new(uri => $ARGV[0], readonly => 1);
print $c->get_hostname(), $c->get_capabilities();
print join(" ", $_->get_name(), $_->get_state(), $_->get_xml_description()), "\\n"
    for $c->list_all_domains();
print join(" ", $_->get_name(), $_->get_info()->{capacity}), "\\n" for $c->list_all_storage_pools();
"""
GLIB = """
import sys, gi
gi.require_version("LibvirtGObject", "1.0")
from gi.repository import LibvirtGObject
c = LibvirtGObject.Connection.new(sys.argv[1])
c.open_read_only(None)
c.fetch_domains(None)
c.fetch_storage_pools(None)
for d in sorted(c.get_domains(), key=lambda d: d.get_name()):
    print(d.get_name(), d.get_uuid(), d.get_info().state, d.get_config(0).to_xml())
print(sorted(p.get_name() for p in c.get_storage_pools()))
"""
PHP = """
$c = libvirt_connect($argv[1], true);
var_dump(libvirt_connect_get_hostname($c), libvirt_list_domains($c));
foreach (libvirt_list_domains($c) as $name) {
  $d = libvirt_domain_lookup_by_name($c, $name);
  var_dump(libvirt_domain_get_uuid_string($d), libvirt_domain_get_xml_desc($d, NULL));
}
var_dump(libvirt_list_storagepools($c), libvirt_list_networks($c));
"""
GO = """
package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/digitalocean/go-libvirt"
)

func main() {
	c, err := net.DialTimeout("unix", os.Args[1], 5*time.Second)
	if err != nil {
		panic(err)
	}
	l := libvirt.New(c)
	if err := l.ConnectToURI(libvirt.ConnectURI(os.Args[2])); err != nil {
		panic(err)
	}
	domains, _, err := l.ConnectListAllDomains(1, 0)
	if err != nil {
		panic(err)
	}
	for _, d := range domains {
		state, reason, err := l.DomainGetState(d, 0)
		fmt.Println(d.Name, d.ID, state, reason, err)
	}
	l.Disconnect()
}
"""


@pytest.fixture(scope="module")
def node_file(daemon: harness.Daemon) -> pathlib.Path:
    path = daemon.file.with_name("programs.xml")
    # For a disk that is in no pool virt-clone makes one.
    xml = node.node_xml(domains=4)
    path.write_text(xml.replace("/guests/machine", "/pools/store/disk"))
    return path


class Ways:
    """To the same machines: directly, and through a gate whose only target they are."""

    def __init__(self, daemon: harness.Daemon, gate: harness.Gate, path: pathlib.Path) -> None:
        self.daemon = daemon
        self.gate = gate
        self.path = path
        self.direct = daemon.uri("unix", str(path))
        self.through = gate.uri(path)


@pytest.fixture(scope="module")
def ways(
    daemon: harness.Daemon, node_file: pathlib.Path, make_module_gate: MakeModuleGate
) -> Ways:
    # virt-clone refreshes pools before it looks for the disk in them.
    gate = make_module_gate(
        {"hail": daemon.uri("unix", str(node_file))},
        harness.Listen("hail.sock", "hail"),
        sections={"policy": {"pretend": ["STORAGE_POOL_REFRESH"]}},
    )
    return Ways(daemon, gate, node_file)


def masked(text: str) -> str:
    """Less what the test driver takes from the clock, and what is random."""
    moving = r"((?:_(?:cputime|rx|tx|read|write)|total_pc)\.value) [\d.]+"
    text = re.sub(moving, r"\1 ...", text)
    return re.sub(r"<uuid>\S+</uuid>|<mac address=\S+>", "...", text)  # of a copy they are random


def run(command: list[str], folder: pathlib.Path, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * harness.PATIENCE,
        env=harness.environment(folder) | environment,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, masked(done.stdout), done.stderr


PROGRAMS: dict[str, Callable[[str], list[str]]] = {
    "ruby": lambda uri: ["ruby", "-e", RUBY, uri],
    "perl": lambda uri: ["perl", "-e", PERL, uri],
    "libvirt-glib": lambda uri: ["/usr/bin/python3", "-c", GLIB, uri],
    "php": lambda uri: ["php8.2", "-d", "extension=libvirt-php.so", "-r", PHP, "--", uri],
    "virt-xml": lambda uri: ["virt-xml", "-c", uri, "machine1", "--print-diff", "--edit"]
    + ["--metadata", "title=x"],
    "virt-clone": lambda uri: ["virt-clone", "--connect", uri, "-o", "machine3", "-n", "copy"]
    + ["--preserve-data", "--file", "/pools/store/disk1.img", "--mac", "52:54:00:11:22:33"]
    + ["--check", "path_in_use=off", "--print-xml"],
    "virt-install": lambda uri: ["virt-install", "--connect", uri, "--name", "fresh", "--memory", "64"]
    + ["--disk", "none", "--network", "none", "--graphics", "none", "--import", "--print-xml"]
    + ["--osinfo", "detect=off,require=off", "--check", "all=off"],
    "virt-install-dry": lambda uri: ["virt-install", "--connect", uri, "--name", "fresh"]
    + ["--memory", "64", "--disk", "none", "--network", "none", "--graphics", "none", "--import"]
    + ["--osinfo", "detect=off,require=off", "--check", "all=off", "--dry-run"],
    "check-list": lambda uri: ["/usr/lib/nagios/plugins/check_libvirt", "-H", uri, "-l", "list"],
    "check-pool": lambda uri: ["/usr/lib/nagios/plugins/check_libvirt", "-H", uri, "-l", "pool"],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_the_same(
    ways: Ways, folders: Iterator[pathlib.Path], name: str
) -> None:
    folder = next(folders)
    direct, through = (run(PROGRAMS[name](uri), folder) for uri in (ways.direct, ways.through))
    assert direct[0] == 0, direct
    assert any(word in direct[1] for word in ("machine1", "copy", "fresh", "Dry run")) or "pool" in name
    # Who opens to write is given passwords without a gate.
    assert "passwd" not in through[1]
    assert through == (direct[0], re.sub(' passwd="[^"]*"', "", direct[1]), direct[2])


def test_virt_install_installs_nothing(ways: Ways, folders: Iterator[pathlib.Path]) -> None:
    command = [word for word in PROGRAMS["virt-install"](ways.through) if word != "--print-xml"]
    code, out, complaints = run([*command, "--noautoconsole"], next(folders))
    assert code != 0
    assert "virtgate is read-only" in out + complaints
    with libvirt.open(ways.direct) as connection:
        assert "fresh" not in [machine.name() for machine in connection.listAllDomains()]


@pytest.mark.parametrize("plugin", ["blkstat", "cputime", "ifstat", "mem"])
@pytest.mark.parametrize("argument", ["", "config"])
def test_a_munin_plugin_prints_the_same(
    ways: Ways, folders: Iterator[pathlib.Path], plugin: str, argument: str
) -> None:
    folder = next(folders)
    command = [f"/usr/share/munin/plugins/libvirt-{plugin}", *([argument] if argument else [])]
    direct, through = (run(command, folder, uri=uri) for uri in (ways.direct, ways.through))
    assert through == direct
    assert direct[0] == 0 and direct[1], direct


AIO = """
import asyncio, sys
import libvirt, libvirtaio

async def main():
    libvirtaio.virEventRegisterAsyncIOImpl()
    connection = libvirt.openReadOnly(sys.argv[1])
    connection.setKeepAlive(1, 3)
    happened = asyncio.Queue()
    def on_event(connection, machine, event, detail, opaque):
        happened.put_nowait((machine.name(), event, detail))
    number = connection.domainEventRegisterAny(
        None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_event, None)
    print("machines", [machine.name() for machine in connection.listAllDomains()], flush=True)
    for _ in range(2):
        print(await happened.get(), flush=True)
    connection.domainEventDeregisterAny(number)
    connection.close()
    await asyncio.sleep(0)

asyncio.run(main())
"""


def heard_by_asyncio(uri: str, own: str, folder: pathlib.Path) -> list[str]:
    """What a client in an event loop of Python's prints while a machine is paused and goes on."""
    (folder / "aio.py").write_text(AIO)
    command = [sys.executable, str(folder / "aio.py"), uri]
    machine = libvirt.open(own).lookupByName("test")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            machine.suspend()
            lines.append(process.stdout.readline())
            machine.resume()
            lines.append(process.stdout.readline())
            assert process.wait(harness.PATIENCE) == 0
        finally:
            process.kill()
    return lines


def test_an_asyncio_client_hears_the_same(
    own_daemon: harness.Daemon, make_gate: MakeModuleGate, folders: Iterator[pathlib.Path]
) -> None:
    own = own_daemon.uri("unix", "/default")
    gate = make_gate({"hail": own})
    direct, through = (
        heard_by_asyncio(uri, own, next(folders)) for uri in (own, gate.uri("/default"))
    )
    assert through == direct
    assert direct[0] == "machines ['test']\n" and "('test', " in direct[2]


def test_a_go_client(ways: Ways, folders: Iterator[pathlib.Path]) -> None:
    """It speaks the protocol itself; what it opens is a name of the gate's."""
    folder = next(folders)
    source = folder / "src" / "look"
    source.mkdir(parents=True)
    (source / "main.go").write_text(GO)
    go = {"GO111MODULE": "off", "GOPATH": f"{folder}:{GO_LIBRARIES}", "GOFLAGS": "-p=2"}
    built = run(["go", "build", "-o", str(folder / "look"), "look"], folder, **go)
    assert built[0] == 0, built
    opens = ((ways.daemon.unix, f"test://{ways.path}"), (ways.gate.socket, "hail"))
    direct, through = (run([str(folder / "look"), *one], folder) for one in opens)
    assert direct[0] == 0, direct
    assert through == direct and "machine1" in through[1]


COLLECTD = """
BaseDir "{folder}"
PIDFile "{folder}/pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin logfile
<Plugin logfile>
  LogLevel info
  File "{folder}/log"
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{folder}/csv"
</Plugin>
LoadPlugin virt
<Plugin virt>
  Connection "{uri}"
  HostnameFormat name
  ExtraStats "job_stats_completed"
</Plugin>
"""


def collected(folder: pathlib.Path, uri: str) -> set[str]:
    """The files that collectd's virt plugin fills, and its complaints."""
    (folder / "collectd.conf").write_text(COLLECTD.format(folder=folder, uri=uri))
    command = ["collectd", "-f", "-C", str(folder / "collectd.conf")]
    process = harness.Process(command, folder / "out", harness.environment(folder))
    try:
        harness.wait_for("figures", lambda: len(list((folder / "csv").glob("*/*/*"))) >= 8)
        time.sleep(1.5)  # an interval more, so that each file is there
    finally:
        process.end()
    names = {str(one.relative_to(folder / "csv")) for one in (folder / "csv").glob("*/*/*")}
    complaints = re.findall(r"virt plugin: .*", (folder / "log").read_text())
    return names | {line for line in complaints if "failed" in line or "error" in line.lower()}


def test_collectd_collects_the_same(ways: Ways, folders: Iterator[pathlib.Path]) -> None:
    direct = collected(next(folders), ways.direct)
    assert collected(next(folders), ways.through) == direct
    assert any(name.startswith("machine1/virt") for name in direct)


@contextlib.contextmanager
def screen(folder: pathlib.Path) -> Iterator[str]:
    """An X display of its own."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x768x24"]
    command += ["-nolisten", "tcp"]
    process = harness.Process(command, folder / "x.log", harness.environment(folder), [writer])
    os.close(writer)
    try:
        with os.fdopen(reader) as number:
            yield f":{number.readline().strip()}"
    finally:
        process.end()


@contextlib.contextmanager
def virt_manager(folder: pathlib.Path, uri: str) -> Iterator[harness.Process]:
    with screen(folder) as display:
        env = harness.environment(folder) | {"DISPLAY": display, "NO_AT_BRIDGE": "1"}
        env |= {"GSETTINGS_BACKEND": "memory", "GIO_USE_VFS": "local"}
        command = ["dbus-run-session", "--", "virt-manager", "--debug", "--no-fork", "-c", uri]
        process = harness.Process(command, folder / "virt-manager.log", env)
        try:
            yield process
        finally:
            process.end()


def test_virt_manager_shows_the_machines(
    ways: Ways, make_gate: MakeModuleGate, folders: Iterator[pathlib.Path]
) -> None:
    """It opens to write, asks for passwords and refreshes pools: all that a reader may not."""
    gate = make_gate(
        {"hail": ways.direct},
        harness.Listen("hail.sock", "hail"),
        sections={"policy": {"pretend": ["STORAGE_POOL_REFRESH"]}},
    )
    with virt_manager(next(folders), gate.uri(ways.path)) as process:
        for name in ("domain=machine1", "domain=machine4", "pool=store"):
            pattern = rf"{name} status=\S+ added"
            harness.wait_for(
                name, lambda: re.search(pattern, process.output()), 3 * harness.PATIENCE
            )
        text = process.output()
    assert "Blacklisting" not in text
    gate.logged("amended")
    gate.logged("pretended")
    assert len(re.findall(r"amended.*DOMAIN_GET_XML_DESC", gate.log())) == 1


def viewed(folder: pathlib.Path, uri: str) -> list[str]:
    """What virt-viewer says of the machine on its way to the screen, which nobody has."""
    with screen(folder) as display:
        env = harness.environment(folder) | {"DISPLAY": display, "NO_AT_BRIDGE": "1"}
        env |= {"GSETTINGS_BACKEND": "memory", "GIO_USE_VFS": "local"}
        command = ["dbus-run-session", "--", "virt-viewer", "--debug", "-c", uri, "machine1"]
        process = harness.Process(command, folder / "virt-viewer.log", env)
        try:
            harness.wait_for(
                "the way to the screen",
                lambda: "After open connection" in process.output(),
                3 * harness.PATIENCE,
            )
        finally:
            process.end()
        return re.findall(r"DEBUG: [\d:.]+: ((?:Guest|Set connect|virt_viewer_app_set|Error) .*)", process.output())


def test_virt_viewer_finds_the_machine(ways: Ways, folders: Iterator[pathlib.Path]) -> None:
    """The connection of a screen is its own affair, as it is directly."""
    direct, through = (viewed(next(folders), uri) for uri in (ways.direct, ways.through))
    assert through == direct
    assert "Guest machine1 has a vnc display" in through


def test_virt_manager_shows_nothing_when_secure_xml_is_refused(
    ways: Ways, make_gate: MakeModuleGate, folders: Iterator[pathlib.Path]
) -> None:
    """So that the test above says something."""
    gate = make_gate(
        {"hail": ways.direct},
        harness.Listen("hail.sock", "hail"),
        sections={"policy": {"secure_xml": "refuse"}},
    )
    with virt_manager(next(folders), gate.uri(ways.path)) as process:
        harness.wait_for(
            "its complaint",
            lambda: "Blacklisting domain=machine1" in process.output(),
            3 * harness.PATIENCE,
        )
    gate.logged("flag SECURE is refused: it reveals passwords")


# For root libvirt-dbus opens the socket in /run, which is the gate's here. The bus starts it.
DBUS = """
mount -t tmpfs -o mode=755 none /run && mkdir /run/libvirt && ln -s "$1" /run/libvirt/libvirt-sock &&
exec dbus-run-session --config-file "$2" -- /bin/sh -c '
  ask() { dbus-send --session --print-reply=literal --dest=org.libvirt "$@"; }
  for path in $(ask /org/libvirt/QEMU org.libvirt.Connect.ListDomains uint32:0); do
    case $path in /*) ask "$path" org.freedesktop.DBus.Properties.Get string:org.libvirt.Domain string:Name;; esac
  done'
"""
BUS = """<busconfig>
<type>session</type><listen>unix:dir={folder}</listen><auth>EXTERNAL</auth>
<servicedir>{folder}</servicedir>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/><allow own="*"/></policy>
</busconfig>
"""


@pytest.mark.skipif(not harness.may_unshare(), reason="needs a /run of its own")
def test_libvirt_dbus_lists_the_machines(
    ways: Ways,
    make_gate: MakeModuleGate,
    make_module_recorder: Callable[[harness.Daemon], recorder.Recorder],
    folders: Iterator[pathlib.Path],
) -> None:
    folder = next(folders)
    (folder / "org.libvirt.service").write_text(
        "[D-BUS Service]\nName=org.libvirt\nExec=/usr/sbin/libvirt-dbus --session\n"
    )
    (folder / "bus.conf").write_text(BUS.format(folder=folder))
    # It knows URIs of real hypervisors alone.
    between = make_module_recorder(ways.daemon)
    between.opens = f"test://{ways.path}"
    uri = f"qemu+unix:///session?socket={between.path}"
    gate = make_gate({"hail": uri}, harness.Listen("hail.sock", "hail"))
    command = ["unshare", "-m", "sh", "-c", DBUS, "sh", gate.path("hail.sock")]
    code, out, complaints = run([*command, str(folder / "bus.conf")], folder)
    assert code == 0, complaints
    names = re.findall(r"machine\d+", out)
    assert sorted(names) == [f"machine{i}" for i in range(1, 5)], complaints
    assert between.calls(raw.CONNECT_OPEN)
