"""Certificates in PEM: read out of a binding's files, checked one by one."""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass

from pylife_sdk.bindings import Binding
from pylife_sdk.output import fail

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.S)
_CERTIFICATE = (b"CERTIFICATE", b"TRUSTED CERTIFICATE", b"X509 CERTIFICATE")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and where it was found ("binding/file"). ``pem`` ends with a line feed."""

    pem: bytes
    where: str

    @property
    def fingerprint(self) -> str:
        """The beginning of the certificate's SHA-256, as other tools show it."""
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem.decode("ascii"))).hexdigest().upper()
        return ":".join(digest[i : i + 2] for i in range(0, 16, 2))


def read_certificates(binding: Binding) -> list[Certificate]:
    """All certificates of a binding, by file. Raises ``Failure`` for what is none."""
    if not binding.keys:
        fail(
            "certificates.empty-binding",
            f"The binding {binding.name} is of type ca-certificates but has no certificate.",
            found="no file beside `type`",
            fix="Put the authority's certificate beside `type`, as PEM text in a file of any name.",
        )
    return [certificate for key in binding.keys for certificate in _read(binding, key)]


def _read(binding: Binding, key: str) -> list[Certificate]:
    where = f"{binding.name}/{key}"
    content = binding.read(key) or b""
    if b"PRIVATE KEY-----" in content:
        fail(
            "certificates.private-key",
            f"{where} holds a private key: only certificates belong into a binding of authorities to trust.",
            found="a block PRIVATE KEY",
            fix="Take the key out of the binding; whoever has seen the file has seen the key.",
        )
    blocks = [match for match in _BLOCK.finditer(content) if match[1] in _CERTIFICATE]
    if not blocks:
        der = content[:1] == b"\x30"
        fail(
            "certificates.bad-pem",
            f"{where} holds no certificate in PEM.",
            found="DER, the binary form" if der else f"{len(content)} bytes without a block BEGIN CERTIFICATE",
            fix=f"openssl x509 -inform der -in {key} -out {key}.pem"
            if der
            else "Give the file as the authority hands it out: a block from -----BEGIN CERTIFICATE----- to its end.",
        )
    return [_checked(match[0], where, number) for number, match in enumerate(blocks, 1)]


def _checked(block: bytes, where: str, number: int) -> Certificate:
    lines = b"\n".join(line.strip() for line in block.replace(b"TRUSTED ", b"").replace(b"X509 ", b"").split(b"\n"))
    try:
        text = lines.decode("ascii") + "\n"
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (UnicodeDecodeError, ValueError, ssl.SSLError) as error:
        fail(
            "certificates.bad-pem",
            f"Certificate {number} of {where} is damaged.",
            found=f"{error}",
            fix=f"See what is in it, and fetch it again:\nopenssl x509 -noout -text -in {where.partition('/')[2]}",
        )
    return Certificate(text.encode(), where)
