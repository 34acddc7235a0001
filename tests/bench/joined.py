"""Many clients that ask the same, and many that ask each for something else, against direct ones.

What is asked costs the daemon little, so these figures are about who asks how.
"""

import json
import pathlib
import subprocess

import raw
import tables
from ways import Way

CLIENTS = 64
MILLISECONDS = 500
SAME = [raw.string("machine1")]
DIFFERENT = [raw.string(f"machine{number}") for number in range(1, CLIENTS + 1)]
QUESTIONS = {"the same": SAME, "different": DIFFERENT}
MACHINE = """<domain type='test'><name>machine{number}</name><memory>1024</memory>
  <os><type>hvm</type></os></domain>"""


def write_machines(path: pathlib.Path) -> None:
    """As little as can be: a daemon's test driver reads it anew for each connection."""
    machines = "".join(MACHINE.format(number=number) for number in range(1, CLIENTS + 1))
    path.write_text(f"<node>{machines}</node>")


class Joined:
    """The first way is what the others are compared with."""

    def __init__(self, program: str, ways: list[Way]) -> None:
        self.program = program
        self.ways = ways
        self.figures: dict[tuple[str, str], tables.Figures] = {}  # by way and question

    def round(self) -> None:
        for title, bodies in QUESTIONS.items():
            for way in self.ways:
                self.figures.setdefault((way.title, title), []).append(self._rate(way, bodies))

    def _rate(self, way: Way, bodies: list[bytes]) -> float:
        command = [self.program, "asks", way.address, way.name, str(MILLISECONDS), str(CLIENTS)]
        command += [str(raw.DOMAIN_LOOKUP_BY_NAME), ",".join(one.hex() for one in bodies)]
        figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        assert figures["failed"] == 0
        return float(figures["rate"])

    def lines(self) -> list[list[str]]:
        lines = [[f"calls/s, {CLIENTS} clients", *QUESTIONS]]
        for way in self.ways:
            cells = []
            for title in QUESTIONS:
                base = self.figures[self.ways[0].title, title]
                own = self.figures[way.title, title]
                cells.append(tables.cell(own, None if way == self.ways[0] else base))
            lines.append([way.title, *cells])
        return lines
