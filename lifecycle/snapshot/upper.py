"""The upper directory of an overlay mount: what a run left in it, and making a plain layer of that."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence

from lifecycle.archive.entry import DIR
from lifecycle.snapshot.changes import Change
from lifecycle.snapshot.looking import ROOT, is_opaque


class UpperTop:
    """An upper directory, unmounted, as something to compare with the layers below. ``marks``: trusted or user."""

    def __init__(self, upper: str, marks: str) -> None:
        self._top = os.fsencode(upper)
        self._opaque = f"{marks}.overlay.opaque"
        self._origin = f"{marks}.overlay.origin"

    def place(self, path: bytes) -> bytes:
        return self._top if path == ROOT else self._top + b"/" + path

    def children(self, path: bytes) -> Sequence[tuple[bytes, os.stat_result | None]]:
        with os.scandir(self.place(path)) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        return [(name, None if _is_whiteout(status) else status) for name, status in found]

    def is_closed(self, path: bytes) -> bool:
        return is_opaque(self.place(path), self._opaque)

    def is_kept(self, path: bytes, status: os.stat_result) -> bool:
        """Overlayfs notes with a file where it was copied up from, unless it had several names there."""
        try:
            os.getxattr(self.place(path), self._origin, follow_symlinks=False)
        except OSError:
            return False
        return True

    def trim(self, found: Sequence[Change], mtime: int | None) -> None:
        """Make the tree what unpacking the wanted changes would give; ``mtime`` in seconds. Raises OSError."""
        for change in reversed(found):
            place = self.place(change.path)
            if change.wanted:
                if change.made:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(place)  # a socket
                    os.mknod(place, stat.S_IFCHR, os.makedev(0, 0))
                elif change.entry.kind is DIR:
                    with contextlib.suppress(OSError):  # few have it; new ones do, where it only saves looking below
                        os.removexattr(place, self._opaque, follow_symlinks=False)
            elif change.path == ROOT:
                continue
            elif change.entry.kind is DIR:
                os.rmdir(place)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(place)
        if mtime is not None:
            wanted = (change for change in found if change.wanted and not change.whiteout)
            set_times((self.place(change.path) for change in wanted), mtime)


def set_times(places: Iterable[bytes], mtime: int) -> None:
    """Give what is at ``places``, itself and not what it points to, one time (seconds). Raises OSError."""
    when = (mtime * 1_000_000_000, mtime * 1_000_000_000)
    for place in places:
        os.utime(place, ns=when, follow_symlinks=False)


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
