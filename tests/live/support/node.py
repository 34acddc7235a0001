"""The machines, networks and volumes that the test driver is given: test:///FILE of node_xml().

Each connection to such a file gets a private copy of it, so everything that may differ between two
copies (identifiers, addresses, times) is written down.
"""

_DOMAIN = """\
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    <name>machine{i}</name>
    <uuid>00000000-0000-4000-8000-{i:012d}</uuid>
    <title>Machine number {i}</title>
    <metadata><site:place xmlns:site='http://example.com/site'>rack {i}</site:place></metadata>
    <memory unit='KiB'>{memory}</memory>
    <vcpu>{vcpus}</vcpu>
    <os><type arch='i686'>hvm</type></os>
    <devices>
      <disk type='file' device='disk'>
        <source file='/guests/machine{i}.img'/><target dev='vda' bus='virtio'/>
      </disk>
      <interface type='network'>
        <mac address='52:54:00:00:{high:02x}:{low:02x}'/><source network='lan'/>
      </interface>
      <graphics type='vnc' port='{port}' passwd='hush'/>
    </devices>
{state}{snapshot}  </domain>
"""

_SNAPSHOT = """\
    <test:domainsnapshot>
      <name>before</name><state>running</state><creationTime>1700000000</creationTime>
      <domain type='test'>
        <name>machine{i}</name><uuid>00000000-0000-4000-8000-{i:012d}</uuid>
        <memory unit='KiB'>{memory}</memory><vcpu>{vcpus}</vcpu>
        <os><type arch='i686'>hvm</type></os>
      </domain>
      <active>0</active>
    </test:domainsnapshot>
    <test:domainsnapshot>
      <name>after</name><state>running</state><creationTime>1700003600</creationTime>
      <parent><name>before</name></parent>
      <domain type='test'>
        <name>machine{i}</name><uuid>00000000-0000-4000-8000-{i:012d}</uuid>
        <memory unit='KiB'>{memory}</memory><vcpu>{vcpus}</vcpu>
        <os><type arch='i686'>hvm</type></os>
      </domain>
      <active>1</active>
    </test:domainsnapshot>
"""

_NETWORK = """\
  <network>
    <name>{name}</name>
    <uuid>10000000-0000-4000-8000-{i:012d}</uuid>
    <forward mode='nat'/>
    <bridge name='virbr9{i}'/>
    <mac address='52:54:00:01:00:{i:02x}'/>
    <ip address='192.0.2.{first}' netmask='255.255.255.224'>
      <dhcp><range start='192.0.2.{low}' end='192.0.2.{high}'/></dhcp>
    </ip>
  </network>
"""

_VOLUME = """\
    <volume type='file'>
      <name>disk{i}.img</name>
      <capacity unit='bytes'>{capacity}</capacity><allocation unit='bytes'>4096</allocation>
      <target><path>/pools/{pool}/disk{i}.img</path></target>
    </volume>
"""

_POOL = """\
  <pool type='dir'>
    <name>{pool}</name>
    <uuid>20000000-0000-4000-8000-{i:012d}</uuid>
    <target><path>/pools/{pool}</path></target>
{volumes}  </pool>
"""

_REST = """\
  <cpu>
    <mhz>2400</mhz><model>i686</model><active>4</active>
    <nodes>1</nodes><sockets>1</sockets><cores>4</cores><threads>1</threads>
  </cpu>
  <memory>16777216</memory>
  <interface type='ethernet' name='eth1'>
    <start mode='onboot'/><mac address='52:54:00:02:00:01'/><mtu size='1492'/>
  </interface>
"""

SHUT_OFF = "    <test:runstate>5</test:runstate>\n"


def _domain(i: int) -> str:
    """Every third machine is shut off, and every twentieth has snapshots."""
    values = {"i": i, "memory": 262144 * (1 + i % 8), "vcpus": 1 + i % 4}
    return _DOMAIN.format(
        **values,
        high=i >> 8,
        low=i & 255,
        port=5900 + i,
        state=SHUT_OFF if i % 3 == 0 else "",
        snapshot=_SNAPSHOT.format(**values) if i % 20 == 1 else "",
    )


def _pool(i: int, pool: str) -> str:
    volumes = "".join(_VOLUME.format(i=v, pool=pool, capacity=v << 20) for v in range(1, 13))
    return _POOL.format(i=i, pool=pool, volumes=volumes)


def node_xml(domains: int = 200) -> str:
    networks = (
        _NETWORK.format(name="lan", i=1, first=1, low=2, high=30),
        _NETWORK.format(name="guests", i=2, first=33, low=34, high=62),
    )
    pools = (_pool(1, "store"), _pool(2, "images"))
    machines = (_domain(i) for i in range(1, domains + 1))
    return f"<node>\n{_REST}{''.join((*networks, *pools, *machines))}</node>\n"
