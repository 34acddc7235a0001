"""A libvirtd that asks for SASL, its users and passwords, and auth.conf files for it."""

import contextlib
import pathlib
import subprocess
from typing import Iterator

import certificates
import harness

USER, PASSWORD = "fred", "correct horse, battery staple"

# The library reads this by the name of the daemon's service.
SASL_CONFIG = """\
mech_list: {mechanisms}
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {database}
"""


class Daemon(harness.Daemon):
    """Asks for SASL on all its sockets."""

    def __init__(self, folder: pathlib.Path, mechanisms: str) -> None:
        super().__init__(folder)
        text = self.config.read_text()
        for key in ("auth_tcp", "auth_unix_ro", "auth_unix_rw"):
            text = text.replace(f'{key} = "none"', f'{key} = "sasl"')
        self.config.write_text(text)
        database = folder / "passwd.db"
        subprocess.run(
            ["/usr/sbin/saslpasswd2", "-p", "-c", "-a", "libvirt", "-f", str(database), USER],
            input=PASSWORD,
            text=True,
            check=True,
        )
        config = folder / "sasl2"
        config.mkdir()
        (config / "libvirt.conf").write_text(
            SASL_CONFIG.format(mechanisms=mechanisms, database=database)
        )
        self.environment = {"SASL_CONF_PATH": str(config)}

    def auth_conf(
        self, password: str = PASSWORD, user: str = USER, mode: int = 0o600, host: str = "default"
    ) -> pathlib.Path:
        """Writes a new one or over the one there was."""
        path = self.folder / "auth.conf"
        path.write_text(
            f"[credentials-test]\nauthname={user}\npassword={password}\n"
            f"[auth-libvirt-{host}]\ncredentials=test\n"
        )
        path.chmod(mode)
        return path

    def serve_tls(self, authority: certificates.Authority) -> None:
        """Before its start."""
        self.tls_port = harness.free_port()
        certificate, key = authority.issue("server", certificates.SERVER)
        text = self.config.read_text().replace("listen_tls = 0", "listen_tls = 1")
        text += f'tls_port = "{self.tls_port}"\nauth_tls = "sasl"\ntls_no_sanity_certificate = 1\n'
        text += f'ca_file = "{authority.certificate}"\n'
        text += f'cert_file = "{certificate}"\nkey_file = "{key}"\n'
        self.config.write_text(text)

    def target(self, kind: str, parameters: str = "") -> str:
        uri = self.uri(kind)
        separator = "&" if "?" in uri else "?"
        return f"{uri}{separator}authfile={self.folder}/auth.conf{parameters}"


@contextlib.contextmanager
def running(folder: pathlib.Path, mechanisms: str) -> Iterator[Daemon]:
    one = Daemon(folder, mechanisms)
    try:
        one.start()
        yield one
    finally:
        one.stop()
