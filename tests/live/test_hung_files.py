"""Certificates, keys, known hosts, auth.conf and programs on a file system that does not answer, and a SASL
mechanism whose KDC does not: their target fails in its time, with the file's name, and nobody else waits."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
from typing import Callable, Iterator

import pytest

import ask
import busy
import certificates
import harness
import raw
import sasl_scene
import sshd
import victims
from tls_scene import TlsDaemon

# Stands before the C library: whatever names a file in the folder does not return while one switch is
# there, and what looks at one file without reading it while another is. SASL's next step waits too, as
# it does for a KDC.
HANGS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void hang_while(const char *variable, const char *begins, const char *path) {
  const char *file = getenv(variable);
  if (file == NULL || begins == NULL || strncmp(path, begins, strlen(begins)) != 0) return;
  while (NEXT(access)(file, F_OK) == 0) usleep(10 * 1000);
}

static void hang(const char *path) { hang_while("HANG_WHILE", getenv("HANG_IN"), path); }

static int opened(int (*next)(const char *, int, ...), const char *path, int flags, va_list more) {
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  hang(path);
  return next(path, flags, mode);
}

#define OPEN(name)                                        \\
  int name(const char *path, int flags, ...) {            \\
    va_list more;                                         \\
    va_start(more, flags);                                \\
    const int file = opened(NEXT(name), path, flags, more); \\
    va_end(more);                                         \\
    return file;                                          \\
  }
OPEN(open)
OPEN(open64)

#define STAT(name, type)                       \\
  int name(const char *path, struct type *to) { \\
    hang(path);                                \\
    hang_while("HANG_STAT_WHILE", getenv("HANG_STAT_OF"), path); \\
    return NEXT(name)(path, to);               \\
  }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)

int sasl_client_step(void *to, const char *said, unsigned size, void **ask, const char **says, unsigned *length) {
  hang_while("HANG_SASL_WHILE", "", "");
  return NEXT(sasl_client_step)(to, said, size, ask, says, length);
}

int access(const char *path, int how) {
  hang(path);
  return NEXT(access)(path, how);
}

char *realpath(const char *path, char *to) {
  hang(path);
  return NEXT(realpath)(path, to);
}
"""

# The file that each target waits for first, and what is said before its name.
FILES = {
    "pki": "pki/cacert.pem",
    "hosts": "known_hosts",
    "key": "key",
    "ext": "ext",
    "sasl": "auth.conf",
}
STAGES = {"ext": "connect", "sasl": "authentication"}


@pytest.fixture(scope="module")
def hanging_library(folders: Iterator[pathlib.Path]) -> pathlib.Path:
    return harness.preloaded(next(folders), "hangs", HANGS)


def stage(name: str) -> str:
    return STAGES.get(name, "handshake")


class Hung:
    """Targets with a file each that is not answered for while a switch is there, and one without."""

    def __init__(
        self,
        folder: pathlib.Path,
        daemon: harness.Daemon,
        tls_daemon: TlsDaemon,
        client: certificates.ClientFolder,
        server: sshd.Server,
        sasl_daemon: sasl_scene.Daemon,
    ) -> None:
        self.hung = folder / "hung"
        self.switch = folder / "on"
        self.stat_switch = folder / "stat_on"
        self.sasl_switch = folder / "sasl_on"
        self.hung.mkdir()
        shutil.copytree(client.folder, self.hung / "pki")
        for file in (server.key, server.known_hosts):
            shutil.copy(file, self.hung)
        program = self.hung / "ext"
        program.write_text(f"#!/bin/sh\nexec nc -U {daemon.unix}\n")
        program.chmod(0o755)
        known = server.uri(daemon).replace(str(server.known_hosts), f"{self.hung}/known_hosts")
        auth_conf = shutil.copy(sasl_daemon.auth_conf(), self.hung)
        asks = sasl_daemon.target("unix").replace(f"{sasl_daemon.folder}/auth.conf", auth_conf)
        uris = {
            "pki": tls_daemon.tls_uri(self.hung / "pki"),
            "hosts": known,
            "key": server.uri(daemon, key=self.hung / "key"),
            "ext": f"test+ext://{daemon.file}?command={program}",
            "sasl": asks,
            "well": daemon.uri("unix"),
        }
        targets = {name: {"uri": uri, "retry_timeout": "1s"} for name, uri in uris.items()}
        self.textfile = self.hung / "virtgate.prom"
        metrics = {"textfile": str(self.textfile), "interval": "1s"}
        self.gate = harness.Gate(folder, targets, sections={"metrics": metrics})

    def be_in(self, library: pathlib.Path) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(library),
            "HANG_IN": str(self.hung),
            "HANG_WHILE": str(self.switch),
            # A file that a reload itself does not look at.
            "HANG_STAT_OF": str(self.hung / "pki" / "clientkey.pem"),
            "HANG_STAT_WHILE": str(self.stat_switch),
            "HANG_SASL_WHILE": str(self.sasl_switch),
        }

    def complaint(self, name: str) -> str:
        file = self.hung / FILES[name]
        before = {"pki": "our own files cannot be used: ", "ext": f"cannot run {file}: "}
        time = 5000 if name == "ext" else 10000
        return f"{before.get(name, '')}{file} kept us waiting for more than {time} ms"

    def failed(self, name: str) -> bool:
        return self.failed_with(name, self.complaint(name))

    def failed_with(self, name: str, complaint: str) -> bool:
        reason = f"{stage(name)}: {complaint}"
        return f'upstream-failed target={name} reason="{reason}"' in self.gate.log()


@pytest.fixture(scope="module")
def sasl_daemon(folders: Iterator[pathlib.Path]) -> Iterator[sasl_scene.Daemon]:
    with sasl_scene.running(next(folders), "scram-sha-256") as one:
        yield one


@pytest.fixture
def hung(
    folders: Iterator[pathlib.Path],
    daemon: harness.Daemon,
    tls_daemon: TlsDaemon,
    client: certificates.ClientFolder,
    server: sshd.Server,
    sasl_daemon: sasl_scene.Daemon,
    hanging_library: pathlib.Path,
) -> Iterator[Hung]:
    one = Hung(next(folders), daemon, tls_daemon, client, server, sasl_daemon)
    one.gate.environment = one.be_in(hanging_library)
    try:
        one.gate.start()
        yield one
    finally:
        for switch in (one.switch, one.stat_switch, one.sasl_switch):
            switch.unlink(missing_ok=True)
        one.gate.stop()


def open_target(gate: harness.Gate, name: str) -> None:
    with contextlib.suppress(raw.LibvirtError), raw.Client(gate.socket) as one:
        one.patience = 60.0
        one.open(name)


def test_files_that_do_not_answer_hold_up_nobody_else(hung: Hung) -> None:
    gate = hung.gate
    with busy.Crew(gate.socket, "well", 3) as crew:
        hung.switch.touch()
        openers = [threading.Thread(target=open_target, args=(gate, name)) for name in FILES]
        for one in openers:
            one.start()
        crew.progress(200)
        with raw.connect(gate.socket, "well") as newcomer:
            assert newcomer.version() > 0
        assert not any(hung.failed(name) for name in FILES), gate.log()
        for name in FILES:
            harness.wait_for(f"the end of a dial to {name}", lambda: hung.failed(name))
        crew.progress(50)
        for one in openers:
            one.join(60)
        hung.switch.unlink()
        for name in FILES:
            harness.wait_for(name, lambda: opens(gate, name))
        crew.progress(50)


def test_a_login_that_waits_for_a_kdc_holds_up_nobody_else(hung: Hung) -> None:
    gate = hung.gate
    complaint = "the SASL mechanism SCRAM-SHA-256 kept us waiting for more than 10000 ms"

    def wait() -> None:
        opener = threading.Thread(target=open_target, args=(gate, "sasl"))
        opener.start()
        harness.wait_for("the end of a login", lambda: hung.failed_with("sasl", complaint))
        opener.join(60)

    with victims.Victims(gate.socket, ["well"] * 2, range(1, 100)) as others:
        hung.sasl_switch.touch()
        others.bear("a KDC that is silent", wait, 4.0)
        hung.sasl_switch.unlink()
        harness.wait_for("the login", lambda: opens(gate, "sasl"))


def test_a_textfile_that_does_not_answer_holds_up_nobody(hung: Hung) -> None:
    gate = hung.gate
    harness.wait_for("the file", hung.textfile.exists)

    def wait() -> None:
        hung.switch.touch()
        late = f'textfile-failed reason="{hung.textfile} kept us waiting for more than 10000 ms"'
        gate.logged(late)
        for path in ("/metrics", "/status.json"):
            assert ask.fetch(gate.control, path)[0] == 200

    with victims.Victims(gate.socket, ["well"] * 2, range(1, 100)) as others:
        others.bear("a textfile that hangs", wait, 4.0)
        hung.textfile.unlink()
        hung.switch.unlink()
        harness.wait_for("the file again", hung.textfile.exists)
    assert gate.log().count("textfile-failed") == 1


def opens(gate: harness.Gate, name: str) -> bool:
    try:
        with raw.connect(gate.socket, name) as one:
            return one.version() > 0
    except raw.LibvirtError:
        return False


def test_a_look_at_files_that_do_not_answer_holds_up_nobody(hung: Hung) -> None:
    gate = hung.gate
    for name in FILES:
        assert opens(gate, name)
    with busy.Crew(gate.socket, "well", 2) as crew, busy.Crew(gate.socket, "pki", 1) as others:
        (hung.hung / "pki" / "cacert.pem").touch()
        hung.stat_switch.touch()
        os.kill(gate.pid, signal.SIGHUP)
        gate.logged(" reloaded")
        crew.progress(200)
        others.progress(50)
        assert "credentials-changed" not in gate.log()
        hung.stat_switch.unlink()
        gate.logged("credentials-changed target=pki")
        crew.progress(50)
        others.progress(50)


def test_ping_says_which_file_does_not_answer(hung: Hung, hanging_library: pathlib.Path) -> None:
    environment = harness.environment(hung.gate.folder) | hung.be_in(hanging_library)
    command = [harness.GATE, "ping", "--json", "--config", str(hung.gate.config)]
    hung.switch.touch()
    with contextlib.ExitStack() as stack:
        pings = {}
        for name in FILES:
            process = subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE)
            pings[name] = stack.enter_context(process)
            stack.callback(process.kill)
        for name, process in pings.items():
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 1
            error = json.loads(said)["error"]
            assert error["stage"] == stage(name)
            assert hung.complaint(name) in error["reason"]
            assert "file server" in error["hints"][0]
