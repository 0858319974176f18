"""How hosts are reached: trust, time limits, and how often to ask again."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

# Where distributions keep the authorities, for programs whose TLS was compiled to look elsewhere.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def system_bundle() -> Path | None:
    """The file with the authorities that this host trusts: SSL_CERT_FILE, else the distribution's; None without."""
    candidates = (os.environ.get("SSL_CERT_FILE", ""), *SYSTEM_BUNDLES)
    return next((path for text in candidates if text and (path := Path(text)).is_file()), None)


def joined_bundle(files: tuple[Path, ...], directory: Path) -> Path:
    """One file, in ``directory``, with the authorities that this host trusts and those of ``files``: for programs that
    take only one. Named by its content, so that it may stay. Raises OSError."""
    bundle = system_bundle()
    data = b"\n".join(path.read_bytes() for path in (*((bundle,) if bundle else ()), *files))
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"authorities-{hashlib.sha256(data).hexdigest()[:16]}.pem"
    if not path.exists():
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_bytes(data)
        partial.rename(path)
    return path


def system_certs_dirs() -> tuple[Path, ...]:
    """Where container tools keep a folder of certificates for each host."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers/certs.d"
    return (own, Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """What sending a request takes beyond credentials. Times are in seconds.

    ``insecure`` are hosts (with port where they have one) reached without TLS verification, or plainly.
    ``certs_dirs`` hold a folder per host with ``*.crt`` authorities and ``*.cert``/``*.key`` client pairs.
    ``longest_wait`` bounds what a Retry-After may ask for: a server that wants more fails at once.
    """

    insecure: frozenset[str] = frozenset()
    ca_files: tuple[Path, ...] = ()
    certs_dirs: tuple[Path, ...] = ()
    attempts: int = 6
    backoff: float = 0.5
    longest_backoff: float = 20.0
    longest_wait: float = 120.0
    connect_timeout: float = 20.0
    stall_timeout: float = 60.0

    def is_insecure(self, host: str) -> bool:
        """True when the user allowed ``host[:port]``, with or without its port."""
        return host in self.insecure or host_name(host) in self.insecure


def host_name(host: str) -> str:
    """``host[:port]`` without the port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") <= 1 else host


def is_loopback(host: str) -> bool:
    """True when ``host[:port]`` can only be this machine."""
    name = host_name(host).lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
