"""One layer alone, to look into: what it brings at a path, and what it hides of the layers below."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum
from typing import Protocol

from lifecycle.archive.directory import Walker
from lifecycle.archive.entry import DIR, HARDLINK, Content, Entry, Member
from lifecycle.snapshot.stratum import Stratum

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
ROOT = b"."


class Look(Enum):
    """What a layer has at a path. CLOSED: a directory through which nothing of the layers below shows."""

    HIDDEN = "hidden"
    FILE = "file"
    DIR = "dir"
    CLOSED = "closed"


HIDDEN, OTHER, OPEN, CLOSED = Look.HIDDEN, Look.FILE, Look.DIR, Look.CLOSED

Raw = os.stat_result | Entry
Seen = tuple[Look, Raw | None]
NOT_HERE: tuple[None, None] = (None, None)


class Layer(Protocol):
    """Paths are entry names; those given are the root's or children of its directories."""

    def look(self, path: bytes) -> tuple[Look | None, Raw | None]:
        """What is at ``path``, and what ``member`` needs to know of it."""
        ...

    def children(self, path: bytes) -> Iterable[tuple[bytes, Look, Raw | None]]:
        """The same for each name in the directory ``path``, in no order."""
        ...

    def implied(self, path: bytes) -> bool:
        """Whether the directory ``path`` is only passed through: the layers below know its owner and mode."""
        ...

    def member(self, path: bytes, raw: Raw) -> Member:
        """The entry at ``path`` and its content; never a hard link."""
        ...

    def identity(self, path: bytes, raw: Raw) -> object:
        """What names of one file have in common; None for a file with one name."""
        ...


class DiskLayer:
    """An unpacked layer. ``opaque`` is the attribute that overlayfs marks directories by, None where whiteouts are
    kept as ``.wh.`` files; with ``single``, owners are those of the notes and not of the disk.
    """

    def __init__(self, stratum: Stratum, opaque: str | None, single: bool) -> None:
        self._top = os.fsencode(stratum.path)
        self._opaque = opaque
        self._implied = frozenset(os.fsencode(path) for path in stratum.implied)
        self._owners = stratum.notes.owners
        self._devices = stratum.notes.devices
        self._reader = Walker((0, 0) if single else None, None, hard_links=False, xattrs=True)

    def implied(self, path: bytes) -> bool:
        return path in self._implied

    def look(self, path: bytes) -> tuple[Look | None, Raw | None]:
        place = self._place(path)
        try:
            status = os.lstat(place)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                raise
            device = self._devices.get(path)
            if device is not None:
                return OTHER, device
            if self._opaque is None and path != ROOT and os.path.lexists(_whiteout(place)):
                return HIDDEN, None
            return NOT_HERE
        found = self._judge(place, status)
        if found is OPEN and self._opaque is None and path != ROOT and os.path.lexists(_whiteout(place)):
            found = CLOSED
        return found, status

    def children(self, path: bytes) -> Iterator[tuple[bytes, Look, Raw | None]]:
        found: dict[bytes, tuple[Look, Raw | None]] = {}
        marked = []
        with os.scandir(self._place(path)) as entries:
            for entry in entries:
                name = entry.name
                if self._opaque is None and name.startswith(WHITEOUT):
                    if not name.startswith(b".wh..wh."):
                        marked.append(name[len(WHITEOUT) :])
                    continue
                status = entry.stat(follow_symlinks=False)
                look = self._judge(entry.path, status)
                if look is not None:
                    found[name] = look, None if look is HIDDEN else status
        for name in marked:
            have = found.get(name)
            if have is None:
                found[name] = HIDDEN, None
            elif have[0] is OPEN:
                found[name] = CLOSED, have[1]
        if self._devices:
            below = b"" if path == ROOT else path + b"/"
            for device, made in self._devices.items():
                if device.startswith(below) and b"/" not in device[len(below) :]:
                    found.setdefault(device[len(below) :], (OTHER, made))
        for name, (look, raw) in found.items():
            yield name, look, raw

    def member(self, path: bytes, raw: Raw) -> Member:
        if isinstance(raw, Entry):
            return raw, None
        member = self._reader.member(path, self._place(path), raw)
        assert member is not None
        owner = self._owners.get(path)
        if owner is not None:
            return replace(member[0], uid=owner[0], gid=owner[1]), member[1]
        return member

    def identity(self, path: bytes, raw: Raw) -> object:
        if isinstance(raw, Entry) or raw.st_nlink < 2:
            return None
        return raw.st_dev, raw.st_ino

    def _place(self, path: bytes) -> bytes:
        return self._top if path == ROOT else self._top + b"/" + path

    def _judge(self, place: bytes, status: os.stat_result) -> Look | None:
        form = status.st_mode & 0o170000
        if form == stat.S_IFDIR:
            if self._opaque is None:
                return CLOSED if os.path.lexists(place + b"/" + OPAQUE) else OPEN
            return CLOSED if is_opaque(place, self._opaque) else OPEN
        if form == stat.S_IFCHR and status.st_rdev == 0 and self._opaque is not None:
            return HIDDEN
        return None if form == stat.S_IFSOCK else OTHER


def is_opaque(place: bytes | str, attribute: str) -> bool:
    """Whether overlayfs shows nothing of the lower trees through the directory ``place``."""
    try:
        return os.getxattr(place, attribute, follow_symlinks=False) == b"y"
    except OSError:  # no such attribute, or one that only a greater root may see and set
        return False


def _whiteout(place: bytes) -> bytes:
    above, _, name = place.rpartition(b"/")
    return above + b"/" + WHITEOUT + name


class MemberLayer:
    """A layer that is on no disk: its members say everything."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members: dict[bytes, Member] = {}
        self._names: dict[bytes, dict[bytes, bool]] = {ROOT: {}}  # directory: name: whether it is a whiteout
        self._closed: set[bytes] = set()
        self._links: set[bytes] = set()
        for entry, content in members:
            self._add(entry, content)

    def _add(self, entry: Entry, content: Content) -> None:
        path = entry.name
        if path == ROOT:
            self._members[path] = entry, None
            return
        above, _, name = path.rpartition(b"/")
        above = above or ROOT
        if name == OPAQUE:
            self._directory(above)
            self._closed.add(above)
        elif name.startswith(WHITEOUT):
            self._directory(above)
            hidden = name[len(WHITEOUT) :]
            if self._names[above].setdefault(hidden, True) is False:
                self._closed.add(path[: -len(name)] + hidden)
        else:
            self._directory(above)
            if self._names[above].get(name):
                self._closed.add(path)
            self._names[above][name] = False
            if entry.kind is DIR:
                self._names.setdefault(path, {})
            else:
                self._forget(path)
            if entry.kind is HARDLINK:
                self._links |= {entry.linkname, path}
            self._members[path] = entry, content

    def _directory(self, path: bytes) -> None:
        """See to it that ``path`` is a directory here, if only one passed through."""
        if path in self._names:
            return
        above, _, name = path.rpartition(b"/")
        above = above or ROOT
        self._directory(above)
        if self._names[above].get(name):
            self._closed.add(path)
        self._members.pop(path, None)
        self._names[above][name] = False
        self._names[path] = {}

    def _forget(self, path: bytes) -> None:
        for name in self._names.pop(path, ()):
            self._members.pop(path + b"/" + name, None)
            self._forget(path + b"/" + name)

    def implied(self, path: bytes) -> bool:
        return path not in self._members

    def look(self, path: bytes) -> tuple[Look | None, Raw | None]:
        if path == ROOT:
            return CLOSED if ROOT in self._closed else OPEN, self._entry(ROOT)
        above, _, name = path.rpartition(b"/")
        hidden = self._names.get(above or ROOT, {}).get(name)
        return NOT_HERE if hidden is None else self._look(path, hidden)

    def _look(self, path: bytes, hidden: bool) -> Seen:
        if hidden:
            return HIDDEN, None
        if path in self._names:
            return CLOSED if path in self._closed else OPEN, self._entry(path)
        return OTHER, self._entry(path)

    def children(self, path: bytes) -> Iterator[tuple[bytes, Look, Raw | None]]:
        below = b"" if path == ROOT else path + b"/"
        for name, hidden in self._names.get(path, {}).items():
            yield name, *self._look(below + name, hidden)

    def _entry(self, path: bytes) -> Entry:
        member = self._members.get(path)
        return member[0] if member is not None else Entry(path, DIR, 0o755)

    def member(self, path: bytes, raw: Raw) -> Member:
        entry, content = self._members.get(path) or (self._entry(path), None)
        if entry.kind is HARDLINK:
            entry, content = self._members[self._first(path)]
            return replace(entry, name=path), content
        return entry, content

    def identity(self, path: bytes, raw: Raw) -> object:
        return self._first(path) if path in self._links else None

    def _first(self, path: bytes) -> bytes:
        """The name of the file that the hard link ``path`` leads to."""
        with contextlib.suppress(KeyError):
            while (entry := self._members[path][0]).kind is HARDLINK and entry.linkname != path:
                path = entry.linkname
        return path
