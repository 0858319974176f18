"""A directory tree as a sorted stream of archive members."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

from lifecycle.archive.entry import (
    BLOCK,
    CHAR,
    DIR,
    EPOCH_1980,
    FIFO,
    FILE,
    HARDLINK,
    SYMLINK,
    Entry,
    Member,
    printable,
)
from lifecycle.archive.errors import FileChanged, Unreadable, UnsafeEntry
from lifecycle.archive.writer import OnDisk

Owner = tuple[int, int]

_CAPABILITY = b"security.capability"
_CARRIED = (b"user.", _CAPABILITY)
_NOT_CARRIED = (b"user.overlay.",)
_BY_NAME = attrgetter("name")
_DIR, _REG, _LNK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK
_SPECIAL = {stat.S_IFCHR: CHAR, stat.S_IFBLK: BLOCK, stat.S_IFIFO: FIFO}


def walk(
    root: Path | str,
    *,
    prefix: bytes = b"",
    owner: Owner | None = None,
    mtime: int | None = EPOCH_1980,
    hard_links: bool = True,
    xattrs: bool = True,
    skip: Callable[[bytes], bool] | None = None,
) -> Iterator[Member]:
    """Everything at and below ``root``: directories before their content, names in byte order.

    Names are relative to ``root`` and put below ``prefix``; ``root`` itself comes first, as ``prefix`` (``b"."``
    without one). Symbolic links are not followed and sockets left out. ``owner`` and ``mtime`` replace those on
    disk, None keeps them. With ``hard_links`` a second name of a file is a link to the first, else a copy. Of the
    extended attributes ``user.*`` and ``security.capability`` are carried. ``skip`` gets each name (without
    ``prefix``) and leaves it and everything below it out. Raises Unreadable, FileChanged.
    """
    top = os.fsencode(root)
    try:
        status = os.lstat(top)
    except OSError as error:
        raise Unreadable(f"{printable(top)} cannot be read", why=error.strerror) from error
    walker = Walker(owner, mtime, hard_links, xattrs)
    member = walker.member(prefix or b".", top, status)
    if member is not None:
        yield member
    if not stat.S_ISDIR(status.st_mode):
        return
    below = prefix + b"/" if prefix else b""
    yield from walker.tree(top, below, skip, len(below))


class Walker:
    """Reads files on disk as members: with another owner or time where told, later names of a file as links to the
    first unless ``hard_links`` is false.
    """

    def __init__(self, owner: Owner | None, mtime: int | None, hard_links: bool, xattrs: bool) -> None:
        self._owner = owner
        self._mtime = mtime
        self._xattrs = xattrs
        self._first: dict[tuple[int, int], bytes] | None = {} if hard_links else None

    def tree(self, top: bytes, below: bytes, skip: Callable[[bytes], bool] | None, strip: int) -> Iterator[Member]:
        """The members below directory ``top``, named ``below`` + their path; a stack, so that depth is no limit."""
        member = self.member
        stack = [(below, iter(_sorted_entries(top)))]
        while stack:
            below, entries = stack[-1]
            for entry in entries:
                name = below + entry.name
                if skip is not None and skip(name[strip:]):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    raise _unseen(entry.path, error) from error
                found = member(name, entry.path, status)
                if found is not None:
                    yield found
                if status.st_mode & 0o170000 == _DIR:
                    stack.append((name + b"/", iter(_sorted_entries(entry.path))))
                    break
            else:
                stack.pop()

    def member(self, name: bytes, path: bytes, status: os.stat_result) -> Member | None:
        """The member for one file on disk; None for a socket."""
        mode = status.st_mode
        form = mode & 0o170000
        uid, gid = self._owner or (status.st_uid, status.st_gid)
        mtime = status.st_mtime_ns // 1_000_000_000 if self._mtime is None else self._mtime
        bits = mode & 0o7777
        xattrs = read_xattrs(path, form == _LNK) if self._xattrs else ()
        if form == _DIR:
            return Entry(name, DIR, bits, uid, gid, 0, mtime, b"", 0, 0, xattrs), None
        if form == stat.S_IFSOCK:
            return None
        if self._first is not None and status.st_nlink > 1:
            first = self._first.setdefault((status.st_dev, status.st_ino), name)
            if first is not name:
                return Entry(name, HARDLINK, bits, uid, gid, 0, mtime, first), None
        if form == _REG:
            size = status.st_size
            content = OnDisk(path, status.st_blocks * 512 < size)
            return Entry(name, FILE, bits, uid, gid, size, mtime, b"", 0, 0, xattrs), content
        if form == _LNK:
            try:
                target = os.readlink(path)
            except OSError as error:
                raise _unseen(path, error) from error
            return Entry(name, SYMLINK, bits, uid, gid, 0, mtime, target, 0, 0, xattrs), None
        major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
        kind = _SPECIAL[form]
        if kind is FIFO:
            major = minor = 0
        return Entry(name, kind, bits, uid, gid, 0, mtime, b"", major, minor, xattrs), None


def cnb_dir_members(root_dir: Path | str, at: str, owner: Owner, *, above: Owner | None = None) -> Iterator[Member]:
    """The layer of directory ``at`` in the root filesystem ``root_dir``, as the official lifecycle makes it.

    First the directories above it from the first component down, with their own mode and owner; then the tree,
    given to ``owner``. ``above`` replaces the owner of the directories above. Times fixed, hard links copied,
    extended attributes dropped. Write it in CNB style.
    Source: CNB Platform spec, "Exporter"; the entries are those of the official exporter.
    """
    name = name_in_root(at)
    yield from parents(root_dir, name, above)
    top = os.path.join(os.fsencode(root_dir), name)
    if stat.S_ISLNK(_lstat(top).st_mode):
        raise UnsafeEntry(f"{printable(b'/' + name)} is a symbolic link", why="a layer must be a directory")
    yield from walk(os.fsdecode(top), prefix=name, owner=owner, hard_links=False, xattrs=False)


def parents(root_dir: Path | str, name: bytes, owner: Owner | None = None) -> Iterator[Member]:
    """The directories above ``name`` in ``root_dir``, with their own mode; each must be a directory.

    ``owner`` is theirs where files on disk cannot have it (a single id stands for all), else they keep their own.
    """
    parts = name.split(b"/")[:-1]
    walker = Walker(owner, EPOCH_1980, hard_links=False, xattrs=False)
    path = os.fsencode(root_dir)
    for count, part in enumerate(parts, 1):
        path = os.path.join(path, part)
        status = _lstat(path)
        shown = b"/".join(parts[:count])
        if not stat.S_ISDIR(status.st_mode):
            # Following it could lead out of the root filesystem, and a layer through it would not unpack.
            raise UnsafeEntry(f"{printable(b'/' + shown)} is not a directory", why="a layer lies below it")
        member = walker.member(shown, path, status)
        if member is not None:
            yield member


def name_in_root(at: str) -> bytes:
    """The absolute path ``at`` as an entry's name. Raises UnsafeEntry for the root and for ``..``."""
    parts = _parts(os.fsencode(at))
    if not parts:
        raise UnsafeEntry(f"{at!r} cannot be a layer's directory", why="it is the root itself")
    return b"/".join(parts)


def _parts(path: bytes) -> list[bytes]:
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise UnsafeEntry(f"{printable(path)} leads out of the tree")
    return parts


def _lstat(path: bytes) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise _unseen(path, error) from error


def _sorted_entries(path: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(path) as found:
            return sorted(found, key=_BY_NAME)
    except OSError as error:
        raise _unseen(path, error) from error


def _unseen(path: bytes, error: OSError) -> FileChanged | Unreadable:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileChanged(f"{printable(path)} went away while it was being read")
    return Unreadable(f"{printable(path)} cannot be read", why=error.strerror)


def read_xattrs(path: bytes, link: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The extended attributes of the file at ``path`` (a ``link`` itself) that layers carry, by name."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        found = []
        for text in names:
            name = os.fsencode(text)
            if name.startswith(_CARRIED) and not name.startswith(_NOT_CARRIED):
                value = os.getxattr(path, name, follow_symlinks=False)
                found.append((name, _portable_capability(value) if name == _CAPABILITY else value))
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA):
            return ()
        raise _unseen(path, error) from error
    return tuple(sorted(found))


def _portable_capability(value: bytes) -> bytes:
    """A file's capabilities in the form (revision 2) that names no user namespace: revision 3 adds its root's id.

    Source: capabilities(7), "File capability extended attribute versioning".
    """
    if len(value) == 24 and value[3] == 3:
        return value[:3] + b"\2" + value[4:20]
    return value
