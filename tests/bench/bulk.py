"""Long replies: how fast they come directly, through the gate and through tunnels of others.

The daemon has them ready, so these figures are about who carries them.
"""

import contextlib
import copy
import json
import pathlib
import subprocess
import sys
from typing import NamedTuple

import harness
import raw
import scene
import stuck
import tables
from ways import Way, start_tunnels

DESCRIPTION = 4_000_000
MILLISECONDS = 700
KINDS = ("unix", "tls", "ssh")
NAME = "test:///default"


class Question(NamedTuple):
    """Readers that ask different things, so that none has another one's answer, or the same."""

    title: str
    readers: int
    procedure: int
    bodies: list[bytes]


def description(number: int) -> bytes:
    return stuck.machine(number) + raw.uint(0)


STATISTICS = raw.uint(0) + raw.uint(0)
QUESTIONS = (
    Question("2 readers of 4 MB", 2, stuck.GET_XML_DESC, [description(1), description(2)]),
    Question(
        f"16 readers of statistics of {stuck.MACHINES}",
        16,
        stuck.STATISTICS,
        [STATISTICS + raw.uint(flags) for flags in (0, 1, 2, 0x10)],
    ),
)


def start_daemon(
    one: scene.Scene, folder: pathlib.Path, stack: contextlib.ExitStack
) -> tuple[str, int]:
    path, port = str(folder / "canned.sock"), harness.free_port()
    certificate, key = one.pki.servers["good"]
    program = str(pathlib.Path(__file__).with_name("canned.py"))
    command = [sys.executable, program, path, str(port), certificate, key, str(DESCRIPTION)]
    process = stack.enter_context(
        subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    if process.stdout.readline().strip() != b"listening":
        raise harness.Failure("the daemon of long replies does not listen")
    return path, port


class Before(scene.Scene):
    """The same scene, whose tunnels lead to this daemon."""

    def __init__(self, one: scene.Scene, path: str, port: int) -> None:
        vars(self).update(vars(one))
        self.daemon = copy.copy(one.daemon)
        self.daemon.unix = path
        self.daemon.tls_port = port


class Bulk:
    """The first way is what the others are compared with."""

    def __init__(
        self, one: scene.Scene, program: str, folder: pathlib.Path, stack: contextlib.ExitStack
    ) -> None:
        self.program = program
        folder.mkdir()
        path, port = start_daemon(one, folder, stack)
        targets = {
            "unix": f"test+unix:///default?socket={path}",
            "tls": f"test+tls://localhost:{port}/default?pkipath={one.client.folder}",
            "ssh": one.uri("ssh", "/default").replace(one.daemon.unix, path),
        }
        gate = harness.Gate(folder, targets)
        gate.measures_turns = False
        stack.callback(gate.stop)
        gate.start()
        for kind in KINDS:
            raw.connect(gate.socket, kind).close()
        (folder / "tunnels").mkdir()
        tunnels, _ = start_tunnels(Before(one, path, port), folder / "tunnels", stack)
        self.ways = [
            Way("unix", f"unix:{path}", NAME),
            *(Way(f"gate to {kind}", f"unix:{gate.socket}", kind) for kind in KINDS),
            *(way._replace(name=NAME) for kind in ("tls", "ssh") for way in tunnels[kind]),
        ]
        self.sizes = [self._size(path, question) for question in QUESTIONS]
        self.figures: dict[tuple[str, str], tables.Figures] = {}  # by way and question

    @staticmethod
    def _size(path: str, question: Question) -> int:
        with raw.connect(path, NAME) as client:
            return len(client.call(question.procedure, question.bodies[0]))

    def round(self) -> None:
        for question, size in zip(QUESTIONS, self.sizes):
            for way in self.ways:
                rate = self._rate(way, question) * size / 1e6
                self.figures.setdefault((way.title, question.title), []).append(rate)

    def _rate(self, way: Way, question: Question) -> float:
        command = [self.program, "asks", way.address, way.name, str(MILLISECONDS)]
        command += [str(question.readers), str(question.procedure)]
        command += [",".join(one.hex() for one in question.bodies)]
        figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        assert figures["failed"] == 0
        return float(figures["rate"])

    def lines(self) -> list[list[str]]:
        lines = [["MB/s", *(question.title for question in QUESTIONS)]]
        for way in self.ways:
            cells = []
            for question in QUESTIONS:
                base = self.figures[self.ways[0].title, question.title]
                own = self.figures[way.title, question.title]
                cells.append(tables.cell(own, None if way == self.ways[0] else base))
            lines.append([way.title, *cells])
        return lines
