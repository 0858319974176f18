"""Which snapshotter this host allows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from lifecycle.archive import Ownership
from lifecycle.snapshot.base import Snapshotter
from lifecycle.snapshot.copies import CopySnapshots
from lifecycle.snapshot.overlay import Mounts, OverlaySnapshots


class Ground(Protocol):
    """What snapshots need to know of the sandbox's rung, which is one."""

    @property
    def ids(self) -> Literal["all", "subids", "single"]: ...

    @property
    def overlay(self) -> Literal["trusted", "user"] | None: ...

    @property
    def storage_key(self) -> str: ...

    def mounts(self) -> Mounts: ...


def open_snapshotter(home: Path, rung: Ground) -> Snapshotter:
    """The snapshotter for ``rung``, keeping its layers below ``home``/snapshots; sweeps what killed builds left."""
    place = home / "snapshots" / rung.storage_key
    ownership = Ownership.SELF if rung.ids == "single" else Ownership.KEEP
    store: Snapshotter
    if rung.overlay is None:
        store = CopySnapshots(place, ownership)
    else:
        store = OverlaySnapshots(place, rung.mounts(), rung.overlay, ownership)
    store.sweep()
    return store
