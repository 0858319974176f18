"""How registries are reached: the frozen answers to the command line's registry options."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lifecycle.registry.mirrors import Rewrite


def _system_certs_dirs() -> tuple[Path, ...]:
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers/certs.d"
    return (own, Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What a RegistryClient needs to know beyond credentials. Times are in seconds, sizes in bytes.

    ``insecure`` are hosts (with port where they have one) reached without TLS verification, or plainly.
    ``certs_dirs`` hold a folder per host with ``*.crt`` authorities and ``*.cert``/``*.key`` client pairs.
    ``longest_wait`` bounds what a Retry-After may ask for: a registry that wants more fails at once.
    """

    insecure: frozenset[str] = frozenset()
    ca_files: tuple[Path, ...] = ()
    certs_dirs: tuple[Path, ...] = ()
    mirrors: tuple[Rewrite, ...] = ()
    maps: tuple[Rewrite, ...] = ()
    attempts: int = 6
    backoff: float = 0.5
    longest_backoff: float = 20.0
    longest_wait: float = 120.0
    connect_timeout: float = 20.0
    stall_timeout: float = 60.0
    chunk_size: int = 16 << 20

    @classmethod
    def of(
        cls,
        *,
        insecure: Iterable[str] = (),
        ca_files: Iterable[Path] = (),
        mirrors: Iterable[str] = (),
        maps: Iterable[str] = (),
    ) -> RegistrySettings:
        """Settings from the options' texts and this host's certs.d folders; raises BadRewrite for a malformed one."""
        return cls(
            insecure=frozenset(insecure),
            ca_files=tuple(ca_files),
            certs_dirs=_system_certs_dirs(),
            mirrors=tuple(Rewrite.parse(text, "--registry-mirror") for text in mirrors),
            maps=tuple(Rewrite.parse(part, "--registry-map") for text in maps for part in text.split(";") if part),
        )

    def is_insecure(self, host: str) -> bool:
        """True when the user allowed ``host[:port]``, with or without its port."""
        return host in self.insecure or host_name(host) in self.insecure

    def schemes(self, host: str) -> tuple[str, ...]:
        """The schemes to try for ``host[:port]``, in order."""
        if is_loopback(host):
            return ("http", "https")
        return ("https", "http") if self.is_insecure(host) else ("https",)


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
