"""What `make install` brings, and what systemd says of the units."""

import dataclasses
import os
import pathlib
import re
import subprocess
import tarfile
import tomllib
from typing import Iterator

import pytest

import harness

MOST_EXPOSURE = 1.2


def make(*arguments: str) -> str:
    mode = ["SANITIZE=1"] if harness.BUILD.name == "sanitize" else []
    done = subprocess.run(
        ["make", "--no-print-directory", *mode, *arguments],
        cwd=harness.TOP,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclasses.dataclass
class Installed:
    """A system's folder with virtgate in it."""

    top: pathlib.Path
    arguments: list[str]

    @property
    def prefix(self) -> pathlib.Path:
        return self.top / "usr"

    def unit(self, name: str) -> pathlib.Path:
        return self.prefix / "lib" / "systemd" / "system" / name

    def files(self) -> set[str]:
        return {str(p.relative_to(self.top)) for p in self.top.rglob("*") if not p.is_dir()}


def install(top: pathlib.Path) -> Installed:
    """With a prefix below `top`, so that the units name a program that is there."""
    arguments = [f"PREFIX={top}/usr", f"SYSCONFDIR={top}/etc"]
    make("install", *arguments)
    return Installed(top, arguments)


@pytest.fixture(scope="module")
def installed(folders: Iterator[pathlib.Path]) -> Installed:
    return install(next(folders))


def settings(unit: pathlib.Path, section: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    inside = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            inside = line.strip("[]")
        elif inside == section and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def systemd_analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return text


def test_systemd_finds_nothing_wrong_with_the_units(installed: Installed) -> None:
    instance = installed.top / "virtgate@hail.socket"
    instance.write_text(installed.unit("virtgate@.socket").read_text())
    units = [installed.unit("virtgate.service"), installed.unit("virtgate.socket"), instance]
    assert systemd_analyze("verify", "--man=no", *map(str, units)) == ""


def test_the_service_is_exposed_to_little(installed: Installed) -> None:
    text = systemd_analyze("security", "--offline=true", str(installed.unit("virtgate.service")))
    found = re.search(r"Overall exposure level for virtgate\.service: (\d+\.\d+) ", text)
    assert found, text
    assert float(found[1]) <= MOST_EXPOSURE, text


def test_the_service_sees_who_its_clients_are(installed: Installed) -> None:
    service = settings(installed.unit("virtgate.service"), "Service")
    assert "PrivateUsers" not in service
    assert service["Type"] == ["notify"]
    assert service["ExecStart"][0].startswith(f"{installed.prefix}/bin/virtgate serve ")


def test_the_socket_unit_makes_the_socket_of_the_configuration(installed: Installed) -> None:
    socket = settings(installed.unit("virtgate.socket"), "Socket")
    text = (installed.top / "etc" / "virtgate" / "virtgate.toml").read_text()
    (listen,) = tomllib.loads(text)["listen"]
    assert socket["ListenStream"] == [listen["path"]]
    assert socket["SocketMode"] == [listen["mode"]]
    for name in ("virtgate.socket", "virtgate@.socket"):
        assert settings(installed.unit(name), "Socket")["FileDescriptorName"]


def test_the_user_of_the_service_is_made(installed: Installed) -> None:
    service = settings(installed.unit("virtgate.service"), "Service")
    users = (installed.prefix / "lib" / "sysusers.d" / "virtgate.conf").read_text()
    assert re.search(rf"^u {service['User'][0]} ", users, re.MULTILINE)


def test_folders_of_the_configuration_are_made(installed: Installed) -> None:
    """By systemd-tmpfiles, of the mode that each needs."""
    lines = (installed.prefix / "lib" / "tmpfiles.d" / "virtgate.conf").read_text()
    made = {fields[1]: fields[2] for line in lines.splitlines() if (fields := line.split())}
    assert made == {
        "/run/virtgate": "0755",
        "/etc/virtgate/keys": "0700",
        "/etc/virtgate/conf.d": "0755",
    }


def test_what_is_installed_is_uninstalled(folders: Iterator[pathlib.Path]) -> None:
    one = install(next(folders))
    assert {"usr/bin/virtgate", "usr/bin/virtgate-ssh"} <= one.files()
    for path in one.files():
        assert (one.top / path).exists(), f"{path} leads nowhere"
    make("uninstall", *one.arguments)
    assert one.files() == {"etc/virtgate/virtgate.toml"}


def test_an_installation_leaves_a_configuration_alone(folders: Iterator[pathlib.Path]) -> None:
    top = next(folders)
    config = top / "etc" / "virtgate" / "virtgate.toml"
    config.parent.mkdir(parents=True)
    config.write_text("# mine\n")
    install(top)
    assert config.read_text() == "# mine\n"


def test_a_staged_installation_names_the_final_places(folders: Iterator[pathlib.Path]) -> None:
    stage = next(folders)
    make("install", f"DESTDIR={stage}", "PREFIX=/usr")
    unit = stage / "usr" / "lib" / "systemd" / "system" / "virtgate.service"
    assert "ExecStart=/usr/bin/virtgate " in unit.read_text()
    assert str(stage) not in unit.read_text()
    link = stage / "usr" / "bin" / "virtgate-ssh"
    assert os.readlink(link) == "virtgate"


def test_the_packages_have_the_version_of_the_program() -> None:
    version = subprocess.run(
        [harness.GATE, "--version"], capture_output=True, text=True, check=True, timeout=20
    ).stdout.split()[1]
    packaging = harness.TOP / "packaging"
    first = (packaging / "debian" / "changelog").read_text().splitlines()[0]
    assert first.startswith(f"virtgate ({version}-")
    spec = (packaging / "rpm" / "virtgate.spec").read_text()
    assert re.search(rf"^Version:\s+{re.escape(version)}$", spec, re.MULTILINE)


def test_a_source_archive_is_whole_and_repeatable(folders: Iterator[pathlib.Path]) -> None:
    folder = next(folders)
    script = str(harness.TOP / "packaging" / "sources")
    archives = [folder / "one.tar.gz", folder / "two.tar.gz"]
    for archive in archives:
        subprocess.run([script, "1.2.3", str(archive)], check=True, timeout=60)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as archive:
        names = set(archive.getnames())
    assert {"virtgate-1.2.3/Makefile", "virtgate-1.2.3/proxy/main.cc"} <= names
    assert not [name for name in names if name.startswith("virtgate-1.2.3/build/")]
