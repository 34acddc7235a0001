"""Certificate authorities, certificates and CRLs, made by certtool as libvirt's manual does it."""

import pathlib
import shutil
import subprocess

CLIENT = "cn = gate\ntls_www_client\nsigning_key\nencryption_key\nexpiration_days = 30\n"
SERVER_USE = "tls_www_server\nsigning_key\nencryption_key\n"
LOOPBACK = "dns_name = localhost\nip_address = 127.0.0.1\nip_address = ::1\n"
SERVER = f"cn = daemon\n{LOOPBACK}{SERVER_USE}expiration_days = 30\n"
OLD = (
    f"cn = daemon\n{LOOPBACK}{SERVER_USE}"
    'activation_date = "2020-01-01 00:00:00"\nexpiration_date = "2021-01-01 00:00:00"\n'
)
STRANGE = f"cn = daemon\ndns_name = elsewhere.example\n{SERVER_USE}expiration_days = 30\n"


def certtool(*arguments: object) -> None:
    command = ["certtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr}")


class Authority:
    """A CA, and a folder for all that it signs."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.certificate = self.folder / "cacert.pem"
        self.key = self.folder / "cakey.pem"
        template = self._template(
            "ca", f"cn = {name}\nca\ncert_signing_key\ncrl_signing_key\nexpiration_days = 30\n"
        )
        certtool("--generate-privkey", "--key-type", "ecdsa", "--outfile", self.key)
        arguments = ["--load-privkey", self.key, "--template", template]
        certtool("--generate-self-signed", *arguments, "--outfile", self.certificate)

    def _template(self, name: str, text: str) -> pathlib.Path:
        path = self.folder / f"{name}.cfg"
        path.write_text(text)
        return path

    def issue(self, name: str, text: str, kind: str = "rsa") -> tuple[pathlib.Path, pathlib.Path]:
        """Certificate and key. RSA: from an ECDSA key certtool drops the encryption_key on which
        libvirt 9.0 insists."""
        certificate, key = self.folder / f"{name}cert.pem", self.folder / f"{name}key.pem"
        size = [] if kind == "ed25519" else ["--bits", "2048"]
        certtool("--generate-privkey", "--key-type", kind, *size, "--outfile", key)
        arguments = ["--load-privkey", key, "--template", self._template(name, text)]
        arguments += ["--load-ca-certificate", self.certificate, "--load-ca-privkey", self.key]
        certtool("--generate-certificate", *arguments, "--outfile", certificate)
        return certificate, key

    def crl(self, *revoked: pathlib.Path) -> pathlib.Path:
        path = self.folder / "crl.pem"
        arguments = ["--load-ca-privkey", self.key, "--load-ca-certificate", self.certificate]
        arguments += ["--template", self._template("crl", "crl_next_update = 30\ncrl_number = 1\n")]
        for certificate in revoked:
            arguments += ["--load-certificate", certificate]
        certtool("--generate-crl", *arguments, "--outfile", path)
        return path


class ClientFolder:
    """What pkipath= names."""

    def __init__(self, folder: pathlib.Path, authority: Authority) -> None:
        self.folder = folder
        self.trust(authority)

    def trust(self, authority: Authority) -> None:
        shutil.copy(authority.certificate, self.folder / "cacert.pem")

    def be(self, certificate: pathlib.Path, key: pathlib.Path) -> None:
        shutil.copy(certificate, self.folder / "clientcert.pem")
        shutil.copy(key, self.folder / "clientkey.pem")
        (self.folder / "clientkey.pem").chmod(0o600)

    def revoke(self, crl: pathlib.Path) -> None:
        shutil.copy(crl, self.folder / "cacrl.pem")
