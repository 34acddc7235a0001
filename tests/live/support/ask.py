"""What a gate says about itself, over HTTP and by `virtgate status`."""

import json
import socket
import subprocess
from typing import Any

import harness


def fetch(
    address: harness.Address, path: str, accept: str | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, fields and body of the answer."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
    lines += [f"Accept: {accept}"] if accept else []
    with harness.dial(address, harness.PATIENCE) as one:
        one.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = everything(one)
    head, _, body = data.decode().partition("\r\n\r\n")
    first, *fields = head.split("\r\n")
    return int(first.split()[1]), dict(field.split(": ", 1) for field in fields), body


def everything(one: socket.socket) -> bytes:
    data = b""
    while piece := one.recv(1 << 16):
        data += piece
    return data


def status(gate: harness.Gate) -> dict[str, Any]:
    code, fields, body = fetch(gate.control, "/status.json")
    assert (code, fields["Content-Type"]) == (200, "application/json")
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


def status_text(gate: harness.Gate, *options: str) -> str:
    """What `virtgate status` prints."""
    command = [harness.GATE, "status", "--control", gate.control, *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=harness.PATIENCE
    )
    return done.stdout


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [item for item in items if item["name"] == name]
    return found


def check_dropped(gate: harness.Gate, of: str, other: str) -> None:
    """Root alone has lost many records, all of its share `of`; status and metrics say the same."""
    (dropped,) = status(gate)["dropped"]
    assert (dropped["uid"], dropped["others"], dropped[other]) == (0, False, 0)
    assert dropped[of] > 100
    code, _, body = fetch(gate.control, "/metrics")
    assert code == 200
    assert f'virtgate_records_dropped_total{{uid="0",of="{of}"}} {dropped[of]}' in body
