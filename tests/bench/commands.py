"""Whole commands: the wall time of `virsh list --all`, from its start to its end."""

import statistics
import subprocess
import time
from typing import NamedTuple

import harness
from scene import KINDS, Scene
from tables import Figures, cell
from ways import PATH

TIMES = 3  # a round; their median is the round's figure


class Command(NamedTuple):
    """By one of libvirt's own transports, and through the gate to the same daemon."""

    title: str
    direct: str
    gate: str


class Commands:
    def __init__(self, scene: Scene, gate: harness.Gate, environment: dict[str, str]) -> None:
        self.environment = environment
        self.missing: list[str] = []
        self.figures: dict[str, Figures] = {}  # by URI
        self.commands: list[Command] = []
        for kind in KINDS:
            through = f"{gate.uri(PATH)}&name={kind}"
            self.commands.append(Command(kind, scene.direct(kind, PATH), through))
        libssh2 = scene.uri("ssh", PATH).replace("+ssh", "+libssh2") + "&sshauth=privkey"
        if "transport support was not enabled" in self._run(libssh2):
            self.missing.append("test+libssh2:// (this libvirt was built without)")
        else:
            self.commands.append(Command("ssh, by libssh2", libssh2, through))

    def _run(self, uri: str) -> str:
        """What it complains about."""
        command = ["virsh", "-q", "-c", uri, "list", "--all"]
        output = subprocess.PIPE
        done = subprocess.run(
            command, env=self.environment, stdout=output, stderr=output, text=True, check=False
        )
        return done.stderr

    def _milliseconds(self, uri: str) -> float:
        spent = []
        for _ in range(TIMES):
            begin = time.monotonic()
            complaint = self._run(uri)
            if complaint:
                raise harness.Failure(f"virsh -c {uri}: {complaint}")
            spent.append((time.monotonic() - begin) * 1000)
        return statistics.median(spent)

    def round(self) -> None:
        for uri in dict.fromkeys(uri for command in self.commands for uri in command[1:]):
            self.figures.setdefault(uri, []).append(self._milliseconds(uri))

    def lines(self) -> list[list[str]]:
        lines = [["virsh list --all, ms", "direct", "gate"]]
        for command in self.commands:
            direct, gate = self.figures[command.direct], self.figures[command.gate]
            lines.append([command.title, cell(direct), cell(gate, direct)])
        return lines
