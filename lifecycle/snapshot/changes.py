"""What a run changed: the tree that it left, compared with the layers that it started from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol

from lifecycle.archive.directory import Walker
from lifecycle.archive.entry import CHAR, DIR, FILE, SYMLINK, Content, Entry, printable
from lifecycle.snapshot.errors import ReservedName
from lifecycle.snapshot.looking import ROOT, WHITEOUT
from lifecycle.snapshot.stratum import Owner
from lifecycle.snapshot.view import MergedView

_CHUNK = 1 << 18


class Top(Protocol):
    """What a run left, as far as it may differ from below. Paths are entry names."""

    def place(self, path: bytes) -> bytes:
        """Where ``path`` is on disk."""
        ...

    def children(self, path: bytes) -> Sequence[tuple[bytes, os.stat_result | None]]:
        """Names in a directory that may have changed, in no order; None for one that was there and is gone."""
        ...

    def is_closed(self, path: bytes) -> bool:
        """Whether nothing from below is in the directory, but for what ``children`` gives."""
        ...

    def is_kept(self, path: bytes, status: os.stat_result) -> bool:
        """Whether this is the file that was there before, perhaps changed, and not another in its place."""
        ...


@dataclass(slots=True)
class Change:
    """One thing found in the tree. ``wanted``: it belongs into the layer; else it equals what is below.

    A whiteout's entry has its name in the archive; ``path`` is that of the file. ``closed``: a directory that hides
    what is below it and whose whiteouts follow; ``made``: a whiteout that is not in the tree yet.
    """

    entry: Entry
    content: Content
    path: bytes
    parent: Change | None
    wanted: bool
    identity: tuple[int, int] | None = None
    whiteout: bool = False
    made: bool = False
    closed: bool = False


def compare(top: Top, below: MergedView, owner: Owner | None) -> list[Change]:
    """Everything in ``top``, parents before children and sorted as the archive will be, each marked wanted or not.

    ``owner`` is whom new files belong to where the disk knows no owners (None: it does). Of a file with several names
    all are wanted when one is. Raises ReservedName, OSError.
    """
    return _Comparison(top, below, owner).run()


class _Comparison:
    def __init__(self, top: Top, below: MergedView, owner: Owner | None) -> None:
        self._top = top
        self._below = below
        self._owner = owner
        self._reader = Walker(owner, None, hard_links=False, xattrs=True)
        self._found: list[Change] = []

    def run(self) -> list[Change]:
        place = self._top.place(ROOT)
        lower = self._below.lookup(ROOT)
        member = self._entry(ROOT, place, os.lstat(place), lower)
        assert member is not None
        root = Change(*member, ROOT, None, not _alike(member[0], lower))
        self._found.append(root)
        pending = [iter(self._directory(root, known=True, closed=False))]
        while pending:
            for change, known, closed in pending[-1]:
                self._found.append(change)
                if change.entry.kind is DIR:
                    pending.append(iter(self._directory(change, known, closed)))
                    break
            else:
                pending.pop()
        self._want_whole_files()
        for change in self._found:
            above = change.parent if change.wanted else None
            while above is not None and not above.wanted and above is not root:
                above.wanted = True
                above = above.parent
        return self._found

    def _directory(self, parent: Change, known: bool, closed: bool) -> list[tuple[Change, bool, bool]]:
        """The changes in one directory, each with: whether it is a directory below too, and whether that is hidden."""
        path = parent.path
        above = b"" if path == ROOT else path + b"/"
        children = self._top.children(path)
        rows = [self._child(parent, above, name, status, known, closed) for name, status in children]
        if closed:
            gone = set(self._below.names(path)) - {name for name, _ in children}
            rows += [(self._whiteout(parent, above, name, made=True), False, False) for name in gone]
        return sorted(rows, key=_by_name)

    def _child(
        self, parent: Change, above: bytes, name: bytes, status: os.stat_result | None, known: bool, closed: bool
    ) -> tuple[Change, bool, bool]:
        path = above + name
        lower = self._below.lookup(path) if known else None
        if status is None:
            return self._whiteout(parent, above, name, wanted=lower is not None), False, False
        if name.startswith(WHITEOUT):
            why = "layers use names that begin with .wh. to say that a file is gone"
            raise ReservedName(f"The step leaves /{printable(path)}", why=why)
        found = self._entry(path, self._top.place(path), status, lower)
        if found is None:  # a socket: no layer can have it, but it is in the place of what was there
            return self._whiteout(parent, above, name, wanted=lower is not None, made=True), False, False
        entry, content = found
        if entry.kind is CHAR and status.st_rdev == 0:
            why = "overlayfs uses the device 0:0 to say that a file is gone"
            raise ReservedName(f"The step leaves /{printable(path)}", why=why)
        alike = _alike(entry, lower)
        change = Change(entry, content, path, parent, not alike)
        if entry.kind is DIR:
            merges = lower is not None and lower.kind is DIR
            change.closed = merges and (closed or self._top.is_closed(path))
            return change, merges, change.closed
        if status.st_nlink > 1:
            change.identity = status.st_dev, status.st_ino
        if alike and entry.kind is FILE and not _same_bytes(content, self._below.content(path)):
            change.wanted = True
        return change, False, False

    def _whiteout(
        self, parent: Change, above: bytes, name: bytes, *, wanted: bool = True, made: bool = False
    ) -> Change:
        entry = Entry(above + WHITEOUT + name, FILE)
        return Change(entry, b"", above + name, parent, wanted, whiteout=True, made=made)

    def _entry(
        self, path: bytes, place: bytes, status: os.stat_result, lower: Entry | None
    ) -> tuple[Entry, Content] | None:
        member = self._reader.member(path, place, status)
        if member is None or self._owner is None or lower is None:
            return member
        # overlayfs does not note where a file of several names came from: it is taken for the one that was there
        if path != ROOT and not self._top.is_kept(path, status) and not self._below.has_other_names(path):
            return member
        return replace(member[0], uid=lower.uid, gid=lower.gid), member[1]

    def _want_whole_files(self) -> None:
        """A layer that has one name of a file has them all: else the others would be left with another file."""
        wanted = {change.identity for change in self._found if change.wanted and change.identity}
        for change in self._found:
            if change.identity in wanted:
                change.wanted = True


def _by_name(row: tuple[Change, bool, bool]) -> bytes:
    return row[0].entry.name


def _alike(entry: Entry, lower: Entry | None) -> bool:
    """Whether two entries of one path are the same but for their times and bytes."""
    if lower is None or entry.kind is not lower.kind:
        return False
    mode = entry.kind is SYMLINK or entry.mode == lower.mode
    return mode and (
        (entry.uid, entry.gid, entry.size, entry.linkname, entry.dev_major, entry.dev_minor, entry.xattrs)
        == (lower.uid, lower.gid, lower.size, lower.linkname, lower.dev_major, lower.dev_minor, lower.xattrs)
    )


def _same_bytes(one: Content, other: Content) -> bool:
    with _opened(one) as first, _opened(other) as second:
        while True:
            data = _read(first)
            if data != _read(second):
                return False
            if not data:
                return True


def _read(stream: BinaryIO) -> bytes:
    """A full chunk, less only at the end: two streams may give theirs in different pieces."""
    data = stream.read(_CHUNK)
    while 0 < len(data) < _CHUNK:
        more = stream.read(_CHUNK - len(data))
        if not more:
            break
        data += more
    return data


def _opened(content: Content) -> BinaryIO:
    if content is None or isinstance(content, bytes):
        from io import BytesIO

        return BytesIO(content or b"")
    open_it: Callable[[], BinaryIO] = content
    return open_it()
