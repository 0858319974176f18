"""Roots as plain directories, where nothing can be mounted: files that nobody can write are shared, others copied."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive import Ownership, Whiteouts
from lifecycle.oci.digest import Digest, chain_id
from lifecycle.record import dataclass
from lifecycle.snapshot.base import Diff, Tree, View, Virtual
from lifecycle.snapshot.copying import Copier, State
from lifecycle.snapshot.copyroot import CopyRoot
from lifecycle.snapshot.diff import FrozenDiff
from lifecycle.snapshot.errors import LayerNotUnpacked, SnapshotFailed
from lifecycle.snapshot.layers import LayerShelf, release
from lifecycle.snapshot.laying import lay_over
from lifecycle.snapshot.places import Lock, Yard, remove_tree
from lifecycle.snapshot.stratum import Stratum, tree_stratum

_KEPT_IDLE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Idle:
    """A directory that nobody uses, and whose state is that of ``layers``: the next root may go on with it."""

    place: str
    claim: Lock
    layers: tuple[Digest | Diff, ...]
    states: dict[str, State]

    def covers(self, wanted: Sequence[object]) -> bool:
        """Whether only layers on top are missing."""
        return [identity(layer) for layer in self.layers] == list(wanted[: len(self.layers)])


def identity(layer: Digest | Diff) -> object:
    """Equal for layers with the same content."""
    return layer.identity if isinstance(layer, FrozenDiff) else str(layer)


class CopySnapshots:
    """A Snapshotter of directories: each root is made of copies, or is the directory that a committed root was.

    For a ``writer_uid`` other than root, layers are merged once per chain (by hard links) and roots cloned from that:
    such a root's files may share their bytes with every other root's. pylife itself must replace files in it, never
    write into them; processes that run in it as ``writer_uid`` cannot.
    """

    FOLDER = "copies"

    def __init__(self, home: Path, ownership: Ownership) -> None:
        base = os.path.join(home, self.FOLDER)
        self._shelf = LayerShelf(base, ownership, Whiteouts.KEEP)
        self._chains = os.path.join(base, "chains")
        os.makedirs(self._chains, mode=0o755, exist_ok=True)
        self._yard = Yard(os.path.join(base, "roots"))
        self._own = ownership is Ownership.KEEP
        self._idle: list[Idle] = []
        self._lock = threading.Lock()

    def has(self, diff_id: Digest) -> bool:
        return self._shelf.has(diff_id)

    def unpack(self, diff_id: Digest, open_tar: Callable[[], BinaryIO]) -> None:
        self._shelf.unpack(diff_id, open_tar)

    def sweep(self) -> int:
        return self._yard.sweep() + self._shelf.sweep()

    def collect(self, keep: Callable[[str], bool]) -> int:
        count = self._shelf.collect(keep)
        if count:  # chains are cheap to make again and dear to keep: they hold the removed layers' files
            for name in sorted(os.listdir(self._chains)):
                if name.endswith(".lock"):
                    continue
                lock = Lock.take(os.path.join(self._chains, name + ".lock"), wait=False)
                if lock is not None:
                    remove_tree(os.path.join(self._chains, name))
                    lock.release(remove=True)
        return count

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            self._yard.drop(each.place, each.claim)

    def view(self, layers: Sequence[Digest | Diff | Virtual]) -> View:
        return self._shelf.view(layers)

    def prepare(self, layers: Sequence[Digest | Diff], trees: Sequence[Tree] = (), *, writer_uid: int = 0) -> CopyRoot:
        strata, holds = self._shelf.hold(layers)
        try:
            tops = [tree_stratum(tree.root, tree.at) for tree in trees]
            idle = None if trees else self._take(layers)
            place, claim = (idle.place, idle.claim) if idle is not None else self._yard.claim()
        except FileNotFoundError as error:
            release(holds)
            raise LayerNotUnpacked(f"A kept tree is not at {error.filename}") from error
        except BaseException:
            release(holds)
            raise

        def let_go(diff: FrozenDiff | None, states: dict[str, State]) -> None:
            if diff is not None and not trees and not shared:
                self._put(Idle(place, claim, (*layers, diff), states))
            else:
                self._yard.drop(place, claim)
            release(holds)

        chain = [layer for layer in layers if isinstance(layer, Digest)]
        shared = idle is None and bool(layers) and self._own and writer_uid != 0 and len(chain) == len(layers)
        root = CopyRoot(place, [*strata, *tops][::-1], self._shelf, let_go)
        try:
            if shared:
                merged, lock = self._chain(chain, strata)
                try:
                    Copier(self._own, _sharable).tree(merged, os.fspath(root.path))
                finally:
                    lock.release()
            elif idle is None:
                os.mkdir(root.path)
                os.chmod(root.path, 0o755)
            if not shared:
                for stratum in strata[len(idle.layers) if idle is not None else 0 :]:
                    lay_over(stratum, os.fspath(root.path), Copier(self._own, join=False))
            self._put_trees(os.fspath(root.path), trees, tops)
            if idle is not None and len(idle.layers) == len(layers):
                root.remember(idle.states)
            else:
                root.remember()
        except BaseException as error:
            root.close()
            if isinstance(error, OSError):
                why = f"{error.filename}: {error.strerror}"
                raise SnapshotFailed("A root filesystem could not be copied together", why=why) from error
            raise
        return root

    def _put_trees(self, target: str, trees: Sequence[Tree], tops: Sequence[Stratum]) -> None:
        copier = Copier(self._own)
        for tree, top in zip(trees, tops, strict=True):
            parts = tree.at.strip("/").split("/")
            for count in range(1, len(parts)):
                here = os.path.join(target, *parts[:count])
                if not os.path.lexists(here):
                    os.mkdir(here)
                    source = os.path.join(top.path, *parts[:count])
                    copier.status(source, here, os.stat(source))
            remove_tree(os.path.join(target, *parts))
            copier.tree(os.fspath(tree.content), os.path.join(target, *parts))

    def _take(self, layers: Sequence[Digest | Diff]) -> Idle | None:
        """The idle directory that needs the fewest of ``layers`` laid over it."""
        wanted = [identity(layer) for layer in layers]
        with self._lock:
            fitting = [idle for idle in self._idle if idle.covers(wanted)]
            best = max(fitting, key=lambda idle: len(idle.layers), default=None)
            if best is not None:
                self._idle.remove(best)
        return best

    def _put(self, idle: Idle) -> None:
        with self._lock:
            self._idle.append(idle)
            oldest = self._idle.pop(0) if len(self._idle) > _KEPT_IDLE else None
        if oldest is not None:
            self._yard.drop(oldest.place, oldest.claim)

    def _chain(self, layers: Sequence[Digest], strata: list[Stratum]) -> tuple[str, Lock]:
        """The merged tree of a stack of layers, made if it is not there, and a lock that keeps it."""
        place = os.path.join(self._chains, chain_id(layers).hex)
        while True:
            shared = Lock.take(place + ".lock", shared=True)
            assert shared is not None
            if os.path.isdir(place):
                return place, shared
            shared.release()
            alone = Lock.to_make(place + ".lock", lambda: os.path.isdir(place))
            if alone is None:
                continue
            try:
                partial, claim = self._yard.claim()
                try:
                    for stratum in strata:
                        lay_over(stratum, partial, Copier(self._own, lambda status: True))
                    os.rename(partial, place)
                finally:
                    self._yard.drop(partial, claim)
            finally:
                alone.release()


def _sharable(status: os.stat_result) -> bool:
    """Whether a process that is not root cannot write to the file."""
    return status.st_uid == 0 and (stat.S_ISLNK(status.st_mode) or not status.st_mode & 0o022)
