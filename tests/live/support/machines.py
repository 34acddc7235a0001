"""The one target of a gate, "machines", as tests of its tunnel look at it."""

import pathlib
import subprocess
from typing import Any

import pytest

import harness
import raw


def target(uri: str, **more: Any) -> dict[str, Any]:
    return {"machines": {"uri": uri, "retry_timeout": "1s", "call_timeout": "5s", **more}}


def patient(uri: str) -> dict[str, Any]:
    """For what may stay away for long on a busy machine."""
    return {"machines": {"uri": uri, "retry_timeout": "1min", "call_timeout": "1min"}}


def refusal(gate: harness.Gate) -> str:
    with raw.Client(gate.socket) as one, pytest.raises(raw.LibvirtError) as failure:
        one.open("machines")
    return failure.value.text


def opens(gate: harness.Gate) -> bool:
    with raw.connect(gate.socket, "machines") as one:
        return one.version() > 0


def virsh(uri: str, *command: str) -> tuple[int, str, str]:
    arguments = ["virsh", "-r", "-c", uri, *command]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, timeout=harness.PATIENCE
    )
    return done.returncode, done.stdout, done.stderr


def run_as(uid: int, script: str, group: int = 61199, **streams: Any) -> subprocess.Popen:
    """Another user's program, which may import what is beside the tests."""
    return subprocess.Popen(
        ["/usr/bin/python3", "-c", script],
        user=uid,
        group=group,
        extra_groups=[],
        cwd=pathlib.Path(__file__).parent,
        text=True,
        **streams,
    )


def version_as(uid: int, gate: harness.Gate, name: str) -> subprocess.Popen:
    """Another user's program that asks what libvirt a target has, and prints it."""
    script = (
        "import raw\n"
        f"with raw.connect({gate.socket!r}, {name!r}) as one:\n"
        "    print(one.version(), flush=True)\n"
    )
    return run_as(uid, script, stdout=subprocess.PIPE)


def check_version_as(uid: int, gate: harness.Gate, name: str) -> None:
    with version_as(uid, gate, name) as process:
        said, _ = process.communicate(timeout=harness.PATIENCE)
        assert process.returncode == 0
    assert int(said) > 0


def opens_yet(gate: harness.Gate) -> bool:
    try:
        return opens(gate)
    except raw.LibvirtError:
        return False
