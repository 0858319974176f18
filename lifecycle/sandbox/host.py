"""What a build may see of the host: certificates, name resolution, proxies. Nothing else."""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where programs inside find the host's certificates; also the value of every variable below. A place of its own: the
#: image's bundle stays what it is, so that a package may replace it and a step may append to it.
CA_INSIDE = "/run/pylife/ca-certificates.crt"
#: Where distributions keep theirs.
CA_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)
#: Places that almost every run wants in its root and few images have; a directory ends with a slash.
PLACES = ("/dev/", "/etc/hosts", "/etc/resolv.conf", "/proc/", CA_INSIDE, "/sys/")
_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
_read: dict[str, tuple[tuple[int, ...], bytes]] = {}
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


def ca_bundle(environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of the host's certificate bundle: ``$SSL_CERT_FILE``, else the first usual place that has one."""
    for path in (environment.get("SSL_CERT_FILE"), *CA_SYSTEM):
        if path and os.path.isfile(path) and os.access(path, os.R_OK):
            return path
    return None


def proxy_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The host's proxy variables, in both cases, since programs differ in which they read."""
    found = {}
    for name in _PROXY_VARIABLES:
        value = environment.get(name) or environment.get(name.upper())
        if value:
            found[name] = found[name.upper()] = value
    return found


def ca_environment() -> dict[str, str]:
    """The variables by which programs are pointed at the bundle inside."""
    return dict.fromkeys(_CA_VARIABLES, CA_INSIDE)


def shared_files(network: str, trust_host: bool, replace_certificates: bool = False) -> dict[str, bytes]:
    """What each file of the host that a run sees holds, by its path inside; unreadable ones are left out."""
    wanted: dict[str, str] = {}
    if network == "host":
        wanted |= {"/etc/resolv.conf": "/etc/resolv.conf", "/etc/hosts": "/etc/hosts"}
    bundle = ca_bundle() if trust_host else None
    if bundle:
        wanted[CA_INSIDE] = bundle
        if replace_certificates:
            wanted |= dict.fromkeys(CA_SYSTEM, bundle)
    files = {}
    for inside, path in wanted.items():
        with contextlib.suppress(OSError):
            files[inside] = _content(path)
    return files


def _content(path: str) -> bytes:
    """The bytes of a file, read again only when it has changed. Raises OSError."""
    status = os.stat(path)
    version = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    if path not in _read or _read[path][0] != version:
        with open(path, "rb") as file:
            _read[path] = version, file.read()
    return _read[path][1]
