"""Freeing what nothing needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.app.ports import Ports


@dataclass(frozen=True, slots=True)
class Freed:
    """What one collector removed: how many of which things, and the bytes that they took on disk."""

    things: str
    count: int
    bytes: int


def _from_store(ports: Ports) -> list[Freed]:
    report = ports.store.gc()
    return [Freed("blobs and leftovers", report.blobs + report.partial_files, report.bytes)]


# In order: what the store no longer has, unpacked layers and caches need not keep either.
COLLECTORS: tuple[Callable[[Ports], list[Freed]], ...] = (_from_store,)


def collect(ports: Ports) -> list[Freed]:
    """Remove what no image needs; raises StoreBusy, having removed nothing, while another pylife works."""
    return [freed for collector in COLLECTORS for freed in collector(ports)]
