"""Well-formed arguments for every procedure of the remote program that is not plainly a write.

The types are those of libvirt's remote_protocol.x. The values name things of node.py where there
are such, so that most calls succeed at a daemon.
"""

import struct
import uuid

from raw import optional, string, uint

# From the types of the arguments, in order, to the procedures that take just these. A question mark
# is an XDR pointer, brackets are an array; of `flags` and `bits` each bit has a meaning of its own.
BY_TYPES: dict[str, tuple[int, ...]] = {
    "string? flags": (1, 111),
    "": (
        2, 3, 4, 6, 7, 25, 50, 51, 52, 59, 71, 73, 102, 105, 106, 110, 122, 126, 137, 139,
        149, 157, 178, 360, 361,
    ),
    "string?": (5,),
    "domain flags": (14, 183, 187, 190, 191, 200, 212, 229, 298, 299, 351, 365, 387, 388, 422, 426),
    "domain": (15, 16, 17, 18, 19, 56, 121, 150, 151, 163, 202, 278, 449),
    "domain int int": (20,),
    "int": (21, 22, 36, 37, 38, 60, 72, 74, 127, 138, 140, 167, 168, 179, 314, 317, 369, 375, 381),
    "string": (23, 46, 84, 96, 97, 113, 115, 116, 128, 129, 175, 391, 397, 433, 435, 436),
    "uuid": (24, 47, 85, 141, 176),
    "network flags": (43,),
    "network": (44, 45, 152, 153),
    "domain int": (57,),
    "domain string": (64, 65),
    "volume": (86, 98, 100),
    "pool": (87, 89, 91, 154, 155),
    "pool flags": (88,),
    "pool int": (92,),
    "pool string": (95,),
    "volume flags": (99, 378),
    "int int": (101,),
    "string? int flags": (112,),
    "string flags": (114, 158),
    "string int": (117,),
    "interface flags": (130,),
    "secret flags": (143,),
    "int string": (147,),
    "interface": (156,),
    "domain uint flags": (159, 263),
    "domain bits flags": (353,),
    "string[] flags": (162,),
    "nwfilter flags": (177,),
    "snapshot flags": (186, 244, 246, 271, 272),
    "domain int flags": (188, 198, 206, 223, 255, 274, 280, 413),
    "domain string flags": (189, 194, 238, 415),
    "flags": (203, 403),
    "int int flags": (227, 228, 293),
    "domain int int flags": (230,),
    "domain string int flags": (243, 257),
    "snapshot int flags": (247, 275),
    "domain string? int flags": (253,),
    "domain uint int uint flags": (262,),
    "domain int string? flags": (265,),
    "int flags": (273, 281, 283, 284, 285, 286, 287, 289, 401),
    "pool int flags": (282,),
    "string string flags": (297,),
    "string int flags": (312,),
    "int network?": (313,),
    "int domain?": (316,),
    "uint[] int uint flags": (340,),
    "network string? int flags": (341,),
    "domain[] bits flags": (344,),
    "int pool?": (368,),
    "int nodedev?": (374,),
    "int secret?": (380,),
    "binding flags": (398,),
    "network int flags": (404,),
    "network uuid": (405,),
    "port int flags": (407,),
    "port flags": (409,),
    "checkpoint flags": (412, 416),
    "checkpoint int flags": (414,),
    "param[] flags": (419,),
    "network int string? flags": (445,),
}

SIGNATURES = {number: types.split() for types, many in BY_TYPES.items() for number in many}


def _uuid(kind: int, number: int) -> bytes:
    return uuid.UUID(f"{kind}0000000-0000-4000-8000-{number:012d}").bytes


DOMAIN = string("machine1") + _uuid(0, 1) + struct.pack(">i", 1)
NETWORK = string("lan") + _uuid(1, 1)
POOL = string("store") + _uuid(2, 1)
PATH = "/pools/store/disk1.img"

VALUES: dict[str, bytes] = {
    "int": uint(1),
    "uint": uint(0),
    "bits": uint(0),
    "flags": uint(0),
    "string": string("machine1"),
    "string?": optional(None),
    "string[]": uint(1) + string("<cpu><arch>i686</arch><model>i686</model></cpu>"),
    "uint[]": uint(1) + uint(4),
    "param[]": uint(0),
    "uuid": _uuid(0, 1),
    "domain": DOMAIN,
    "domain?": optional(DOMAIN),
    "domain[]": uint(1) + DOMAIN,
    "network": NETWORK,
    "network?": optional(NETWORK),
    "pool": POOL,
    "pool?": optional(POOL),
    "volume": string("store") + string("disk1.img") + string(PATH),
    "interface": string("eth1") + string("52:54:00:02:00:01"),
    "nodedev?": optional(string("computer")),
    "nwfilter": string("clean-traffic") + _uuid(3, 1),
    "binding": string("testnet0") + string("clean-traffic"),
    "port": NETWORK + _uuid(4, 1),
    "secret": _uuid(5, 1) + uint(0) + string(""),
    "secret?": optional(None),
    "snapshot": string("after") + DOMAIN,
    "checkpoint": string("first") + DOMAIN,
}

# Where the value of a type would name nothing: what its strings, integers and so on are instead.
INSTEAD: dict[int, dict[str, bytes]] = {
    46: {"string": string("lan")},  # NETWORK_LOOKUP_BY_NAME
    47: {"uuid": _uuid(1, 1)},
    64: {"string": string("vda")},  # DOMAIN_BLOCK_STATS
    65: {"string": string("testnet0")},  # DOMAIN_INTERFACE_STATS
    84: {"string": string("store")},  # STORAGE_POOL_LOOKUP_BY_NAME
    85: {"uuid": _uuid(2, 1)},
    92: {"int": uint(100)},  # STORAGE_POOL_LIST_VOLUMES
    95: {"string": string("disk1.img")},  # STORAGE_VOL_LOOKUP_BY_NAME
    96: {"string": string(PATH)},
    97: {"string": string(PATH)},
    113: {"string": string("computer")},  # NODE_DEVICE_LOOKUP_BY_NAME
    114: {"string": string("computer")},
    115: {"string": string("computer")},
    116: {"string": string("computer")},
    117: {"string": string("computer")},
    128: {"string": string("eth1")},  # INTERFACE_LOOKUP_BY_NAME
    129: {"string": string("52:54:00:02:00:01")},
    158: {"string": string("<cpu><arch>i686</arch><model>i686</model></cpu>")},
    159: {"uint": uint(0)},
    189: {"string": string("after")},  # DOMAIN_SNAPSHOT_LOOKUP_BY_NAME
    194: {"string": string("vda")},
    238: {"string": string("vda")},
    243: {"string": string("vda")},
    253: {"string?": optional(string("vda"))},  # DOMAIN_GET_BLOCK_IO_TUNE
    257: {"string": string("testnet0")},
    312: {"string": string("x86_64")},  # CONNECT_GET_CPU_MODEL_NAMES
    391: {"string": string("/pools/store")},
}

WHOLE: dict[int, tuple[bytes, ...]] = {
    101: (uint(0), uint(1)),  # NODE_GET_CELLS_FREE_MEMORY
    227: (uint(-1), uint(0), uint(0)),  # NODE_GET_CPU_STATS: all processors, how many values
    340: (uint(1) + uint(4), uint(0), uint(1), uint(0)),  # NODE_GET_FREE_PAGES: one cell
}


def arguments(number: int) -> tuple[bytes, ...] | None:
    """Well-formed ones of a procedure of the remote program; None when it is one that writes."""
    if number not in SIGNATURES:
        return None
    values = VALUES | INSTEAD.get(number, {})
    return WHOLE.get(number) or tuple(values[kind] for kind in SIGNATURES[number])


def well_formed(number: int) -> bytes | None:
    found = arguments(number)
    return None if found is None else b"".join(found)
