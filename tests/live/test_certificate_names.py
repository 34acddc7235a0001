"""What a certificate is good for and how its names are shown, beside what GnuTLS says of it."""

import contextlib
import json
import pathlib
import socket
import ssl
import subprocess
import threading
from typing import Iterator

import pytest

import certificates
import harness

CA = "cn = ca\nca\ncert_signing_key\nexpiration_days = 30\n"
LEAF = "tls_www_server\nsigning_key\nencryption_key\nexpiration_days = 30\n"

# The host asked for, what the CA says, and what the leaf says.
CASES = [
    ("localhost", "", "cn = localhost"),
    ("localhost", "", "cn = LOCALHOST"),
    ("localhost", "", "cn = other"),
    ("localhost", "", "cn = localhost\nemail = ops@localhost"),
    ("localhost", "", "cn = localhost\nuri = https://localhost"),
    ("localhost", "", "cn = localhost\nxmpp_name = localhost"),
    ("localhost", "", "cn = localhost\nip_address = 127.0.0.1"),
    ("localhost", "", "cn = localhost\ndns_name = other"),
    ("localhost", "", "cn = other\ndns_name = localhost"),
    ("localhost", "", "cn = *"),
    ("127.0.0.1", "", "cn = 127.0.0.1"),
    ("127.0.0.1", "", "cn = x\ndns_name = 127.0.0.1"),
    ("127.0.0.1", "", "cn = x\nip_address = 127.0.0.1"),
    ("localhost", "nc_permit_dns = .example", "cn = localhost\ndns_name = localhost"),
    ("localhost", "nc_permit_dns = .example", "cn = localhost"),
    ("localhost", "nc_permit_dns = localhost", "cn = x\ndns_name = localhost"),
    ("localhost", "nc_exclude_dns = localhost", "cn = x\ndns_name = localhost"),
    ("localhost", "nc_exclude_dns = example", "cn = x\ndns_name = localhost"),
    (
        "localhost",
        "nc_permit_dns = localhost",
        "cn = x\ndns_name = localhost\ndns_name = a.example",
    ),
    ("127.0.0.1", "nc_permit_ip = 127.0.0.0/8", "cn = x\nip_address = 127.0.0.1"),
    ("127.0.0.1", "nc_permit_ip = 10.0.0.0/8", "cn = x\nip_address = 127.0.0.1"),
    ("127.0.0.1", "nc_exclude_ip = 127.0.0.0/8", "cn = x\nip_address = 127.0.0.1"),
    ("127.0.0.1", "nc_exclude_ip = 10.0.0.0/8", "cn = x\nip_address = 127.0.0.1"),
    ("127.0.0.1", "nc_permit_dns = localhost", "cn = x\nip_address = 127.0.0.1"),
    ("127.0.0.1", "nc_permit_dns = localhost", "cn = localhost\nip_address = 127.0.0.1"),
    ("127.0.0.1", "nc_exclude_dns = localhost", "cn = localhost\nip_address = 127.0.0.1"),
    ("localhost", "nc_permit_email = a.test", "cn = localhost\nemail = ops@a.test"),
    ("localhost", "nc_permit_email = a.test", "cn = localhost\nemail = ops@b.a.test"),
    ("localhost", "nc_permit_email = .a.test", "cn = localhost\nemail = ops@b.a.test"),
    ("localhost", "nc_permit_email = x@a.test", "cn = localhost\nemail = ops@a.test"),
    ("localhost", "nc_exclude_email = ops@a.test", "cn = localhost\nemail = ops@a.test"),
    ("localhost", "nc_exclude_email = b.test", "cn = localhost\nemail = ops@a.test"),
]


class Chain:
    def __init__(self, folder: pathlib.Path, key: pathlib.Path, ca: str, leaf: str) -> None:
        self.folder = folder
        self.key = key
        self.ca = folder / "cacert.pem"
        self.leaf = folder / "leaf.pem"
        (folder / "ca.cfg").write_text(CA + ca)
        (folder / "leaf.cfg").write_text(LEAF + leaf)
        made = ["--load-privkey", key, "--template", folder / "ca.cfg", "--outfile", self.ca]
        certificates.certtool("--generate-self-signed", *made)
        made = ["--load-privkey", key, "--template", folder / "leaf.cfg", "--outfile", self.leaf]
        made += ["--load-ca-certificate", self.ca, "--load-ca-privkey", key]
        certificates.certtool("--generate-certificate", *made)

    def gnutls_accepts(self, host: str) -> bool:
        command = ["certtool", "--verify", "--load-ca-certificate", str(self.ca)]
        command += ["--infile", str(self.leaf), "--verify-hostname", host]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        return done.returncode == 0


@contextlib.contextmanager
def server(certificate: pathlib.Path, key: pathlib.Path) -> Iterator[int]:
    """Its port. It shakes hands once, and is no libvirtd."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            one, _ = listener.accept()
            with context.wrap_socket(one, server_side=True):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(harness.PATIENCE)


@pytest.fixture(scope="module")
def key(folders: Iterator[pathlib.Path]) -> pathlib.Path:
    path = next(folders) / "key.pem"
    certificates.certtool("--generate-privkey", "--key-type", "ecdsa", "--outfile", path)
    return path


def error_of(uri: str, folder: pathlib.Path) -> dict[str, str]:
    done = subprocess.run(
        [harness.GATE, "ping", "--json", uri],
        env=harness.environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=harness.PATIENCE,
    )
    error = json.loads(done.stdout)["error"]
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize(("host", "ca", "leaf"), CASES)
def test_the_gate_judges_names_as_gnutls_does(
    host: str, ca: str, leaf: str, key: pathlib.Path, folders: Iterator[pathlib.Path]
) -> None:
    chain = Chain(next(folders), key, ca, leaf)
    wanted = chain.gnutls_accepts(host)
    with server(chain.leaf, chain.key) as port:
        uri = f"test+tls://{host}:{port}/default?pkipath={chain.folder}"
        error = error_of(uri, chain.folder)
    # Behind a good handshake nobody answers.
    assert (error["stage"] != "handshake") == wanted, error
    if not wanted:
        assert "the server's certificate" in error["reason"]


# What openssl's -subj takes.
SUBJECTS = [
    "/C=DE/O=Snow/CN=gate",
    "/CN=gate/O=Snow/C=DE",
    "/C=DE/O=Sn\u00f6w, Ltd/CN=gate",
    "/CN=a+UID=b/DC=test",
    "/CN=#a\\\\b;<c>\"\\+=",
    "/CN= gate ",
    "/CN=gate/emailAddress=ops@hv.test/serialNumber=7/1.2.3.4.5=other",
    "/businessCategory=x/street=y/ST=z/L=l/OU=u/GN=g/SN=s/title=t/dnQualifier=q/CN=c",
]


@pytest.mark.parametrize("form", ["utf8only", "default"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_is_shown_as_virt_pki_query_dn_prints_it(
    subject: str, form: str, folders: Iterator[pathlib.Path]
) -> None:
    folder = next(folders)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    (folder / "openssl.cnf").write_text(
        f"[req]\nstring_mask = {form}\ndistinguished_name = names\n[names]\n"
    )
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-utf8", "-multivalue-rdn", "-subj", subject]
    command += ["-config", folder / "openssl.cnf", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    printed = subprocess.run(
        ["virt-pki-query-dn", certificate], capture_output=True, text=True, check=True, timeout=60
    ).stdout.removesuffix("\n")
    # Any CA; the server is trusted by none.
    certificate.rename(folder / "leaf.pem")
    certificates.Authority(folder, "other").certificate.rename(folder / "cacert.pem")
    with server(folder / "leaf.pem", key) as port:
        error = error_of(f"test+tls://localhost:{port}/default?pkipath={folder}", folder)
    assert f'(subject "{printed}", issuer "{printed}", ' in error["reason"]


@pytest.mark.parametrize("kind", ["rsa-pss", "ed25519"])
def test_a_ca_with_a_newer_kind_of_key_is_trusted(kind: str, folders: Iterator[pathlib.Path]) -> None:
    folder = next(folders)
    command = ["openssl", "req", "-x509", "-newkey", kind, "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-addext", "keyUsage=critical,keyCertSign"]
    command += ["-keyout", folder / "ca.key", "-out", folder / "cacert.pem"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    command = ["openssl", "req", "-x509", "-newkey", kind, "-nodes", "-subj", "/CN=localhost leaf"]
    command += ["-addext", "basicConstraints=critical,CA:false"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    command += ["-CA", folder / "cacert.pem", "-CAkey", folder / "ca.key"]
    command += ["-keyout", folder / "leaf.key", "-out", folder / "leaf.pem"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with server(folder / "leaf.pem", folder / "leaf.key") as port:
        error = error_of(f"test+tls://localhost:{port}/default?pkipath={folder}", folder)
    assert error["stage"] == "authentication", error


def test_a_ca_that_is_damaged_is_left_out_and_named(
    key: pathlib.Path, folders: Iterator[pathlib.Path]
) -> None:
    chain = Chain(next(folders), key, "", "cn = localhost")
    damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    chain.ca.write_text(damaged + chain.ca.read_text())
    with server(chain.leaf, chain.key) as port:
        uri = f"test+tls://localhost:{port}/default?pkipath={chain.folder}"
        done = subprocess.run(
            [harness.GATE, "ping", uri],
            env=harness.environment(chain.folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=harness.PATIENCE,
        )
    said = done.stdout + done.stderr
    assert "stage handshake" not in said
    assert f"{chain.ca}, a part is not used: certificate 1 (GnuTLS " in said


def signed(folder: pathlib.Path, name: str, issuer: str, *extensions: str) -> None:
    """name.pem and name.key by openssl, below `issuer`, or below itself."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    if issuer != name:
        command += ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"]
    for one in extensions:
        command += ["-addext", one]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("constraints", "stage", "said"),
    [
        ("permitted;DNS:localhost", "authentication", ""),
        ("critical,permitted;DNS:localhost", "authentication", ""),
        ("permitted;DNS:.example", "handshake", "has a name that a CA above it does not permit"),
        ("critical,excluded;DNS:localhost", "handshake", "may not vouch for the name localhost"),
    ],
)
def test_the_constraints_of_an_intermediate_ca_hold(
    constraints: str, stage: str, said: str, folders: Iterator[pathlib.Path]
) -> None:
    folder = next(folders)
    signed(folder, "root", "root")
    is_ca = "basicConstraints=critical,CA:true"
    signed(folder, "middle", "root", is_ca, f"nameConstraints={constraints}")
    signed(
        folder, "leaf", "middle", "basicConstraints=critical,CA:false", "subjectAltName=DNS:localhost"
    )
    (folder / "cacert.pem").write_text((folder / "root.pem").read_text())
    shown = folder / "shown.pem"
    shown.write_text((folder / "leaf.pem").read_text() + (folder / "middle.pem").read_text())
    with server(shown, folder / "leaf.key") as port:
        error = error_of(f"test+tls://localhost:{port}/default?pkipath={folder}", folder)
    assert error["stage"] == stage, error
    assert said in error["reason"]
