#!/usr/bin/python3
"""Writes the corpora of the fuzz targets filter, reply, client, redact and xen_proxy: calls and replies made from the
signatures in procedures.def, descriptions, and packets of the old Xen proxy with replies to them.

Usage: make_corpus.py FOLDER, from the root of the source tree. FOLDER gets a folder for each target.
"""
import pathlib
import re
import struct
import sys

ROW = re.compile(r'^REMOTE\((\d+), (\w+), (\w+), \w+, "([^"]*)", "([^"]*)"')
LAYOUTS = {
    "int": "n", "uint": "n", "string": "s", "document": "d", "uuid": "u", "domain": "sun", "network": "su",
    "nwfilter": "su", "pool": "su", "volume": "sss", "interface": "ss", "node_device": "s", "secret": "uns",
    "snapshot": "ssun", "checkpoint": "ssun", "binding": "ss", "port": "suu",
}
KEEPALIVE = 0x6B656570
REMOTE = 0x20008086


def word(number):
    return struct.pack(">I", number & 0xFFFFFFFF)


def text(value):
    return word(len(value)) + value + bytes(-len(value) % 4)


def frame(procedure, body=b"", program=REMOTE, version=1, kind=0, serial=1, status=0):
    return struct.pack(">IIIiIII", 28 + len(body), program, version, procedure, kind, serial, status) + body


def number_for(values):
    if not values:
        return 1
    if values.startswith("0x"):
        return int(values.partition(",")[0], 16)
    if ".." in values:
        return max(1, int(values.split("..")[0]))
    return next(int(member) for member in reversed(values.split(",")) if ">" not in member)


def argument(token):
    word_type, shape, count, values = re.fullmatch(
        r"\w+:(\w+?)(?:(\?)|\[(\d+)\])?(?:\{(.*)\})?", token).groups()
    fields = {"n": word(number_for(values)), "s": text(b"vm-01"), "d": text(b"<cpu/>"), "u": bytes(range(16))}
    value = b"".join(fields[field] for field in LAYOUTS[word_type])
    if shape:
        return word(1) + value
    if count:
        return word(2) + value + value
    return value


SCALARS = {"int": word(1), "uint": word(1), "hyper": bytes(8), "uhyper": bytes(8), "char": word(7), "uchar": word(7),
           "ushort": word(7), "string": text(b"vm-01"), "param": text(b"state") + word(7) + text(b"one")}


def reply_type(signature):
    """The bytes of the first type, and what is behind it."""
    if signature.startswith("{"):
        value, rest = reply(signature[1:])
        return value, rest[1:]
    name = re.match(r"\w+", signature).group()
    fields = {"n": word(1), "s": text(b"vm-01"), "u": bytes(range(16))}
    value = SCALARS.get(name) or b"".join(fields[field] for field in LAYOUTS.get(name, ""))
    return value, signature[len(name):]


def reply(signature):
    """A reply of that signature, up to its end or the brace that closes it."""
    out = b""
    while signature and not signature.startswith("}") and signature != "-":
        name = re.match(r"\w*", signature.partition(":")[2]).group()
        opaque = name == "opaque"
        value, signature = reply_type(signature.partition(":")[2])
        shape = re.match(r"\?|\[(\.\.)?(\d+)\]|", signature)
        signature = signature[shape.end():]
        if opaque:
            value = text(b"\x03")
        elif shape.group() == "?" or shape.group(1):
            value = word(1) + value
        elif shape.group(2):
            value *= int(shape.group(2))
        if name == "char" and shape.group():
            value = value[:-4] + word(0)
        signature = re.sub(r"^=\w+", "", signature).lstrip(" ")
        out += value
    return out, signature


# Behaviours of the target client.
GREETED, SLOW, DIES, STUCK, BYSTANDER, LATE, HANGS_UP, COMPACT = (1 << bit for bit in range(8))


def short_form(procedure, body=b"", program=0, kind=0, status=0):
    return bytes((program << 4 | kind | status << 6, procedure >> 8, procedure & 255, len(body) // 4)) + body


def write_client(folder, bodies, others):
    """Sessions of several calls each, as whole frames and in the short form."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = sorted(bodies)
    ways = (0, GREETED, GREETED | SLOW, GREETED | SLOW | DIES, GREETED | STUCK | HANGS_UP,
            GREETED | BYSTANDER, GREETED | SLOW | LATE, GREETED | SLOW | BYSTANDER | DIES)
    for start in range(0, len(numbers), 8):
        some = numbers[start : start + 8]
        way = ways[start // 8 % len(ways)]
        frames = b"".join(frame(one, bodies[one], serial=10 + one) for one in some)
        (folder / f"calls_{some[0]}").write_bytes(bytes((start % 97, way)) + frames)
        forms = b"".join(short_form(one, bodies[one]) for one in some if len(bodies[one]) < 1000)
        (folder / f"forms_{some[0]}").write_bytes(bytes((0, way | GREETED | COMPACT)) + forms)
    opening = frame(66) + frame(60, word(10)) + frame(1, word(1) + text(b"hail") + word(0))
    for name, stream in others.items():
        (folder / f"other_{name}").write_bytes(bytes((7, 0)) + opening + stream)
    events = [short_form(316, word(one) + word(0)) for one in range(28)]
    events += [short_form(317, word(one)) for one in range(8)] + [short_form(105), short_form(106)]
    (folder / "events").write_bytes(bytes((0, GREETED | COMPACT | SLOW)) + b"".join(events))


# Steps of the target xen_proxy.
SENDS, REPLIES, FAILS, SAYS, GIVES_UP = 0, 2, 3, 4, 5


def step(kind, data=b""):
    return struct.pack(">BH", kind, len(data)) + data


def packet(command, number=0, extra=b"", version=1, length=None):
    return struct.pack("=4Hq", version, command, 7, 16 + len(extra) if length is None else length, number) + extra


def write_xen_proxy(folder):
    folder.mkdir(parents=True, exist_ok=True)
    uuid = bytes(range(16))
    domain = text(b"web") + uuid + word(5)
    hyper = word(0) + word(4096)
    xml = text(b"<domain/>")
    sessions = {
        "none": (packet(0), None),
        "version": (packet(1), hyper),
        "node_info": (packet(2), b"".join(map(word, b"x86_64".ljust(32, b"\0"))) + hyper + word(1) * 6),
        "list": (packet(3), word(2) + word(1) + word(5)),
        "num_domain": (packet(4), word(2)),
        "lookup_id": (packet(5, 5), domain),
        "lookup_uuid": (packet(6, extra=uuid), domain),
        "lookup_name": (packet(7, extra=b"web\0"), domain),
        "max_memory": (packet(8, 5), domain, hyper),
        "domain_info": (packet(9, 5), domain, word(1) + hyper + hyper + word(2) + hyper),
        "domain_xml": (packet(10, 5), domain, xml),
        "domain_os_type": (packet(11, 5), domain, text(b"hvm")),
        "capabilities": (packet(12), text(b"<capabilities/>" * 300)),
    }
    everything = b""
    for number, (name, (request, *replies)) in enumerate(sessions.items()):
        told = b"".join(step(REPLIES, reply or b"") for reply in replies)
        everything += step(SENDS, request) + told
        (folder / name).write_bytes(bytes((number,)) + step(SENDS, request) + step(REPLIES) + told)
    greeting = step(SENDS, packet(0)) + step(REPLIES)
    others = {
        "session": greeting + everything,
        "failures": b"".join(step(SENDS, one[0]) + step(FAILS) for one in sessions.values()),
        "ahead": step(SENDS, packet(4) * 20) + step(REPLIES) + step(REPLIES, word(2)) * 19 + step(GIVES_UP),
        "half": greeting + step(SENDS, packet(7, extra=b"web\0")[:17]) + step(SENDS, b"eb\0") + step(REPLIES, domain),
        "stray": greeting + step(SAYS, frame(4, serial=99, kind=1)) + step(SENDS, packet(1)),
        "version_2": greeting + step(SENDS, packet(1, version=2)),
        "command_13": greeting + step(SENDS, packet(13)),
        "short_length": greeting + step(SENDS, packet(1, length=15)),
        "no_nul": greeting + step(SENDS, packet(7, extra=b"web")),
        "long_name": greeting + step(SENDS, packet(5, 5)) + step(REPLIES, text(b"n" * 1200) + uuid + word(5)),
    }
    for name, steps in others.items():
        (folder / ("other_" + name)).write_bytes(bytes((10,)) + steps)


def write_redact(folder):
    """Descriptions: all hidden, and each class."""
    roots = ("domain", "domainsnapshot", "domaincheckpoint", "domainbackup", "network", "networkport", "pool", "volume",
             "device", "secret", "sysinfo")
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(pathlib.Path("tests/unit/descriptions").glob("*.xml")):
        root = roots.index(path.stem.removesuffix("-2"))
        (folder / path.stem).write_bytes(bytes((0xFF, root)) + path.read_bytes())
    others = {
        "doctype": b"<!DOCTYPE d [<!ENTITY e '/x'>]><domain>&e;</domain>",
        "encoding": b"<?xml version='1.0' encoding='UTF-16'?><domain/>",
        "deep": b"<domain>" + b"<a>" * 70,
        "mixed": b"<domain><os><kernel>/a<b/></kernel></os></domain>",
        "quotes": b"<domain><source  file = \"/a'&gt;\"\n dev='/b'/></domain>",
        "metadata": b"<domain><metadata><!-- a --><?b c?><![CDATA[<os>]]></metadata><os><cmdline>d</cmdline></os></domain>",
        "vmware": b"<domain><source file='[a] b'/></domain>",
    }
    for name, document in others.items():
        (folder / ("other_" + name)).write_bytes(bytes((0x7F, 0)) + document)


def main():
    folder = pathlib.Path(sys.argv[1])
    filters = folder / "filter"
    filters.mkdir(parents=True, exist_ok=True)
    replies = folder / "reply"
    replies.mkdir(parents=True, exist_ok=True)
    by_reply = {}
    bodies = {}
    calls = {}
    by_signature = {}
    for line in pathlib.Path("policy/procedures.def").read_text(encoding="ascii").splitlines():
        match = ROW.match(line)
        if not match:
            continue
        number, name, rule, signature, answer = match.groups()
        if rule != "deny" and answer not in by_reply:
            by_reply[answer] = name
            arguments = b"".join(argument(token) for token in signature.split())
            (replies / name.lower()).write_bytes(word(int(number)) + text(arguments) + reply(answer)[0])
        body = b"".join(argument(token) for token in signature.split())
        calls[name] = frame(int(number), body)
        shape = re.sub(r"\w+:|\{[^}]*\}", "", signature)
        if shape not in by_signature:
            bodies[int(number)] = body
        by_signature.setdefault(shape, name)
    for name in by_signature.values():
        (filters / name.lower()).write_bytes(b"\xff" + calls[name])
    session = b"".join(calls[name] for name in (
        "AUTH_LIST", "CONNECT_SUPPORTS_FEATURE", "CONNECT_OPEN", "CONNECT_LIST_ALL_DOMAINS", "CONNECT_CLOSE"))
    others = {
        "session": session,
        "denied": calls["DOMAIN_DESTROY"],
        "event": calls["DOMAIN_EVENT_LIFECYCLE"],
        "ping": frame(1, program=KEEPALIVE, kind=2, serial=0),
        "pong": frame(2, program=KEEPALIVE, kind=2, serial=0),
        "files": frame(443, word(1), kind=4),
        "stream": frame(208, b"data", kind=3, status=2),
        "hole": frame(208, bytes(12), kind=6, status=2),
        "program": frame(1, program=0x06900690),
        "qemu": frame(1, program=0x20008087),
        "version": frame(51, version=2),
        "status": frame(51, status=1),
        "short": word(27),
        "long": word(33554437),
        "loose_open": frame(1, bytes.fromhex("01000000") + text(b"test:///default") + word(0)),
        "free_pages_wrap": frame(340, word(1023) + word(4) * 1023 + word(0) + word(4198405) + word(0)),
        "doctype": frame(158, text(b"<!DOCTYPE cpu><cpu/>") + word(0)),
        "blank_lines": frame(158, text(b"<cpu>" + b"\n" * 100) + word(0)),
    }
    for name, stream in others.items():
        (filters / ("other_" + name)).write_bytes(b"\x05" + stream)
    write_client(folder / "client", bodies, {name: stream for name, stream in others.items() if name != "session"})
    write_xen_proxy(folder / "xen_proxy")
    write_redact(folder / "redact")


main()
