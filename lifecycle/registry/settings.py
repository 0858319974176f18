"""How registries are reached: the frozen answers to the command line's registry options."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lifecycle.record import dataclass
from lifecycle.registry.mirrors import Rewrite
from lifecycle.transport.settings import TransportSettings, is_loopback, system_certs_dirs


@dataclass(frozen=True, slots=True)
class RegistrySettings(TransportSettings):
    """What a RegistryClient needs to know beyond credentials. Sizes are in bytes."""

    mirrors: tuple[Rewrite, ...] = ()
    maps: tuple[Rewrite, ...] = ()
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
            certs_dirs=system_certs_dirs(),
            mirrors=tuple(Rewrite.parse(text, "--registry-mirror") for text in mirrors),
            maps=tuple(Rewrite.parse(part, "--registry-map") for text in maps for part in text.split(";") if part),
        )

    def schemes(self, host: str) -> tuple[str, ...]:
        """The schemes to try for ``host[:port]``, in order."""
        if is_loopback(host):
            return ("http", "https")
        return ("https", "http") if self.is_insecure(host) else ("https",)
