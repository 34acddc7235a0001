"""Well-formed arguments for the procedures that signatures.py leaves out: those that write.

`flags` stands for the 32 bits of that name, and `flags64` for the 64 of the migrations.
"""

import struct

import signatures
from raw import optional, string, uint

BY_TYPES: dict[str, tuple[int, ...]] = {
    "domain string": (8, 13, 55),
    "domain": (9, 12, 28, 33, 34, 35, 164),
    "string flags": (10, 76, 77, 123, 131, 142, 235, 309, 350, 399, 428, 429, 430, 431, 432, 437),
    "string": (11, 40, 41, 54, 118, 119, 120, 124, 180),
    "domain uint opaque": (26,),
    "domain flags": (
        27, 182, 184, 196, 210, 231, 234, 242, 245, 258, 267,
        277, 310, 337, 349, 364, 371, 396, 442,
    ),
    "domain int": (29, 450),
    "domain hyper": (30, 31),
    "domain uint": (32,),
    "network": (39, 42, 49),
    "network int": (48,),
    "domain string flags": (53, 160, 161, 174, 185, 237, 392, 411, 424, 443),
    "domain params": (58,),
    "string? flags64 string? hyper": (61,),
    "domain opaque string flags64 string? hyper": (62,),
    "string opaque string flags64": (63,),
    "string string? flags": (75, 233, 301),
    "pool flags": (78, 79, 81, 83),
    "pool": (80, 82),
    "pool int": (90,),
    "pool string flags": (93,),
    "volume flags": (94, 165),
    "domain string hyper uint flags": (103,),
    "domain hyper uint flags": (104, 295, 338),
    "string? flags64 string? hyper string": (108,),
    "string opaque string flags64 int": (109,),
    "pool string volume flags": (125,),
    "interface": (132,),
    "interface flags": (133, 134),
    "string string flags": (135, 136, 236, 447),
    "secret opaque flags": (144,),
    "secret flags": (145,),
    "secret": (146,),
    "flags64 string? hyper string": (148,),
    "domain hyper flags": (166, 204, 207, 300),
    "nwfilter": (181,),
    "snapshot flags": (192, 193),
    "domain params flags": (197, 205, 219, 254, 302, 366, 439, 440),
    "domain uint flags": (199, 211, 249, 343, 355, 356, 418, 448),
    "domain string? flags": (201, 296, 358, 389, 452),
    "volume hyper hyper flags": (208, 209),
    "domain string? flags64 string? hyper": (213,),
    "opaque string? flags64 string? hyper string": (214,),
    "opaque flags64 string? hyper string": (215,),
    "domain string? opaque string? string? flags64 string? hyper": (216,),
    "string opaque string? string? flags64 int": (217,),
    "domain opaque flags64 int": (218,),
    "flags": (220, 221, 222),
    "domain uint opaque flags": (225, 352),
    "domain uint uint uint[] flags": (226,),
    "domain string string? flags": (232, 421),
    "domain string hyper flags": (239, 240, 251, 386),
    "uint hyper flags": (250,),
    "domain string params flags": (252, 256, 451),
    "volume uint flags": (259,),
    "volume hyper flags": (260,),
    "domain uint hyper flags": (261,),
    "domain int string? string? string? flags": (264,),
    "domain string string? hyper flags": (266,),
    "domain opaque flags": (279,),
    "params flags": (288, 441),
    "domain string string? string? hyper flags": (290,),
    "network uint uint int string flags": (291,),
    "domain string? hyper flags": (294,),
    "params opaque flags": (303, 304),
    "domain string? params opaque flags": (305,),
    "params opaque flags int": (306,),
    "domain params opaque flags int": (307,),
    "domain int flags": (308, 420, 427),
    "domain string uint flags": (334,),
    "domain string[] flags": (335, 336),
    "string? string? string? string? flags": (342,),
    "domain string string params flags": (345,),
    "uint[] hyper[] int uint flags": (347,),
    "domain string? string? flags": (357,),
    "domain string int flags": (372, 384),
    "domain uint uint flags": (390,),
    "string? string? string? string? string flags": (393,),
    "string? string? string? string? string[] flags": (394,),
    "int flags": (395,),
    "binding": (400,),
    "domain uint params flags": (402,),
    "network string flags": (406,),
    "port params flags": (408,),
    "port flags": (410,),
    "checkpoint flags": (417,),
    "domain string string[] flags": (425,),
    "string int": (434,),
    "network int string? string? string? flags": (444,),
}

SIGNATURES = {number: types.split() for types, many in BY_TYPES.items() for number in many}

QEMU_SIGNATURES = {
    1: ["domain", "string", "flags"],
    2: ["uint", "flags"],
    3: ["domain", "string", "int", "flags"],
    4: ["domain?", "string?", "flags"],
    5: ["int"],
    7: ["domain", "string", "flags"],
}
LXC_SIGNATURES = {1: ["domain", "flags"]}
TYPED_PARAM_INT = 1

# What takes file descriptors besides: DOMAIN_OPEN_GRAPHICS, DOMAIN_CREATE_XML_WITH_FILES,
# DOMAIN_CREATE_WITH_FILES and DOMAIN_FD_ASSOCIATE; and of QEMU, DOMAIN_MONITOR_COMMAND_WITH_FILES.
WITH_FILES = {249, 309, 310, 443}
QEMU_WITH_FILES = {7}

VALUES: dict[str, bytes] = signatures.VALUES | {
    "uint": uint(1),
    "flags64": bytes(8),
    "string": string("x"),
    "string?": optional(string("x")),
    "hyper": struct.pack(">Q", 1),
    "hyper[]": uint(1) + struct.pack(">Q", 1),
    "opaque": uint(1) + b"\x01\0\0\0",
    "params": uint(1) + string("x") + uint(TYPED_PARAM_INT) + uint(1),
}
