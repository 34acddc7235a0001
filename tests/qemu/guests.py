"""libvirtd with its qemu driver, and guests that run, are paused, are off and are saved."""

import pathlib
import subprocess

import harness

PASSWORD = "topsecrt"

DAEMON = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_dir = "{sockets}"
unix_sock_ro_perms = "0777"
host_uuid = "8a4d7a8e-5a4c-4c0e-9f5e-2b6f0d1c7e55"
log_outputs = "3:stderr"
"""

# Neither namespaces nor control groups can be made everywhere, nor is virtlogd there.
QEMU = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""

DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <uuid>00000000-0000-4000-8000-{number:012d}</uuid>
  <title>{name} of the tests</title>
  <metadata><site xmlns='http://example.com/site'>north</site></metadata>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'>
      <mac address='52:54:00:00:00:{number:02d}'/>
      <model type='virtio'/>
    </interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' autoport='yes' listen='127.0.0.1' passwd='{password}'/>
  </devices>
</domain>
"""

POOL = """
<pool type='dir'>
  <name>images</name>
  <uuid>00000000-0000-4000-8000-000000000100</uuid>
  <target><path>{folder}</path></target>
</pool>
"""

NAMES = ("run1", "paused1", "off1", "saved1")


class Hypervisor:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.sockets = folder / "sockets"
        self.images = folder / "images"
        self.sockets.mkdir()
        self.images.mkdir()
        config = folder / "libvirtd.conf"
        config.write_text(DAEMON.format(sockets=self.sockets))
        pathlib.Path("/etc/libvirt/qemu.conf").write_text(QEMU)
        self.command = ["/usr/sbin/libvirtd", "--config", str(config)]
        self.command += ["--pid-file", str(folder / "libvirtd.pid")]
        self.process: harness.Process | None = None

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.sockets / 'libvirt-sock'}"

    @property
    def read_only(self) -> str:
        return f"qemu+unix:///system?socket={self.sockets / 'libvirt-sock-ro'}"

    def virsh(self, *arguments: str) -> str:
        command = ["virsh", "-q", "-c", self.uri, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            assert self.process is not None
            raise harness.Failure(f"{arguments}: {done.stderr}\n{self.process.output()[-4000:]}")
        return done.stdout

    def start(self) -> None:
        env = harness.environment(self.folder)
        self.process = harness.Process(self.command, self.folder / "libvirtd.log", env)
        harness.wait_for(
            "libvirtd", lambda: harness.answers(str(self.sockets / "libvirt-sock-ro"))
        )
        for number, name in enumerate(NAMES, 1):
            disk = self.images / f"{name}.qcow2"
            create = ["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "8M"]
            subprocess.run(create, check=True, timeout=60)
            definition = self.folder / f"{name}.xml"
            definition.write_text(
                DOMAIN.format(name=name, number=number, disk=disk, password=PASSWORD)
            )
            self.virsh("define", str(definition))
        pool = self.folder / "pool.xml"
        pool.write_text(POOL.format(folder=self.images))
        self.virsh("pool-define", str(pool))
        self.virsh("pool-start", "images")
        self.virsh("snapshot-create-as", "off1", "before")
        self.virsh("snapshot-create-as", "off1", "after", "--description", "later")
        for name in ("run1", "paused1", "saved1"):
            self.virsh("start", name)
        self.virsh("suspend", "paused1")
        self.virsh("managedsave", "saved1")
        self.virsh("checkpoint-create-as", "run1", "mark")

    def stop(self) -> None:
        if self.process is None:
            return
        for name in ("run1", "paused1"):
            command = ["virsh", "-q", "-c", self.uri, "destroy", name]
            subprocess.run(command, capture_output=True, check=False, timeout=60)
        self.process.end()
