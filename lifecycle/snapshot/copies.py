"""Roots as plain directories, where nothing can be mounted: files that nobody can write are shared, others copied."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from lifecycle.archive import Ownership, Whiteouts
from lifecycle.oci.digest import Digest, chain_id
from lifecycle.snapshot.base import Tree
from lifecycle.snapshot.copying import Copier, Stamp, stamps
from lifecycle.snapshot.errors import SnapshotFailed
from lifecycle.snapshot.layers import LayerShelf
from lifecycle.snapshot.stratum import Stratum, tree_stratum
from lifecycle.snapshot.places import Lock, Yard, remove_tree
from lifecycle.snapshot.taking import put_in_layout

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class CopySnapshots:
    """A Snapshotter of directories. Layers are merged once per chain (by hard links), each root is cloned from that.

    A root's files may share their bytes with every other root's: pylife itself must replace files in it, never
    write into them; processes that run in it as ``writer_uid`` cannot.
    """

    def __init__(self, home: Path, ownership: Ownership) -> None:
        base = os.path.join(home, "copies")
        self._shelf = LayerShelf(base, ownership, Whiteouts.KEEP)
        self._chains = os.path.join(base, "chains")
        os.makedirs(self._chains, mode=0o755, exist_ok=True)
        self._yard = Yard(os.path.join(base, "roots"))
        self._own = ownership is Ownership.KEEP

    def has(self, diff_id: Digest) -> bool:
        return self._shelf.has(diff_id)

    def unpack(self, diff_id: Digest, open_tar: Callable[[], BinaryIO]) -> None:
        self._shelf.unpack(diff_id, open_tar)

    def sweep(self) -> int:
        return self._yard.sweep() + self._shelf.yard.sweep()

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

    def prepare(self, layers: Sequence[Digest], trees: Sequence[Tree] = (), *, writer_uid: int = 0) -> CopyRoot:
        strata, locks = self._shelf.hold(layers)
        try:
            tops = [tree_stratum(tree.root, tree.at) for tree in trees]
            place, claim = self._yard.claim()
            root = CopyRoot(place, self._own, lambda: self._yard.drop(place, claim))
            try:
                self._fill(root, layers, strata, trees, tops, self._sharing(writer_uid))
            except BaseException:
                root.close()
                raise
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
            raise SnapshotFailed("A root filesystem could not be copied together", why=why) from error
        finally:
            for lock in locks:
                lock.release()
        return root

    def _sharing(self, writer_uid: int) -> Callable[[os.stat_result], bool]:
        if writer_uid == 0 or not self._own:
            return lambda status: False
        return lambda status: status.st_uid == 0 and (stat.S_ISLNK(status.st_mode) or not status.st_mode & 0o022)

    def _fill(
        self,
        root: CopyRoot,
        layers: Sequence[Digest],
        strata: list[Stratum],
        trees: Sequence[Tree],
        tops: list[Stratum],
        share: Callable[[os.stat_result], bool],
    ) -> None:
        target = os.fspath(root.path)
        if layers:
            chain, lock = self._chain(layers, strata)
            try:
                Copier(self._own, share).tree(chain, target)
            finally:
                lock.release()
        else:
            os.mkdir(target, 0o755)
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
        root.remember()

    def _chain(self, layers: Sequence[Digest], strata: list[Stratum]) -> tuple[str, Lock]:
        """The merged tree of a stack of layers, made if it is not there, and a lock that keeps it."""
        place = os.path.join(self._chains, chain_id(layers).hex)
        while True:
            shared = Lock.take(place + ".lock", shared=True)
            assert shared is not None
            if os.path.isdir(place):
                return place, shared
            shared.release()
            alone = Lock.take(place + ".lock")
            assert alone is not None
            try:
                if not os.path.isdir(place):
                    partial, claim = self._yard.claim()
                    try:
                        for stratum in strata:
                            lay_over(stratum, partial, self._own)
                        os.rename(partial, place)
                    finally:
                        self._yard.drop(partial, claim)
            finally:
                alone.release()


def lay_over(stratum: Stratum, target: str, own: bool) -> None:
    """Lay one unpacked layer over ``target``: its whiteouts remove, its files replace, its directories join."""
    copier = Copier(own, lambda status: True)
    _lay_directory(stratum, "", target, copier, {})


def _lay_directory(stratum: Stratum, path: str, target: str, copier: Copier, seen: dict[tuple[int, int], str]) -> None:
    source = os.path.join(stratum.path, path)
    there = os.path.join(target, path)
    with os.scandir(source) as entries:
        found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    if _OPAQUE in found:
        for name in os.listdir(there):
            remove_tree(os.path.join(there, name))
    for name in found:
        if name.startswith(_WHITEOUT) and not name.startswith(".wh..wh."):
            remove_tree(os.path.join(there, name.removeprefix(_WHITEOUT)))
    for name, status in found.items():
        if name.startswith(_WHITEOUT):
            continue
        inside = os.path.join(path, name)
        goal = os.path.join(there, name)
        if stat.S_ISDIR(status.st_mode):
            if os.path.islink(goal) or not os.path.isdir(goal):
                remove_tree(goal)
                os.mkdir(goal, 0o755)
                copier.status(os.path.join(source, name), goal, status)
            _lay_directory(stratum, inside, target, copier, seen)
        else:
            remove_tree(goal)
            copier.entry(os.path.join(source, name), goal, status, seen)
    if (path or ".") not in stratum.implied:
        copier.status(source, there, os.stat(source))


class CopyRoot:
    """A directory cloned from a chain; ``changed`` compares with how every path looked when it was new."""

    def __init__(self, place: str, own: bool, on_close: Callable[[], None]) -> None:
        self._root = os.path.join(place, "root")
        self._own = own
        self._on_close = on_close
        self._closed = False
        self._before: dict[str, Stamp] = {}

    @property
    def path(self) -> Path:
        return Path(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def remember(self) -> None:
        """Note how everything looks now. Raises OSError."""
        self._before = stamps(self._root)

    def changed(self, at: str) -> bool:
        inside = at.strip("/")
        before = {
            path[len(inside) :].lstrip("/") or ".": seen
            for path, seen in self._before.items()
            if path == inside or path.startswith(inside + "/")
        }
        return stamps(os.path.join(self._root, inside)) != before

    def take(self, at: str, destination: Path) -> Tree:
        source = os.path.join(self._root, at.strip("/"))
        copier = Copier(self._own)

        def move(target: str) -> None:
            try:
                os.rename(source, target)
            except OSError:
                copier.tree(source, target)

        return put_in_layout(self._root, at, destination, move, copier)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._on_close()
