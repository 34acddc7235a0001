"""User and group databases that take their time, as a directory service behind NSS does."""

import os
import pathlib
import re
import signal
import subprocess
from typing import Callable, Iterator

import pytest

import busy
import harness
import machines
import raw

MakeGate = Callable[..., harness.Gate]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")

STRANGER = 61031

# Stands before the C library: slow while the file is there, and then like a directory that knows nobody.
SLOW = """
#include <stdlib.h>
#include <unistd.h>
#include <pwd.h>
#include <grp.h>

static int slow(void) {
  const char *file = getenv("SLOW_WHILE");
  if (file == NULL || access(file, F_OK) != 0) return 0;
  usleep(1200 * 1000);
  return 1;
}

int getpwnam_r(const char *name, struct passwd *to, char *text, size_t size, struct passwd **found) {
  (void)name, (void)to, (void)text, (void)size;
  slow();
  *found = NULL;
  return 0;
}

int getgrnam_r(const char *name, struct group *to, char *text, size_t size, struct group **found) {
  (void)name, (void)to, (void)text, (void)size;
  slow();
  *found = NULL;
  return 0;
}

int getpwuid_r(uid_t uid, struct passwd *to, char *text, size_t size, struct passwd **found) {
  (void)uid, (void)to, (void)text, (void)size;
  slow();
  *found = NULL;
  return 0;
}
"""


@pytest.fixture(scope="module")
def slow_library(folders: Iterator[pathlib.Path]) -> pathlib.Path:
    return harness.preloaded(next(folders), "slow", SLOW)


class Slow:
    """A gate whose look-ups of accounts take long from slow() on."""

    def __init__(self, gate: harness.Gate, library: pathlib.Path) -> None:
        self.gate = gate
        self.switch = library.with_name(f"on{gate.folder.name}")
        gate.environment = {"LD_PRELOAD": str(library), "SLOW_WHILE": str(self.switch)}

    def slow(self) -> None:
        self.switch.touch()


@pytest.fixture
def slow(
    daemon: harness.Daemon, slow_library: pathlib.Path, folders: Iterator[pathlib.Path]
) -> Iterator[Slow]:
    folder = next(folders)
    named = [
        {"users": [f"user{i}"], "groups": [f"group{i}"], "targets": ["*"], "allow": ["*"]}
        for i in range(5)
    ]
    everybody = {"users": ["0", str(STRANGER)], "targets": ["*"], "allow": ["*"]}
    gate = harness.Gate(
        folder, {"hail": daemon.uri("unix")}, rules=(*named, everybody), clients=100
    )
    one = Slow(gate, slow_library)
    try:
        gate.start()
        yield one
    finally:
        gate.stop()


def test_a_reload_holds_up_nobody(slow: Slow) -> None:
    gate = slow.gate
    with busy.Crew(gate.socket, "hail", 4) as crew:
        slow.slow()
        os.kill(gate.pid, signal.SIGHUP)
        crew.progress(200)
        with raw.connect(gate.socket, "hail") as newcomer:
            assert newcomer.version() > 0
        # Ten names of a second and more each are still looked up.
        assert not re.search(r"\breloaded\b", gate.log())
        harness.wait_for(
            "the end of the reload", lambda: re.search(r"\breload(ed|-failed)\b", gate.log())
        )
        crew.progress(50)
    assert "upstream-lost" not in gate.log()


def test_a_client_whose_name_nobody_knows_holds_up_nobody(slow: Slow) -> None:
    gate = slow.gate
    with busy.Crew(gate.socket, "hail", 2) as crew:
        slow.slow()
        with machines.version_as(STRANGER, gate, "hail") as process:
            crew.progress(200)
            said, _ = process.communicate(timeout=harness.PATIENCE)
        assert int(said) > 0
