"""virsh's commands that read print through a gate what they print by libvirt's read-only socket."""

import re
import subprocess

import pytest

import harness
from guests import PASSWORD, Hypervisor

COMMANDS = """
list --all
list --all --title
list --all --uuid
list --with-managed-save
list --with-snapshot --all
list --with-checkpoint
list --state-paused
dominfo run1
dominfo paused1
dominfo off1
dominfo saved1
dominfo nosuch
domstate run1 --reason
domstate paused1 --reason
domstate off1 --reason
domstate saved1 --reason
domid run1
domname 00000000-0000-4000-8000-000000000003
domuuid off1
dumpxml run1
dumpxml run1 --inactive
dumpxml run1 --update-cpu
dumpxml paused1
dumpxml off1
dumpxml saved1
domblklist run1 --details
domblkinfo run1 vda
domblkinfo run1 --all
domblkinfo off1 vda --human
domblkerror run1
domblkstat run1 vda
domblkstat run1 vda --human
blkdeviotune run1 vda
blockjob run1 vda
domiflist run1
domifaddr run1
domifaddr run1 --source arp
domif-getlink run1 52:54:00:00:00:01
dommemstat run1
memtune run1
numatune run1
schedinfo run1
blkiotune run1
vcpuinfo run1
vcpucount run1
vcpucount off1 --maximum --config
vcpupin run1
emulatorpin run1
iothreadinfo run1
perf run1
cpu-stats run1
domcontrol run1
domjobinfo run1
domjobinfo run1 --completed
domjobinfo paused1 --completed
domstats run1
domstats --state --vcpu
domstats --list-active --balloon --block --interface
domstats off1
domlaunchsecinfo run1
domdisplay run1
vncdisplay run1
ttyconsole run1
desc run1
desc off1 --title
metadata run1 http://example.com/site
dom-fsthaw run1
domfsinfo run1
domhostname run1
domhostname run1 --source lease
domtime run1
guestinfo run1
guestvcpus run1
get-user-sshkeys run1 root
domsetlaunchsecstate run1
managedsave-dumpxml saved1
snapshot-list off1
snapshot-list off1 --tree
snapshot-list off1 --parent --internal
snapshot-info off1 after
snapshot-dumpxml off1 before
snapshot-current off1 --name
snapshot-current off1
snapshot-parent off1 after
checkpoint-list run1
checkpoint-info run1 mark
checkpoint-dumpxml run1 mark
checkpoint-parent run1 mark
backup-dumpxml run1
pool-list --all --details
pool-info images
pool-dumpxml images
pool-capabilities
vol-list images --details
vol-info run1.qcow2 --pool images
vol-dumpxml off1.qcow2 --pool images
vol-path off1.qcow2 --pool images
vol-key off1.qcow2 --pool images
vol-pool off1.qcow2
net-list --all
net-info nosuch
nwfilter-list
nwfilter-binding-list
nodedev-list
nodedev-list --cap net
iface-list --all
secret-list
nodeinfo
nodecpumap
nodecpustats
nodememstats
node-memory-tune
freecell
freepages --all
capabilities
sysinfo
version --daemon
hostname
maxvcpus --type qemu
cpu-models x86_64
domcapabilities
domxml-to-native qemu-argv --domain off1
nodesevinfo
""".strip().splitlines()

# What they count goes on between one asking and the next.
MOVING = ("cpu-stats", "domstats", "dommemstat", "domblkstat", "nodecpustats", "nodememstats")
MOVING += ("freecell", "freepages", "pool-info", "pool-list", "pool-dumpxml", "domblkinfo")
MOVING += ("vcpuinfo", "dominfo", "vol-list", "vol-info", "vol-dumpxml")


def virsh(uri: str, command: str, *options: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["virsh", *options, "-c", uri, *command.split()],
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    out = done.stdout
    if command.split()[0] in MOVING:
        out = re.sub(r"\d+(\.\d+)?", "#", out)
        out = re.sub(r" +|-+", " ", out)
    return done.returncode, out, done.stderr


@pytest.fixture
def through(gate: harness.Gate) -> str:
    return f"qemu+unix:///system?socket={gate.socket}"


@pytest.mark.parametrize("command", COMMANDS)
def test_virsh_prints_the_same(hypervisor: Hypervisor, through: str, command: str) -> None:
    direct = virsh(hypervisor.read_only, command, "-r")
    assert virsh(through, command, "-r") == direct


@pytest.mark.parametrize(
    "command",
    [
        "dumpxml run1",
        "dumpxml off1 --inactive",
        "snapshot-dumpxml off1 before",
        "checkpoint-dumpxml run1 mark",
        "managedsave-dumpxml saved1",
    ],
)
def test_a_description_has_no_passwords(
    hypervisor: Hypervisor, through: str, command: str
) -> None:
    """It is asked for with them, as programs do that open to write."""
    assert PASSWORD in hypervisor.virsh(*command.split(), "--security-info")
    direct = virsh(hypervisor.read_only, command, "-r")
    assert direct[0] == 0 and PASSWORD not in direct[1]
    assert virsh(through, f"{command} --security-info") == direct


def test_what_has_no_form_that_reads_is_refused(through: str) -> None:
    code, _, errors = virsh(through, "dumpxml run1 --migratable")
    assert code == 1 and "flag MIGRATABLE is refused: it reveals passwords" in errors


def test_statistics_of_a_job_are_not_discarded(hypervisor: Hypervisor, through: str) -> None:
    asked = "domjobinfo run1 --completed"
    answers = [virsh(through, asked), virsh(through, asked)]
    assert answers == 2 * [virsh(hypervisor.read_only, f"{asked} --keep-completed", "-r")]


def test_a_pool_is_refreshed_as_far_as_the_client_knows(through: str) -> None:
    assert virsh(through, "pool-refresh images")[0] == 0


def test_the_guests_are_as_they_were(hypervisor: Hypervisor) -> None:
    states = [hypervisor.virsh("domstate", name).strip() for name in ("run1", "paused1", "off1")]
    assert states == ["running", "paused", "shut off"]
