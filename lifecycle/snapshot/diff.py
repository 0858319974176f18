"""What a run changed, frozen: a tree on disk and the list of its members."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator

from lifecycle.archive.entry import FILE, HARDLINK, Entry, Member
from lifecycle.archive.writer import OnDisk
from lifecycle.oci.digest import Digest
from lifecycle.snapshot.changes import Change
from lifecycle.snapshot.looking import ROOT
from lifecycle.snapshot.places import Lock
from lifecycle.snapshot.stratum import Notes, Owner, Stratum


class FrozenDiff:
    """A Diff in the form that unpacked layers have. ``changes`` are those wanted, their trees at ``place``/fs.

    ``keep`` makes it a layer of the shelf, ``drop`` removes it. Roots and views count as users: the tree stays until
    the last has let go. Safe from any thread.
    """

    def __init__(
        self,
        place: str,
        claim: Lock,
        changes: Iterable[Change],
        single: bool,
        keep: Callable[[FrozenDiff, Digest], bool],
        drop: Callable[[str, Lock, bool], None],
    ) -> None:
        self.place = place
        self._claim = claim
        self._keep = keep
        self._drop = drop
        self._members = list(_members(changes, os.fsencode(os.path.join(place, "fs"))))
        owners: dict[bytes, Owner] = {}
        if single:
            named = ((e.name, (e.uid, e.gid)) for e, _ in self._members if e.kind is not HARDLINK)
            owners = {name: owner for name, owner in named if owner != (0, 0)}
            owners |= {e.name: owners[e.linkname] for e, _ in self._members if e.linkname in owners}
        rooted = any(entry.name == ROOT for entry, _ in self._members[:1])
        self.stratum = Stratum(
            os.path.join(place, "fs"), frozenset() if rooted else frozenset(["."]), Notes(owners), not self._members
        )
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False
        self._adopted: Digest | None = None
        self._kept = False

    @property
    def identity(self) -> object:
        """Equal for what has the same content: the diffID once it is known, this very diff before."""
        return str(self._adopted) if self._adopted is not None else id(self)

    def members(self, mtime: int) -> Iterator[Member]:
        for entry, content in self._members:
            e = entry
            if e.mtime != mtime:
                e = Entry(
                    *(e.name, e.kind, e.mode, e.uid, e.gid, e.size),
                    *(mtime, e.linkname, e.dev_major, e.dev_minor, e.xattrs),
                )
            yield e, content

    def adopt(self, diff_id: Digest) -> None:
        with self._lock:
            if self._adopted is None and not (self._closed and self._users == 0):
                self._kept = self._keep(self, diff_id)
                self._adopted = diff_id

    def close(self) -> None:
        with self._lock:
            done = not self._closed and self._users == 0
            self._closed = True
        if done:
            self._drop(self.place, self._claim, self._kept)

    def hold(self) -> Use:
        """Keep the tree for as long as the result is not released. Raises ValueError when it is gone."""
        with self._lock:
            if self._closed and self._users == 0:
                raise ValueError("a diff was used after it had been closed")
            self._users += 1
        return Use(self._let_go)

    def _let_go(self) -> None:
        with self._lock:
            self._users -= 1
            done = self._closed and self._users == 0
        if done:
            self._drop(self.place, self._claim, self._kept)


class Use:
    """One user's hold on a diff."""

    def __init__(self, on_release: Callable[[], None]) -> None:
        self._on_release = on_release
        self._held = True

    def release(self) -> None:
        """Let go. Idempotent."""
        if self._held:
            self._held = False
            self._on_release()


def _members(changes: Iterable[Change], tree: bytes) -> Iterator[Member]:
    first: dict[tuple[int, int], bytes] = {}
    for change in changes:
        e = change.entry
        if change.identity is not None:
            known = first.setdefault(change.identity, e.name)
            if known is not e.name:
                yield Entry(e.name, HARDLINK, e.mode, e.uid, e.gid, 0, e.mtime, known), None
                continue
        if e.kind is FILE and not change.whiteout:
            yield e, OnDisk(tree + b"/" + change.path, getattr(change.content, "sparse", False))
        else:
            yield e, b"" if e.kind is FILE else None
