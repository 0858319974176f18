"""A Java truststore out of PEM certificates, the same bytes for the same certificates.

Source: the JKS format as the JDK's ``sun.security.provider.JavaKeyStore`` documents it: entries, then a SHA-1 over the
password, a fixed phrase and the entries. Every JDK since 1.2 loads it, whatever its default type is.
"""

from __future__ import annotations

import binascii
import glob
import hashlib
import os
import struct

PASSWORD = "changeit"
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_EPOCH_MS = 315532801000  # 1980-01-01T00:00:01Z: the time of everything in a layer


def certificates(pem: bytes) -> list[bytes]:
    """The DER certificates of a PEM text in their order; what cannot be decoded is left out."""
    found = []
    for part in pem.split(_BEGIN)[1:]:
        body = part.partition(_END)[0]
        try:
            der = binascii.a2b_base64(body)
        except binascii.Error:
            continue
        if der[:1] == b"\x30":
            found.append(der)
    return found


def jks(ders: list[bytes]) -> bytes:
    """A keystore of trusted certificates; each once, sorted by its hash, which is also its alias."""
    by_hash = {hashlib.sha256(der).hexdigest(): der for der in ders}
    out = [struct.pack(">III", 0xFEEDFEED, 2, len(by_hash))]
    for alias, der in sorted(by_hash.items()):
        out.append(struct.pack(">IH", 2, len(alias)) + alias.encode())
        out.append(struct.pack(">QH", _EPOCH_MS, 5) + b"X.509" + struct.pack(">I", len(der)) + der)
    store = b"".join(out)
    seal = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + store)
    return store + seal.digest()


def distribution_certificates() -> list[bytes]:
    """The authorities that the build image's distribution ships, without those that were added to it or to the host.

    The bundle itself is no source: a build sees the host's there, and the host's must not land in an image.
    """
    found = []
    for path in sorted(glob.glob("/usr/share/ca-certificates/mozilla/*.crt")):
        with open(path, "rb") as file:
            found += certificates(file.read())
    return found


def host_certificates(env: dict[str, str]) -> list[bytes]:
    """The authorities that this build trusts: the bundle of $SSL_CERT_FILE, else the build image's."""
    for path in (env.get("SSL_CERT_FILE", ""), "/etc/ssl/certs/ca-certificates.crt"):
        if path and os.path.isfile(path):
            with open(path, "rb") as file:
                return certificates(file.read())
    return []
