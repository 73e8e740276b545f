"""The certificate of a served table: made for the run, known by its fingerprint alone, which is part of the token.

It is made by the package `cryptography`, the one that Python's world keeps up for this: the standard library cannot
make one, and the command `openssl` is not on every machine and has other options from release to release. No authority
signs it and no name of a host is compared: a client believes the fingerprint and nothing else.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
import ssl
import tempfile
from pathlib import Path
from typing import Any, Final

from netwright.core import extras
from netwright.core.errors import StoreError
from netwright.stores import served_file

YEARS: Final = 10  # a run is longer than no certificate; who has its key is who has the token


def serving(folder: Path | None) -> tuple[ssl.SSLContext, str]:
    """What a server encrypts with, and the SHA-256 fingerprint of its certificate.

    Args:
        folder: Folder of the run, in which the certificate and its key lie while it is served, readable for this user
            alone; what a predecessor left there is taken up. None: they are kept nowhere.

    Raises:
        MissingCapability: The package that makes it is not installed.
        StoreError: The file cannot be written.
    """
    if folder is not None and (folder / served_file.CERTIFICATE).exists():
        try:
            (folder / served_file.CERTIFICATE).chmod(0o600)
            return _loaded(folder / served_file.CERTIFICATE)
        except (OSError, ValueError):  # damaged: it is made anew
            pass
    with tempfile.TemporaryDirectory() as elsewhere:
        path = (folder or Path(elsewhere)) / served_file.CERTIFICATE
        served_file.write_private(path, made())
        try:
            return _loaded(path)
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} cannot be used: {error}; remove it and try again") from None


def made() -> str:
    """A new key and its certificate, as PEM. Raises MissingCapability."""
    what = "a table that is served beyond the loopback address, and so encrypted,"

    def load(name: str) -> Any:
        return extras.load(f"cryptography.{name}", "network", what)

    x509, names, ec = load("x509"), load("x509.oid").NameOID, load("hazmat.primitives.asymmetric.ec")
    hashes, forms = load("hazmat.primitives.hashes"), load("hazmat.primitives.serialization")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(names.COMMON_NAME, f"netwright {secrets.token_hex(4)}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))  # clocks of hosts differ
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    return str((private + certificate.public_bytes(forms.Encoding.PEM)).decode())


def _loaded(path: Path) -> tuple[ssl.SSLContext, str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(path)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    pem = path.read_text(encoding="ascii").partition(begin)[2].partition(end)[0]
    return context, hashlib.sha256(ssl.PEM_cert_to_DER_cert(f"{begin}{pem}{end}\n")).hexdigest()
