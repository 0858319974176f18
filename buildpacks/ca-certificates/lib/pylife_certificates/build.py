"""Trusts the certificates of bindings: in the rest of the build by a bundle, at launch by a program."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pylife_sdk.bindings import bindings
from pylife_sdk.context import Build, read_bytes, write_file
from pylife_sdk.execd import write_execd
from pylife_sdk.layer import open_layer
from pylife_sdk.output import heading, note, warn
from pylife_sdk.tree import digest

from pylife_certificates.detect import EMBED, NOT_AT_LAUNCH, TYPE, says
from pylife_certificates.pem import Certificate, read_certificates

VARIABLES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
)
SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_HERE = os.path.dirname(os.path.abspath(__file__))


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for a binding whose files are no certificates."""
    found = [each for binding in bindings(context.platform, context.env, TYPE) for each in read_certificates(binding)]
    certificates = list({each.pem: each for each in found}.values())
    heading(f"Certificates of bindings: {len(certificates)}")
    for each in certificates:
        note(f"{each.where}: SHA-256 {each.fingerprint}…")
    if certificates:
        _trust_in_build(context, certificates)
    embed = says(context.env.get(EMBED, "")) is True
    if says(context.env.get(NOT_AT_LAUNCH, "")) is not True or embed:
        _trust_at_launch(context, certificates if embed else [])


def _trust_in_build(context: Build, certificates: Sequence[Certificate]) -> None:
    """The layer ``bundle``: what is trusted anyway and the certificates. It is in neither image nor cache."""
    layer = open_layer(context, "bundle", at_build=True)
    path = os.path.join(layer.empty(), "ca-certificates.pem")
    base = _base(context.env)
    with open(path, "wb") as file:
        if base:
            file.write(read_bytes(base).rstrip() + b"\n")
        file.writelines(each.pem for each in certificates)
    for name in VARIABLES:
        layer.set_env(name, path, when="build", mode="override")
    layer.commit({"certificates": digest(each.pem for each in certificates)[:16]})
    note(f"The rest of the build trusts them beside {base or 'no others, since the build image has none'}.")


def _trust_at_launch(context: Build, embedded: Sequence[Certificate]) -> None:
    """The layer ``trust``: the program, with the certificates themselves only where that was asked for."""
    layer = open_layer(context, "trust", launch=True)
    layer.empty()
    path = ""
    if embedded:
        path = os.path.join(layer.path, "certificates.pem")
        write_file(path, b"".join(each.pem for each in embedded).decode())
        warn(f"${EMBED}: the certificates are in the image, and trusted wherever it runs.")
    script = read_bytes(os.path.join(_HERE, "trust.sh")).decode()
    write_execd(layer, "ca-certificates", script.replace("@embedded@", path))
    layer.commit({"embedded": digest(each.pem for each in embedded)[:16] if embedded else "none"})
    if not embedded:
        note(f"None of them is in the image: bind them at launch too, or build with {EMBED}=true.")


def _base(env: Mapping[str, str]) -> str:
    """The bundle that is trusted so far, "" when there is none."""
    return next((path for path in (env.get("SSL_CERT_FILE", ""), *SYSTEM) if path and os.path.isfile(path)), "")
