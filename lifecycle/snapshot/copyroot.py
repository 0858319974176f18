"""One root that is a plain directory: what changed in it is found by comparing with how every path looked before."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lifecycle.archive.entry import DIR
from lifecycle.snapshot.base import Tree
from lifecycle.snapshot.changes import Change, compare
from lifecycle.snapshot.copying import Copier, State, stamp, stamps, state, states
from lifecycle.snapshot.diff import FrozenDiff
from lifecycle.snapshot.errors import SnapshotFailed
from lifecycle.snapshot.layers import LayerShelf
from lifecycle.snapshot.looking import ROOT, WHITEOUT
from lifecycle.snapshot.stratum import Stratum
from lifecycle.snapshot.taking import put_in_layout
from lifecycle.snapshot.upper import set_times
from lifecycle.snapshot.view import MergedView


class CopyRoot:
    """A directory of copies. ``strata``, topmost first, are what it was made of.

    ``on_close`` gets the diff if the root was committed, and how everything looks then: the directory may go on as
    the next root.
    """

    def __init__(
        self,
        place: str,
        strata: Sequence[Stratum],
        shelf: LayerShelf,
        on_close: Callable[[FrozenDiff | None, dict[str, State]], None],
    ) -> None:
        self._root = os.path.join(place, "root")
        self._strata = strata
        self._shelf = shelf
        self._own = not shelf.single
        self._on_close = on_close
        self._closed = False
        self._before: dict[str, State] = {}

    @property
    def path(self) -> Path:
        return Path(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def remember(self, known: dict[str, State] | None = None) -> None:
        """Note how everything looks now, unless it is ``known``. Raises OSError."""
        self._before = states(self._root) if known is None else known

    def changed(self, at: str) -> bool:
        inside = at.strip("/")
        before = {
            path[len(inside) :].lstrip("/") or ".": stamp(seen)
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

    def commit(self, *, owner: tuple[int, int] = (0, 0), mtime: int | None = None) -> FrozenDiff:
        below = MergedView([self._shelf.look_into(stratum) for stratum in self._strata])
        place, claim = self._shelf.diffs.claim()
        try:
            after = states(self._root)
            top = CopyTop(self._root, self._before, after)
            found = compare(top, below, owner if self._shelf.single else None)
            self._copy_out(found, os.path.join(place, "fs"), mtime)
            self._tidy(found, after, mtime)
            diff = self._shelf.frozen(place, claim, found)
        except BaseException as error:
            self._shelf.diffs.drop(place, claim)
            self.close()
            if isinstance(error, OSError):
                why = f"{error.filename}: {error.strerror}"
                raise SnapshotFailed("What a step changed could not be gathered", why=why) from error
            raise
        self._closed = True
        self._on_close(diff, after)
        return diff

    def _copy_out(self, found: Sequence[Change], tree: str, mtime: int | None) -> None:
        """Copy what is wanted into the form that the shelf keeps layers in."""
        copier = Copier(self._own)
        seen: dict[tuple[int, int], str] = {}
        target = os.fsencode(tree)
        made: list[tuple[str, str]] = []
        os.mkdir(tree)
        os.chmod(tree, 0o755)
        for change in found:
            if not change.wanted:
                continue
            here = os.fsdecode(target + b"/" + change.path) if change.path != ROOT else tree
            there = os.path.join(self._root, os.fsdecode(change.path))
            if change.whiteout:
                above, name = os.path.split(here)
                with open(os.path.join(above, os.fsdecode(WHITEOUT) + name), "xb"):
                    pass
            elif change.entry.kind is DIR:
                if change.path != ROOT:
                    os.mkdir(here, 0o700)
                made.append((there, here))
            else:
                copier.entry(there, here, os.lstat(there), seen)
        for there, here in reversed(made):
            copier.status(there, here, os.stat(there))
        if mtime is not None:
            set_times(_places(found, target), mtime)

    def _tidy(self, found: Sequence[Change], after: dict[str, State], mtime: int | None) -> None:
        """Make the directory what a root of the layers and the diff would be, and ``after`` say how it looks."""
        names: set[tuple[int, int]] = set()
        there = [(os.fsdecode(change.path), change) for change in found]
        for path, change in there:
            if change.whiteout and path in after:  # a socket
                os.unlink(os.path.join(self._root, path))
                del after[path]
            elif change.identity is not None:
                if change.identity in names:
                    _part(os.path.join(self._root, path), self._own)
                names.add(change.identity)
        for path, change in there:
            before = self._before.get(path)
            if not change.wanted and path in after and before is not None:
                os.utime(os.path.join(self._root, path), ns=(before[4], before[4]), follow_symlinks=False)
        if mtime is not None:
            set_times(_places(found, os.fsencode(self._root)), mtime)
        for path, _ in there:
            if path in after:
                after[path] = state(os.lstat(os.path.join(self._root, path)))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._on_close(None, {})


class CopyTop:
    """The paths of a root that look other than ``before``, as something to compare with the layers below."""

    def __init__(self, root: str, before: Mapping[str, State], after: Mapping[str, State]) -> None:
        self._root = os.fsencode(root)
        self._before = before
        self._suspects: dict[str, dict[str, bool]] = {}  # directory: name: whether it is there
        for path, now in after.items():
            if before.get(path) != now:
                self._suspect(path, True)
        for path in before:
            if path not in after and stat.S_ISDIR(after.get(os.path.dirname(path) or ".", (0,))[0]):
                self._suspect(path, False)

    def _suspect(self, path: str, there: bool) -> None:
        while path != ".":
            above = os.path.dirname(path) or "."
            names = self._suspects.setdefault(above, {})
            name = os.path.basename(path)
            if name in names:
                return
            names[name] = there
            path, there = above, True

    def place(self, path: bytes) -> bytes:
        return self._root if path == ROOT else self._root + b"/" + path

    def children(self, path: bytes) -> Sequence[tuple[bytes, os.stat_result | None]]:
        rows: list[tuple[bytes, os.stat_result | None]] = []
        for shown, there in self._suspects.get(os.fsdecode(path), {}).items():
            name = os.fsencode(shown)
            rows.append((name, os.lstat(self.place(path) + b"/" + name) if there else None))
        return rows

    def is_closed(self, path: bytes) -> bool:
        return False

    def is_kept(self, path: bytes, status: os.stat_result) -> bool:
        """The same inode: of a file removed and made again, the kernel may have given the new one the old number."""
        before = self._before.get(os.fsdecode(path))
        return (
            before is not None and before[6] == status.st_ino and stat.S_IFMT(before[0]) == stat.S_IFMT(status.st_mode)
        )


def _places(found: Iterable[Change], top: bytes) -> Iterable[bytes]:
    """Where on disk below ``top`` the files and directories of the layer are."""
    for change in found:
        if change.wanted and not change.whiteout:
            yield top + b"/" + change.path


def _part(path: str, own: bool) -> None:
    """Make one of a file's names a file of its own, as overlayfs would show it in the next root once written to."""
    copy = path + "." + os.urandom(4).hex()
    Copier(own).entry(path, copy, os.lstat(path), {})
    os.rename(copy, path)
