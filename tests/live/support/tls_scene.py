"""A libvirtd that serves TLS, and who can be server and client."""

import pathlib

import certificates
import harness

Pair = tuple[pathlib.Path, pathlib.Path]


class Pki:
    """Who can be server and client; made once, since keys take their time."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.ours = certificates.Authority(folder, "ours")
        self.theirs = certificates.Authority(folder, "theirs")
        self.servers: dict[str, Pair] = {
            "good": self.ours.issue("good", certificates.SERVER),
            "old": self.ours.issue("old", certificates.OLD),
            "strange": self.ours.issue("strange", certificates.STRANGE),
        }
        self.client = self.ours.issue("client", certificates.CLIENT)
        self.stranger = self.theirs.issue("stranger", certificates.CLIENT)


class TlsDaemon(harness.Daemon):
    def __init__(
        self, folder: pathlib.Path, pki: Pki, server: str = "good", more: str = ""
    ) -> None:
        super().__init__(folder)
        self.tls_port = harness.free_port()
        certificate, key = pki.servers[server]
        text = self.config.read_text().replace("listen_tls = 0", "listen_tls = 1")
        text += f'tls_port = "{self.tls_port}"\nauth_tls = "none"\n'
        text += f'ca_file = "{pki.ours.certificate}"\n'
        text += f'cert_file = "{certificate}"\nkey_file = "{key}"\n'
        self.config.write_text(text + "tls_no_sanity_certificate = 1\n" + more)

    def tls_uri(
        self,
        pkipath: pathlib.Path,
        host: str = "localhost",
        port: int = 0,
        more: str = "",
        path: str | None = None,
    ) -> str:
        where = f"{host}:{port or self.tls_port}{path or self.file}"
        return f"test+tls://{where}?pkipath={pkipath}{more}"
