"""Copying and comparing directory trees, with everything that a root filesystem keeps in them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable

from lifecycle.record import dataclass

_FICLONE = 0x40049409
_MARKS = ("trusted.overlay.", "user.overlay.")
_CHUNK = 1 << 20

#: (mode, uid, gid, size, mtime_ns, ctime_ns, inode), ctime 0 where other roots share the inode
Stamp = tuple[int, int, int, int, int, int, int]
#: (mode, uid, gid, size, mtime_ns, ctime_ns, inode, names)
State = tuple[int, int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Copier:
    """Copies trees. ``own`` keeps owners (not where one id is all there is); ``share`` says which files to hard-link.

    Inside one copy, names of one file stay names of one file, unless ``join`` is false.
    """

    own: bool = True
    share: Callable[[os.stat_result], bool] = lambda status: False
    join: bool = True

    def tree(self, source: str, target: str) -> None:
        """Copy the directory ``source`` to ``target``, which is made or joined. Raises OSError."""
        self._directory(source, target, {})

    def _directory(self, source: str, target: str, seen: dict[tuple[int, int], str]) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(target, 0o700)
        with os.scandir(source) as entries:
            for entry in entries:
                self.entry(entry.path, os.path.join(target, entry.name), entry.stat(follow_symlinks=False), seen)
        self.status(source, target, os.stat(source))

    def entry(self, source: str, target: str, status: os.stat_result, seen: dict[tuple[int, int], str]) -> None:
        """Copy whatever ``source`` is to ``target``, which must not be there unless both are directories."""
        if stat.S_ISDIR(status.st_mode):
            self._directory(source, target, seen)
            return
        if stat.S_ISSOCK(status.st_mode):
            return
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in seen and self.join:
            os.link(seen[key], target, follow_symlinks=False)
            return
        sharable = stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
        if sharable and self.share(status) and _linked(source, target):
            seen[key] = target
            return
        if stat.S_ISREG(status.st_mode):
            copy_content(source, target)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(source), target)
        else:
            os.mknod(target, status.st_mode, status.st_rdev)
        seen[key] = target
        self.status(source, target, status)

    def status(self, source: str, target: str, status: os.stat_result) -> None:
        """Give ``target`` the owner, mode, attributes and times of ``source``."""
        if self.own:
            os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(target, stat.S_IMODE(status.st_mode))
        for name in attributes(source):
            try:
                os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENODATA):
                    raise
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def attributes(path: str) -> list[str]:
    """The extended attributes of ``path`` itself, without overlayfs's marks."""
    try:
        return [name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith(_MARKS)]
    except OSError:
        return []


def _linked(source: str, target: str) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            return False
        raise
    return True


def copy_content(source: str, target: str) -> None:
    """Copy a file's bytes to a new file: by sharing extents where the file system can, else by copying."""
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.ioctl(writer, _FICLONE, reader)
            except OSError:
                _copy_bytes(reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_bytes(reader: int, writer: int) -> None:
    try:
        while os.copy_file_range(reader, writer, 1 << 30):
            pass
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
        while data := os.read(reader, _CHUNK):
            view = memoryview(data)
            while view:
                view = view[os.write(writer, view) :]


def stamps(root: str) -> dict[str, Stamp]:
    """What every path below ``root`` looks like, by its path relative to it; ``.`` is the root itself."""
    return {path: stamp(state) for path, state in states(root).items()}


def states(root: str) -> dict[str, State]:
    """The whole state of every path below ``root``, as ``stamps`` names them; none when it is not there."""
    found: dict[str, State] = {}
    try:
        found["."] = state(os.lstat(root))
    except FileNotFoundError:
        return found
    pending = [(root, "")] if stat.S_ISDIR(found["."][0]) else []
    while pending:
        directory, prefix = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                name = prefix + entry.name
                found[name] = state(status)
                if stat.S_ISDIR(status.st_mode):
                    pending.append((entry.path, name + "/"))
    return found


def state(status: os.stat_result) -> State:
    """All that tells whether a path was touched."""
    return (
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_nlink,
    )


def stamp(state: State) -> Stamp:
    """One path's look. A directory's size and times, and a shared inode's ctime, say nothing about this root."""
    mode, uid, gid, size, mtime, ctime, inode, links = state
    if stat.S_ISDIR(mode):
        return (mode, uid, gid, 0, 0, 0, 0)
    return (mode, uid, gid, size, mtime, ctime if links == 1 else 0, inode)
