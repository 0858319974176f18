"""A source directory copied into a build, byte for byte, without a write to the source.

Names are bytes throughout. Hard links stay links, holes stay holes, symbolic links are copied as they are; sockets,
FIFOs and devices are left out and named.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from lifecycle.events import Level, Message, NullSink, Sink
from lifecycle.oci import Digest
from lifecycle.record import dataclass
from lifecycle.source.errors import CopyFailed, SourceChanged, SourceNotFound, SourceUnreadable
from lifecycle.source.ignore import EVERYTHING, Filter

_CHUNK = 256 << 10
_ZEROS = bytes(_CHUNK)
_SHOWN = 10
_ACCESS = "See to it that this user may write where the copy goes: who owns it, its mode, how it is mounted."
_SPECIAL = {stat.S_IFSOCK: "socket", stat.S_IFIFO: "FIFO", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was copied. ``digest`` names the content: kinds, names, modes and bytes, but no times and no owners.

    ``size`` is the bytes of file contents, each hard-linked file once. ``skipped`` are the special files left out,
    ``outward_links`` the symbolic links that lead out of the tree; both as shown to people.
    """

    digest: Digest
    files: int = 0
    directories: int = 0
    links: int = 0
    size: int = 0
    skipped: tuple[str, ...] = ()
    outward_links: tuple[str, ...] = ()


def copy_directory(
    source: Path,
    destination: Path,
    *,
    owner: tuple[int, int] | None = None,
    filter: Filter = EVERYTHING,
    sink: Sink | None = None,
) -> Manifest:
    """Copy what ``filter`` takes of ``source`` into the directory ``destination``, made when missing.

    Everything made is given to ``owner`` (uid, gid). Modes and modification times are kept. Raises SourceUnreadable or
    SourceChanged naming the file, CopyFailed; what was copied before stays in the destination.
    """
    root, target = os.fsencode(source), os.fsencode(destination)
    if not os.path.isdir(root):
        why = "it is no directory" if os.path.lexists(root) else "it does not exist"
        raise SourceNotFound(f"The source {source} cannot be used", why=why)
    copy = _Copy(root, target, owner, filter)
    try:
        os.makedirs(target, exist_ok=True)
        if owner is not None:
            os.chown(target, *owner)
        copy.tree()
    except OSError as error:  # reading has its own errors: this is about the destination
        fix = _ACCESS if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else None
        raise CopyFailed(f"The source {source} cannot be copied", why=str(error), fix=fix) from error
    _tell(sink or NullSink(), copy)
    return Manifest(
        Digest("sha256", copy.digest.hexdigest()),
        copy.files,
        copy.directories,
        copy.links,
        copy.size,
        tuple(f"{_shown(name)} ({kind})" for name, kind in copy.skipped),
        tuple(map(_shown, copy.outward)),
    )


def digest_directory(source: Path, *, filter: Filter = EVERYTHING) -> Digest:
    """The digest that ``copy_directory`` gives, by reading alone."""
    copy = _Copy(os.fsencode(source), None, None, filter)
    copy.tree()
    return Digest("sha256", copy.digest.hexdigest())


def _shown(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _tell(sink: Sink, copy: _Copy) -> None:
    skipped = [f"{_shown(name)} ({kind})" for name, kind in copy.skipped]
    _message(sink, "warning", skipped, "left out of the build, being neither file, directory nor link")
    outward = list(map(_shown, copy.outward))
    _message(sink, "warning", outward, "copied as it is, though it leads out of the source: it may lead nowhere there")


def _message(sink: Sink, level: Level, names: Sequence[str], what: str) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        sink.emit(Message(f"{', '.join(names[:_SHOWN])}{more}: {what}.", level))


@dataclass(slots=True)
class _Directory:
    """A directory being copied: entries still to do (in reverse), and what it takes to finish it."""

    name: bytes
    taken: bool
    status: os.stat_result
    todo: list[bytes]


@dataclass(slots=True)
class _Copy:
    """The state of one copy. Directories are made when the first thing in them is taken, or they are themselves.

    Without a ``target`` nothing is made: what would be copied is only read and counted.
    """

    root: bytes
    target: bytes | None
    owner: tuple[int, int] | None
    filter: Filter
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    files: int = 0
    directories: int = 0
    links: int = 0
    size: int = 0
    skipped: list[tuple[bytes, str]] = field(default_factory=list)
    outward: list[bytes] = field(default_factory=list)
    inodes: dict[tuple[int, int], tuple[bytes, bytes]] = field(default_factory=dict)
    made: dict[bytes, os.stat_result] = field(default_factory=dict)

    def tree(self) -> None:
        own = os.stat(self.target) if self.target is not None else None
        stack = [_Directory(b"", True, os.stat(self.root), self._names(b""))]
        while stack:
            here = stack[-1]
            if not here.todo:
                stack.pop()
                continue
            name = here.name + b"/" + here.todo.pop() if here.name else here.todo.pop()
            status = self._stat(name)
            if own is not None and (status.st_dev, status.st_ino) == (own.st_dev, own.st_ino):
                self.skipped.append((name, "the copy itself"))
                continue
            is_dir = stat.S_ISDIR(status.st_mode)
            taken, inside = self.filter.takes(os.fsdecode(name), is_dir, here.taken and bool(here.name))
            if taken:
                for parent in stack[1:]:
                    self._directory(parent.name, parent.status)
                self._entry(name, status)
            if inside:
                stack.append(_Directory(name, taken, status, self._names(name)))
        if self.target is None:
            return
        for name, status in reversed(self.made.items()):  # children before parents: making one changes its parent
            place = self._place(name)
            os.chmod(place, stat.S_IMODE(status.st_mode))
            os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _place(self, name: bytes) -> bytes:
        assert self.target is not None
        return os.path.join(self.target, name)

    def _fail(self, name: bytes, error: OSError) -> Exception:
        shown = _shown(os.path.join(self.root, name))
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP):
            return SourceChanged(f"{shown} vanished while it was copied", where=shown)
        return SourceUnreadable(f"{shown} cannot be read", why=error.strerror, where=shown)

    def _names(self, name: bytes) -> list[bytes]:
        try:
            return sorted(os.listdir(os.path.join(self.root, name)), reverse=True)
        except OSError as error:
            raise self._fail(name, error) from error

    def _stat(self, name: bytes) -> os.stat_result:
        try:
            return os.lstat(os.path.join(self.root, name))
        except OSError as error:
            raise self._fail(name, error) from error

    def _record(self, kind: bytes, name: bytes, mode: int, content: bytes) -> None:
        for part in (kind, name, b"%o" % mode, content):
            self.digest.update(b"%d:" % len(part))
            self.digest.update(part)

    def _entry(self, name: bytes, status: os.stat_result) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            self._directory(name, status)
        elif kind == stat.S_IFREG:
            self._file(name, status)
        elif kind == stat.S_IFLNK:
            self._link(name, status)
        else:
            self.skipped.append((name, _SPECIAL.get(kind, "special file")))

    def _directory(self, name: bytes, status: os.stat_result) -> None:
        if name in self.made:
            return
        if self.target is not None:
            place = self._place(name)
            os.mkdir(place, 0o700)
            if self.owner is not None:
                os.chown(place, *self.owner)
        self.made[name] = status
        self.directories += 1
        self._record(b"dir", name, stat.S_IMODE(status.st_mode), b"")

    def _link(self, name: bytes, status: os.stat_result) -> None:
        try:
            to = os.readlink(os.path.join(self.root, name))
        except OSError as error:
            raise self._fail(name, error) from error
        if self.target is not None:
            place = self._place(name)
            os.symlink(to, place)
            if self.owner is not None:
                os.lchown(place, *self.owner)
            os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
        leads = os.path.normpath(os.path.join(os.path.dirname(name), to))
        if to.startswith(b"/") or leads == b".." or leads.startswith(b"../"):
            self.outward.append(name)
        self.links += 1
        self._record(b"link", name, 0, to)

    def _file(self, name: bytes, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        mode = stat.S_IMODE(status.st_mode)
        self.files += 1
        if status.st_nlink > 1 and identity in self.inodes:
            first, content = self.inodes[identity]
            if self.target is not None:
                os.link(self._place(first), self._place(name), follow_symlinks=False)
            self._record(b"file", name, mode, content)
            return
        content, size = self._contents(name, mode, status)
        self.size += size
        if status.st_nlink > 1:
            self.inodes[identity] = (name, content)
        self._record(b"file", name, mode, content)

    def _contents(self, name: bytes, mode: int, status: os.stat_result) -> tuple[bytes, int]:
        """Copy the bytes that the file has now; returns what names them, and how many there are."""
        try:
            # NONBLOCK and NOFOLLOW: the name may have become a FIFO or a link since it was looked at.
            fd = os.open(os.path.join(self.root, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._fail(name, error) from error
        try:
            now = os.fstat(fd)
            if not stat.S_ISREG(now.st_mode):
                raise SourceChanged(f"{_shown(name)} changed its kind while it was copied")
            if self.target is None:
                return self._bytes(name, fd, None, now), now.st_size
            out = os.open(self._place(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                content = self._bytes(name, fd, out, now)
                if self.owner is not None:
                    os.fchown(out, *self.owner)
                os.fchmod(out, mode)
                os.utime(out, ns=(status.st_mtime_ns, status.st_mtime_ns))
            finally:
                os.close(out)
        finally:
            os.close(fd)
        return content, now.st_size

    def _bytes(self, name: bytes, fd: int, out: int | None, status: os.stat_result) -> bytes:
        """Chunk by chunk; a chunk of zeros is neither written nor hashed, so a hole and written zeros are the same."""
        size = status.st_size
        sparse = status.st_blocks * 512 < size
        content = hashlib.sha256(b"%d" % size)
        offset = 0
        while offset < size:
            if sparse:
                try:
                    offset = max(offset, os.lseek(fd, offset, os.SEEK_DATA) // _CHUNK * _CHUNK)
                except OSError as error:
                    if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                        break
                    raise self._fail(name, error) from error
            wanted = min(_CHUNK, size - offset)
            try:
                chunk = os.pread(fd, wanted, offset)
            except OSError as error:
                raise self._fail(name, error) from error
            if len(chunk) < wanted:
                raise SourceChanged(f"{_shown(name)} shrank while it was copied", where=_shown(name))
            if chunk != _ZEROS[: len(chunk)]:
                content.update(b"@%d:" % offset)
                content.update(chunk)
                written = 0 if out is not None else len(chunk)
                while out is not None and written < len(chunk):
                    written += os.pwrite(out, chunk[written:] if written else chunk, offset + written)
            offset += len(chunk)
        if out is not None:
            os.ftruncate(out, size)
        return content.digest()
