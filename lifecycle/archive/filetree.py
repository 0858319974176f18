"""A filesystem to read from: a directory of this host, a stage's root filesystem, an unpacked archive.

Paths are entry names: bytes, relative, no slash at either end, ``b"."`` the root. No path handed to a tree runs
through a symbolic link or holds ``..``: ``resolve`` follows links first, beneath the tree's own root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from lifecycle.archive.directory import read_xattrs
from lifecycle.archive.entry import (
    BLOCK,
    CHAR,
    DIR,
    FIFO,
    FILE,
    HARDLINK,
    SYMLINK,
    Content,
    Entry,
    Member,
    printable,
)
from lifecycle.archive.errors import Unreadable
from lifecycle.archive.writer import OnDisk
from lifecycle.errors import PylifeError

ROOT = b"."
_LINKS_FOLLOWED = 255
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_BY_NAME = attrgetter("name")
_FORM, _DIR, _REG, _LNK, _SOCK = 0o170000, stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK, stat.S_IFSOCK
_SPECIAL = {stat.S_IFCHR: CHAR, stat.S_IFBLK: BLOCK, stat.S_IFIFO: FIFO}


class TooManyLinks(PylifeError):
    """Symbolic links lead to each other without an end."""

    code = "copy.link-loop"
    fix = "Look where the links point (`ls -l`, `readlink`) and remove the one that closes the circle."


class SourceChanged(PylifeError):
    """A file is no longer what it was when the build looked at it first."""

    code = "copy.source-changed"
    fix = "Stop whatever writes to the directory during the build (a watcher, a server, a log), and build again."


class FileTree(Protocol):
    """A filesystem to read. Reading it twice gives the same, unless somebody changes a host's directory meanwhile."""

    def lookup(self, path: bytes) -> Entry | None:
        """What is at ``path``, itself and not what a link there points to; None when there is nothing.

        The directories on the way must be real ones: below a link or a file there is nothing.
        """
        ...

    def names(self, path: bytes) -> list[bytes]:
        """The names in directory ``path`` in byte order; none when it is no directory."""
        ...

    def content(self, path: bytes) -> Content:
        """How to read the file at ``path``."""
        ...

    def walk(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Member]:
        """``path`` itself, then all below: directories before their content, names in byte order.

        Names are full (from the tree's root). A second name of a file is a HARDLINK to the first name that the
        walk met. ``skip`` gets each full name but ``path``'s and leaves it and all below it out.
        """
        ...


class Lookable(Protocol):
    """What can be asked what is at a path."""

    def lookup(self, path: bytes) -> Entry | None: ...


def resolve(tree: Lookable, path: bytes, *, last: bool = True) -> bytes:
    """The real place of ``path`` in ``tree``: links on the way are followed as in a chroot, ``..`` ends at the root.

    With ``last`` a link at the end is followed too. What does not exist is kept as it is written, so that a dangling
    link gives the place it points to. Raises TooManyLinks.
    """
    waiting = _parts(path)[::-1]
    real: list[bytes] = []
    missing = 0  # components of ``real`` known not to exist, so that nothing below is asked for
    links = 0
    while waiting:
        part = waiting.pop()
        if part == b"..":
            if real:
                real.pop()
                missing = max(0, missing - 1)
            continue
        real.append(part)
        if missing:
            missing += 1
            continue
        if not waiting and not last:
            break
        entry = tree.lookup(b"/".join(real))
        if entry is None:
            missing = 1
        elif entry.kind is SYMLINK:
            links += 1
            if links > _LINKS_FOLLOWED:
                raise TooManyLinks(f"{printable(path)} runs through too many symbolic links")
            if entry.linkname.startswith(b"/"):
                real.clear()
            else:
                real.pop()
            waiting += _parts(entry.linkname)[::-1]
        elif entry.kind is not DIR and waiting:
            missing = 1
    return b"/".join(real) or ROOT


def join(directory: bytes, name: bytes) -> bytes:
    """The entry name of ``name`` in ``directory``; either may be the root."""
    if directory == ROOT:
        return name
    return directory if name == ROOT else directory + b"/" + name


class Rules(Protocol):
    """Which paths of a directory are to be seen as if they were not there."""

    def ignores(self, path: str, is_dir: bool) -> bool:
        """True when ``path`` is left out."""
        ...

    def may_contain(self, path: str) -> bool:
        """False when everything beneath the ignored directory ``path`` is certainly ignored too."""
        ...


class EmptyTree:
    """A filesystem with nothing in it but its root: what ``FROM scratch`` starts with."""

    def lookup(self, path: bytes) -> Entry | None:
        return Entry(ROOT, DIR, 0o755) if path == ROOT else None

    def names(self, path: bytes) -> list[bytes]:
        return []

    def content(self, path: bytes) -> Content:
        return None

    def walk(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Member]:
        if path == ROOT:
            yield Entry(ROOT, DIR, 0o755), None


class Witnessed(OnDisk):
    """A file's content on this host as it was when ``status`` was taken: opening it checks that it still is."""

    __slots__ = ("status",)

    def __init__(self, path: bytes, status: os.stat_result) -> None:
        self.path = path
        self.sparse = status.st_blocks * 512 < status.st_size
        self.status = status

    def fd(self) -> int:
        """A new file descriptor, for the caller to close. Raises SourceChanged, Unreadable."""
        try:
            fd = os.open(self.path, _OPEN_FLAGS)
        except OSError as error:
            raise _unseen(self.path, error) from error
        now, then = os.fstat(fd), self.status
        if (
            now.st_ino != then.st_ino
            or now.st_size != then.st_size
            or now.st_mtime_ns != then.st_mtime_ns
            or now.st_ctime_ns != then.st_ctime_ns
            or now.st_dev != then.st_dev
        ):
            os.close(fd)
            raise SourceChanged(f"{printable(self.path)} was changed during the build")
        return fd


Seen = tuple[bytes, bytes, os.stat_result]
"""A name in a host's directory tree, its path on the host, and its status."""


class HostTree:
    """A directory of this host as a build sees it: without what ``rules`` ignore, everything owned by 0:0.

    Sockets are empty files. Nothing outside the directory is reached: no link is followed, and a file is checked,
    when it is opened, to be the one that was seen.
    """

    def __init__(self, directory: Path | str, rules: Rules | None = None) -> None:
        self.directory = Path(directory)
        self._top = os.fsencode(self.directory)
        self._rules = rules

    def lookup(self, path: bytes) -> Entry | None:
        seen = self._see(path)
        return None if seen is None or self._hides(seen) else _entry(*seen)

    def names(self, path: bytes) -> list[bytes]:
        seen = self._see(path)
        if seen is None or seen[2].st_mode & _FORM != _DIR:
            return []
        found = [entry.name for entry in _sorted_entries(seen[1])]
        if self._rules is not None:
            found = [name for name in found if (below := self._see(join(path, name))) and not self._hides(below)]
        return found

    def content(self, path: bytes) -> Content:
        seen = self._see(path)
        return None if seen is None or seen[2].st_mode & _FORM != _REG else Witnessed(seen[1], seen[2])

    def walk(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Member]:
        return members(self.scan(path, skip))

    def scan(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Seen]:
        """What ``walk`` goes through, before anything but its status was asked for."""
        top = self._see(path)
        if top is None:
            return
        yield top
        if top[2].st_mode & _FORM != _DIR:
            return
        ignores = None if self._rules is None else self._rules.ignores
        held: list[Seen] = []  # ignored directories on the way down: there only if something in them is
        stack = [(b"" if path == ROOT else path + b"/", iter(_sorted_entries(top[1])))]
        while stack:
            below, entries = stack[-1]
            for entry in entries:
                name = below + entry.name
                if skip is not None and skip(name):
                    continue
                is_dir = entry.is_dir(follow_symlinks=False)
                ignored = ignores is not None and ignores(os.fsdecode(name), is_dir)
                if ignored and not (is_dir and self._may_contain(name)):
                    continue
                try:
                    seen = name, entry.path, entry.stat(follow_symlinks=False)
                except OSError as error:
                    raise _unseen(entry.path, error) from error
                if ignored:
                    held.append(seen)
                else:
                    if held:
                        yield from held
                        held.clear()
                    yield seen
                if is_dir:
                    stack.append((name + b"/", iter(_sorted_entries(entry.path))))
                    break
            else:
                stack.pop()
                if held and held[-1][0] + b"/" == below:
                    held.pop()

    def excludes_below(self, path: bytes) -> bool:
        """True when ``path`` is in the directory, and only the rules hide it."""
        seen = self._see(path)
        return seen is not None and self._hides(seen)

    def hides_below(self, path: bytes) -> bool:
        """Whether the rules hide anything beneath ``path``: then the directory itself would show too much."""
        if self._rules is None:
            return False
        everything = HostTree(self.directory).scan(path)
        return any(a is None or b is None or a[0] != b[0] for a, b in zip_longest(everything, self.scan(path)))

    def _see(self, path: bytes) -> Seen | None:
        if path == ROOT:
            return ROOT, self._top, self._top_status()
        try:
            at = path.find(b"/")
            while at >= 0:
                if os.lstat(self._top + b"/" + path[:at]).st_mode & _FORM != _DIR:
                    return None
                at = path.find(b"/", at + 1)
            host = self._top + b"/" + path
            return path, host, os.lstat(host)
        except ValueError:  # a NUL
            return None
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise Unreadable(f"{printable(path)} cannot be read", why=error.strerror) from error

    def _top_status(self) -> os.stat_result:
        """Of the directory itself; its own path is the caller's, and may be a link."""
        try:
            return os.stat(self._top)
        except OSError as error:
            raise _unseen(self._top, error) from error

    def _hides(self, seen: Seen) -> bool:
        path, _, status = seen
        rules = self._rules
        if rules is None or path == ROOT:
            return False
        is_dir = status.st_mode & _FORM == _DIR
        if not rules.ignores(os.fsdecode(path), is_dir):
            return False
        if not is_dir or not self._may_contain(path):
            return True
        below = self.scan(path)
        next(below, None)
        return next(below, None) is None

    def _may_contain(self, path: bytes) -> bool:
        return self._rules is None or self._rules.may_contain(os.fsdecode(path))


def members(seen: Iterable[Seen]) -> Iterator[Member]:
    """What was seen as members, owned by 0:0; a second name of a file is a hard link to the first."""
    first: dict[tuple[int, int], bytes] = {}
    for name, path, status in seen:
        form = status.st_mode & _FORM
        if form != _DIR and status.st_nlink > 1 and form != _SOCK:
            known = first.setdefault((status.st_dev, status.st_ino), name)
            if known is not name:
                yield Entry(name, HARDLINK, status.st_mode & 0o7777, linkname=known), None
                continue
        yield _entry(name, path, status), (Witnessed(path, status) if form == _REG else None)


def _entry(name: bytes, path: bytes, status: os.stat_result) -> Entry:
    mode = status.st_mode
    form = mode & _FORM
    bits = mode & 0o7777
    mtime = -(-status.st_mtime_ns // 1_000_000_000)  # rounded up: what was changed must not look older than it is
    if form == _REG:
        return Entry(name, FILE, bits, 0, 0, status.st_size, mtime, b"", 0, 0, read_xattrs(path, False))
    if form == _DIR:
        return Entry(name, DIR, bits, 0, 0, 0, mtime, b"", 0, 0, read_xattrs(path, False))
    if form == _LNK:
        try:
            target = os.readlink(path)
        except OSError as error:
            raise _unseen(path, error) from error
        return Entry(name, SYMLINK, bits, 0, 0, 0, mtime, target, 0, 0, read_xattrs(path, True))
    if form == _SOCK:
        return Entry(name, FILE, bits, mtime=mtime)
    kind = _SPECIAL[form]
    major, minor = (0, 0) if kind is FIFO else (os.major(status.st_rdev), os.minor(status.st_rdev))
    return Entry(name, kind, bits, 0, 0, 0, mtime, b"", major, minor, read_xattrs(path, False))


def _sorted_entries(path: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(path) as found:
            return sorted(found, key=_BY_NAME)
    except OSError as error:
        raise _unseen(path, error) from error


def _unseen(path: bytes, error: OSError) -> PylifeError:
    if error.errno in _ABSENT:
        return SourceChanged(f"{printable(path)} went away during the build")
    return Unreadable(f"{printable(path)} cannot be read", why=error.strerror)


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]
