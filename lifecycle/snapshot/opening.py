"""Which snapshotter this host allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

from lifecycle.archive import Ownership, Whiteouts
from lifecycle.snapshot.base import Snapshotter
from lifecycle.snapshot.copies import CopySnapshots
from lifecycle.snapshot.layers import LayerShelf
from lifecycle.snapshot.overlay import Mounts, OverlaySnapshots


class Ground(Protocol):
    """What snapshots need to know of the sandbox's rung, which is one."""

    @property
    def ids(self) -> Literal["all", "subids", "single"]: ...

    @property
    def overlay(self) -> Literal["trusted", "user"] | None: ...

    @property
    def storage_key(self) -> str: ...

    @property
    def places(self) -> tuple[str, ...]: ...

    def mounts(self) -> Mounts: ...


class Shelf(Protocol):
    """A place of unpacked layers, of any kind, to clear up in."""

    def sweep(self) -> int: ...

    def collect(self, keep: Callable[[str], bool]) -> int: ...


def open_snapshotter(home: Path, rung: Ground) -> Snapshotter:
    """The snapshotter for ``rung``, keeping its layers below ``home``/snapshots; sweeps what killed builds left."""
    place = home / "snapshots" / rung.storage_key
    ownership = Ownership.SELF if rung.ids == "single" else Ownership.KEEP
    store: Snapshotter
    if rung.overlay is None:
        store = CopySnapshots(place, ownership)
    else:
        store = OverlaySnapshots(place, rung.mounts(), rung.overlay, ownership, rung.places)
    sweep_snapshots(home)
    return store


def sweep_snapshots(home: Path) -> int:
    """Remove what killed builds left, on whichever rung they were, as far as this process may; how many."""
    return _each(home, lambda shelf: shelf.sweep())


def collect_snapshots(home: Path, keep: Callable[[str], bool]) -> int:
    """Remove layers that nobody holds and ``keep`` does not want, of every rung, as ``sweep_snapshots`` does."""
    return _each(home, lambda shelf: shelf.collect(keep))


def _each(home: Path, clear: Callable[[Shelf], int]) -> int:
    count = 0
    for base in _places(home / "snapshots"):
        with suppress(OSError):  # another user's, or one whose ids this process has not
            count += clear(_shelf(base))
    return count


def _places(snapshots: Path) -> Iterator[Path]:
    with suppress(OSError):
        for key in sorted(snapshots.iterdir()):
            with suppress(OSError):
                yield from sorted(key.iterdir())


def _shelf(base: Path) -> Shelf:
    """What is at ``base``; for clearing up, it is all the same how owners and whiteouts are kept there."""
    if base.name == CopySnapshots.FOLDER:
        return CopySnapshots(base.parent, Ownership.KEEP)
    return LayerShelf(str(base), Ownership.KEEP, Whiteouts.KEEP)
