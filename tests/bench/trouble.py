"""How long calls of somebody who does nothing wrong take, alone and beside each trouble."""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time

import attacks
import harness
import raw
import sshd
import stuck
import tables

ALONE, BESIDE = 1000, 3000  # milliseconds
SETTLE = 0.5  # seconds
EVERY = 10  # milliseconds between a victim's calls
TIMEOUT = 4.0
VALUES = ("p50", "p99")


def victim(place: attacks.Place, target: str, milliseconds: int) -> dict[str, float]:
    body = raw.string("machine199").hex()
    command = [place.load, "paced", f"unix:{place.socket}", target, str(milliseconds), str(EVERY)]
    command += [str(raw.DOMAIN_LOOKUP_BY_NAME), body]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


class Trouble:
    """A gate of its own, whose targets may be harmed."""

    def __init__(
        self, daemon: harness.Daemon, load: str, folder: pathlib.Path, stack: contextlib.ExitStack
    ) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        sick = stack.enter_context(stuck.running(str(folder / "sick.sock")))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server = sshd.Server(folder)  # its keys are used, and it is not started
        flood = server.uri(daemon).replace(f":{server.port}/", f":{listener.getsockname()[1]}/")
        targets = {
            attacks.WELL: daemon.uri("unix"),
            attacks.SICK: {"uri": sick.uri(), "call_timeout": f"{TIMEOUT:.0f}s"},
            attacks.FLOOD: flood,
        }
        gate = harness.Gate(folder, targets, clients_per_user=2000)
        gate.measures_turns = False
        stack.callback(gate.stop)
        gate.start()
        self.place = attacks.Place(gate.socket, attacks.load_of(folder, load), listener, sick)
        self.figures: dict[tuple[str, str], tables.Figures] = {}  # by title and column

    def _add(self, title: str, when: str, figures: dict[str, float]) -> None:
        for value in (*VALUES, "failed"):
            self.figures.setdefault((title, f"{value} {when}"), []).append(figures[value])

    def round(self) -> None:
        for attack in attacks.ATTACKS:
            print(f"  beside {attack.title}", file=sys.stderr)
            self._add(attack.title, "alone", victim(self.place, attack.victim, ALONE))
            with attack.begin(self.place):
                time.sleep(SETTLE)
                self._add(attack.title, "beside", victim(self.place, attack.victim, BESIDE))
            time.sleep(SETTLE)

    def lines(self) -> list[list[str]]:
        head = [f"{value} us {when}" for value in VALUES for when in ("alone", "beside")]
        lines = [["beside", *head]]
        for attack in attacks.ATTACKS:
            cells = []
            for value in VALUES:
                alone = self.figures[attack.title, f"{value} alone"]
                beside = self.figures[attack.title, f"{value} beside"]
                cells += [tables.cell(alone), tables.cell(beside, alone)]
            failed = sum(self.figures[attack.title, "failed beside"])
            lines.append([attack.title, *cells, *([f"{failed:.0f} failed"] if failed else [])])
        return lines
