"""Unpacking an archive beneath a directory, whatever the archive tries."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive.entry import CHAR, DIR, FIFO, FILE, HARDLINK, SYMLINK, Entry, printable
from lifecycle.archive.errors import BadLink, ExtractFailed, NoSpace, UnsafeEntry
from lifecycle.archive.limits import Limits
from lifecycle.archive.reader import canonical, read_tar
from lifecycle.archive.streams import ReadAhead, SparseSection, SupportsRead
from lifecycle.archive.tree import Dir, Tree

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_WHITEOUT = b".wh."
_RESERVED = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_TIME_LIMIT = 1 << 33
_ALLOWED = re.compile(rb"(?!(user|trusted)\.overlay\.)(user\.|trusted\.|security\.capability\Z)")
_REFUSED = (errno.EPERM, errno.ENOTSUP, errno.EINVAL, errno.EACCES)


class Ownership(Enum):
    """KEEP: files get the ids the archive names. SELF: they belong to whoever unpacks (one id is all there is)."""

    KEEP = "keep"
    SELF = "self"


class Whiteouts(Enum):
    """What a ``.wh.`` entry does.

    APPLY: removes from the tree below. OVERLAY_TRUSTED, OVERLAY_USER: becomes what overlayfs hides lower files by
    (a 0:0 device; the ``trusted.`` or ``user.overlay.opaque`` attribute), for a tree that holds this layer alone.
    KEEP: is a file like any other.
    """

    APPLY = "apply"
    OVERLAY_TRUSTED = "overlay-trusted"
    OVERLAY_USER = "overlay-user"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Extracted:
    """What unpacking did. ``size`` is the sum of the files' bytes.

    ``dropped_xattrs`` counts, by name, attributes that may not be set here; ``skipped_devices`` are device nodes
    that may not be made here. ``implied`` are directories that no entry made, but names needed (mode 0755): in a
    tree of one layer the layers below may know their real mode. Paths are relative to the root.
    """

    entries: int
    size: int
    whiteouts: int
    dropped_xattrs: tuple[tuple[str, int], ...] = ()
    skipped_devices: tuple[bytes, ...] = ()
    implied: tuple[bytes, ...] = ()


def extract(
    stream: BinaryIO,
    root: int | str | Path,
    *,
    ownership: Ownership = Ownership.KEEP,
    whiteouts: Whiteouts = Whiteouts.APPLY,
    limits: Limits | None = None,
    at: bytes = b"",
    edit: Callable[[Entry], Entry | None] | None = None,
    report: Callable[[Entry], object] | None = None,
) -> Extracted:
    """Unpack an uncompressed tar ``stream``, to its end, beneath ``root`` (a path, or a directory's descriptor).

    No entry leaves ``root``: a name with ``..`` is refused, one through a symbolic link stays inside as in a chroot.
    An entry replaces what has its name, save that a directory joins a directory. A whiteout hides what was there
    before, never what the same archive brings, wherever in it the whiteout stands. ``at`` unpacks below that
    directory, made if missing; ``edit`` gets each entry before it is made, and what it gives (of the same kind and
    size) is made in its place, nothing for None; ``report`` is called with each entry once made, whiteouts left out.
    On an error what was unpacked so far remains. Raises UnsafeEntry, BadLink, ExtractFailed, NoSpace and what
    ``read_tar`` raises.
    """
    root_fd = root if isinstance(root, int) else _open_root(root)
    tree = Tree(root_fd)
    try:
        if at := canonical(at):
            _refuse_dots(at)
        base = None
        if at != b".":
            base = os.dup(tree.open(at).fd)
            tree.close()
            tree = Tree(base)
        try:
            with ReadAhead(stream) as ahead:
                return _Extraction(tree, ownership, whiteouts, edit, report).run(ahead, limits)
        finally:
            if base is not None:
                os.close(base)
    finally:
        tree.close()
        if not isinstance(root, int):
            os.close(root_fd)


class _Extraction:
    def __init__(
        self,
        tree: Tree,
        ownership: Ownership,
        whiteouts: Whiteouts,
        edit: Callable[[Entry], Entry | None] | None,
        report: Callable[[Entry], object] | None,
    ) -> None:
        self._tree = tree
        self._edit = edit
        self._chown = ownership is Ownership.KEEP
        self._whiteouts = whiteouts
        self._report = report
        self._made = tree.touched
        self._marks: set[bytes] = set()
        self._directories: dict[bytes, Entry] = {}
        self._joined: set[bytes] = set()
        self._dropped: Counter[str] = Counter()
        self._skipped: list[bytes] = []
        tree.make_way = self._make_way
        self._opaque = {
            Whiteouts.OVERLAY_TRUSTED: b"trusted.overlay.opaque",
            Whiteouts.OVERLAY_USER: b"user.overlay.opaque",
        }.get(whiteouts)

    def run(self, stream: SupportsRead, limits: Limits | None) -> Extracted:
        entries = size = hidden = 0
        marked = self._whiteouts is not Whiteouts.KEEP
        for entry, content in read_tar(stream, limits):
            if self._edit is not None:
                edited = self._edit(entry)
                if edited is None:
                    continue
                entry = edited
            path = entry.name
            if b".." in path:
                _refuse_dots(path)
            above, _, name = path.rpartition(b"/")
            try:
                if marked and name.startswith(_WHITEOUT):
                    self._hide(above, name)
                    hidden += 1
                    continue
                self._place(entry, above, name, content)
            except OSError as error:
                if error.errno == errno.EINVAL and self._chown:
                    why = f"its owner {entry.uid}:{entry.gid} may have no id here (see /etc/subuid)"
                    raise ExtractFailed(f"{printable(path)} cannot be unpacked", why=why) from error
                raise _failed(path, error) from error
            entries += 1
            size += entry.size
            if self._report is not None:
                self._report(entry)
        self._finish_directories()
        return Extracted(
            entries,
            size,
            hidden,
            tuple(sorted(self._dropped.items())),
            tuple(self._skipped),
            tuple(path[1:] for path in self._tree.implied if path not in self._directories),
        )

    # -- entries ---------------------------------------------------------------------------------------------------

    def _place(self, entry: Entry, above: bytes, name: bytes, content: BinaryIO) -> None:
        kind = entry.kind
        if name == b".":
            if kind is not DIR:
                raise UnsafeEntry("The archive puts something that is no directory at its root")
            self._directories[b""] = entry
            return
        here = self._tree.open(above)
        self._made.add(here.path + b"/" + name)
        if kind is FILE:
            self._file(here, name, entry, content)
        elif kind is DIR:
            self._directory(here, name, entry)
        elif kind is HARDLINK:
            self._hard_link(here, name, entry)
        else:
            try:
                made = self._special(here, name, entry)
            except FileExistsError:
                self._tree.remove(here, name)
                made = self._special(here, name, entry)
            if made:
                self._set_status(here, name, entry)

    def _file(self, here: Dir, name: bytes, entry: Entry, content: BinaryIO) -> None:
        try:
            fd = os.open(name, _CREATE, 0o600, dir_fd=here.fd)
        except FileExistsError:
            self._tree.remove(here, name)
            fd = os.open(name, _CREATE, 0o600, dir_fd=here.fd)
        try:
            if type(content) is io.BytesIO:
                if data := content.getvalue():
                    _write(fd, data)
            elif isinstance(content, SparseSection):
                for offset, length in content.segments:
                    os.lseek(fd, offset, os.SEEK_SET)
                    while length:
                        data = content.data.read(min(length, _CHUNK))
                        _write(fd, data)
                        length -= len(data)
                os.ftruncate(fd, content.size)
            else:
                while data := content.read(_CHUNK):
                    _write(fd, data)
            if self._chown:
                os.fchown(fd, entry.uid, entry.gid)
            if entry.xattrs:
                self._set_xattrs(fd, entry)
            os.fchmod(fd, entry.mode)
            when = _nanoseconds(entry.mtime)
            os.utime(fd, ns=(when, when))
        finally:
            os.close(fd)

    def _directory(self, here: Dir, name: bytes, entry: Entry) -> None:
        path = here.path + b"/" + name
        try:
            os.mkdir(name, 0o700, dir_fd=here.fd)
        except FileExistsError:
            mode = os.stat(name, dir_fd=here.fd, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode):
                self._tree.remove(here, name)
                os.mkdir(name, 0o700, dir_fd=here.fd)
                if path in self._marks:
                    self._set_opaque(here, name)
            else:
                self._joined.add(path)
        # Mode, owner and times follow at the end: a read-only directory could not be filled.
        self._directories[path] = entry

    def _hard_link(self, here: Dir, name: bytes, entry: Entry) -> None:
        target = entry.linkname
        if b".." in target.split(b"/") or target == b".":
            raise UnsafeEntry(
                f"{printable(entry.name)} is a hard link that leads out of the tree", why=f"to {printable(target)}"
            )
        above, _, last = target.rpartition(b"/")
        self._tree.pinned = here
        try:
            there = self._tree.open(above)
            try:
                os.link(last, name, src_dir_fd=there.fd, dst_dir_fd=here.fd, follow_symlinks=False)
            except FileExistsError:
                if _same(there, last, here, name):
                    return
                self._tree.remove(here, name)
                there = self._tree.open(above)
                os.link(last, name, src_dir_fd=there.fd, dst_dir_fd=here.fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EPERM, errno.EISDIR, errno.EXDEV, errno.EMLINK):
                why = "it is not in the tree" if error.errno == errno.ENOENT else error.strerror
                shown = f"{printable(entry.name)} cannot be a hard link to {printable(target)}"
                raise BadLink(shown, why=why) from error
            raise
        finally:
            self._tree.pinned = None

    def _special(self, here: Dir, name: bytes, entry: Entry) -> bool:
        """Make a link, FIFO or device; False when devices are not for us to make."""
        if entry.kind is SYMLINK:
            if not entry.linkname:
                raise BadLink(f"{printable(entry.name)} is a symbolic link to nothing")
            os.symlink(entry.linkname, name, dir_fd=here.fd)
            return True
        if entry.kind is FIFO:
            os.mkfifo(name, 0o600, dir_fd=here.fd)
            return True
        form = stat.S_IFCHR if entry.kind is CHAR else stat.S_IFBLK
        try:
            os.mknod(name, form | 0o600, os.makedev(entry.dev_major, entry.dev_minor), dir_fd=here.fd)
        except PermissionError:
            self._skipped.append(entry.name)
            return False
        return True

    # -- ownership, modes, times -----------------------------------------------------------------------------------

    def _set_status(self, here: Dir, name: bytes, entry: Entry) -> None:
        """Owner, mode and time of something that must not be opened."""
        if self._chown:
            os.chown(name, entry.uid, entry.gid, dir_fd=here.fd, follow_symlinks=False)
        if entry.kind is not SYMLINK:
            os.chmod(name, entry.mode, dir_fd=here.fd)  # made just now by us: not a link
        for attribute, _ in entry.xattrs:
            self._dropped[os.fsdecode(attribute)] += 1
        when = _nanoseconds(entry.mtime)
        os.utime(name, ns=(when, when), dir_fd=here.fd, follow_symlinks=False)

    def _finish_directories(self) -> None:
        """Give directories their owner, mode and time, the deepest first, now that nothing more goes into them."""
        opened: tuple[bytes, int] | None = None
        try:
            for path in sorted(self._directories, reverse=True):
                above, _, name = path.rpartition(b"/")
                try:
                    if opened is None or opened[0] != above:
                        if opened is not None:
                            os.close(opened[1])
                            opened = None
                        parent = self._tree.find(above)
                        if parent is None:
                            continue  # a later entry took its place
                        opened = (above, parent)
                    self._finish_directory(opened[1], name, self._directories[path], path in self._joined)
                except OSError as error:
                    raise _failed(path, error) from error
        finally:
            if opened is not None:
                os.close(opened[1])

    def _finish_directory(self, above: int, name: bytes, entry: Entry, joined: bool) -> None:
        try:
            fd = os.open(name or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except (FileNotFoundError, NotADirectoryError):
            return  # a later entry took its place
        try:
            if self._chown:
                os.fchown(fd, entry.uid, entry.gid)
            if joined and self._whiteouts is Whiteouts.APPLY:
                self._drop_xattrs(fd, entry)
            if entry.xattrs:
                self._set_xattrs(fd, entry)
            os.fchmod(fd, entry.mode)
            when = _nanoseconds(entry.mtime)
            os.utime(fd, ns=(when, when))
        finally:
            os.close(fd)

    def _drop_xattrs(self, fd: int, entry: Entry) -> None:
        """Take away what the directory had before and its new entry does not name, as where layers are mounted."""
        wanted = {name for name, _ in entry.xattrs}
        try:
            for name in os.listxattr(fd):
                if name.startswith("user.") and os.fsencode(name) not in wanted:
                    os.removexattr(fd, name)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise

    def _set_xattrs(self, fd: int, entry: Entry) -> None:
        """Set what an archive may set; overlayfs's own attributes and foreign security labels would not be content."""
        for attribute, value in entry.xattrs:
            if _ALLOWED.match(attribute):
                try:
                    os.setxattr(fd, attribute, value)
                    continue
                except OSError as error:
                    if error.errno not in _REFUSED:
                        raise
            self._dropped[os.fsdecode(attribute)] += 1

    # -- whiteouts -------------------------------------------------------------------------------------------------

    def _hide(self, above: bytes, name: bytes) -> None:
        if name == _OPAQUE:
            here = self._tree.open(above)
            if self._opaque is None:
                self._tree.clear(here, None, self._made)
            else:
                self._set_opaque(here, None)
            return
        if name.startswith(_RESERVED):
            return  # bookkeeping of another union file system
        hidden = name[len(_WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise UnsafeEntry(f"The whiteout {printable(above + b'/' + name)} does not name a file")
        here = self._tree.open(above)
        path = here.path + b"/" + hidden
        if self._opaque is None:
            try:
                mode = os.stat(hidden, dir_fd=here.fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                return
            if path not in self._made:
                self._tree.remove(here, hidden)
            elif stat.S_ISDIR(mode):
                self._tree.clear(here, hidden, self._made)
            return
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=here.fd)
            self._marks.add(path)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(hidden, dir_fd=here.fd, follow_symlinks=False).st_mode):
                self._set_opaque(here, hidden)

    def _make_way(self, here: Dir, name: bytes) -> bool:
        """A directory is wanted where our own whiteout stands: it becomes one that hides what is below it."""
        if here.path + b"/" + name not in self._marks:
            return False
        os.unlink(name, dir_fd=here.fd)
        os.mkdir(name, 0o755, dir_fd=here.fd)
        os.chmod(name, 0o755, dir_fd=here.fd)
        self._set_opaque(here, name)
        return True

    def _set_opaque(self, here: Dir, name: bytes | None) -> None:
        assert self._opaque is not None
        fd = here.fd if name is None else os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here.fd)
        try:
            os.setxattr(fd, self._opaque, b"y")
        finally:
            if name is not None:
                os.close(fd)


def _open_root(root: str | Path) -> int:
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ExtractFailed(f"Nothing can be unpacked into {root}", why=error.strerror) from error


def _refuse_dots(name: bytes) -> None:
    if b".." in name.split(b"/"):
        raise UnsafeEntry(f"{printable(name)} leads out of the tree", why="its name holds '..'")


def _write(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    if written < len(data):
        view = memoryview(data)
        while written < len(data):
            written += os.write(fd, view[written:])


def _nanoseconds(seconds: int) -> int:
    """``seconds`` in the unit of the system call, brought into what file systems can hold."""
    return max(-_TIME_LIMIT, min(seconds, _TIME_LIMIT)) * 1_000_000_000


def _same(there: Dir, one: bytes, here: Dir, other: bytes) -> bool:
    try:
        a = os.stat(one, dir_fd=there.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    b = os.stat(other, dir_fd=here.fd, follow_symlinks=False)
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


def _failed(name: bytes, error: OSError) -> ExtractFailed | NoSpace | UnsafeEntry:
    shown = f"{printable(name)} cannot be unpacked"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(shown, why=error.strerror)
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
        return UnsafeEntry(shown, why=error.strerror)
    return ExtractFailed(shown, why=error.strerror)
