"""A directory tree changed only from within: every step goes by directory descriptor, no symbolic link leads out.

Where a name runs through a symbolic link, the link is followed as a process would see it whose root is this tree
(``..`` and absolute targets end at its root), one component at a time and never by the kernel.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict, deque
from collections.abc import Callable, Container

from lifecycle.archive.entry import printable
from lifecycle.archive.errors import ExtractFailed, UnsafeEntry

_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_OPEN = 96
_KEPT_ABOVE = 32
_LINKS_FOLLOWED = 40


class Dir:
    """An open directory. ``path`` is where it really is: from the root, without links; ``b""`` is the root."""

    __slots__ = ("fd", "path")

    def __init__(self, fd: int, path: bytes) -> None:
        self.fd = fd
        self.path = path


class Tree:
    """The directories beneath ``root_fd``, opened (and made) as names ask for them, a bounded number kept open.

    ``touched`` gathers the real path of each directory that a name led into, ``implied`` of those that had to be
    made (mode 0755) because nothing else made them. ``make_way`` is asked what to do with a file where a directory
    is needed: it may put a directory there (0755) and return True.
    """

    def __init__(self, root_fd: int) -> None:
        self.root = Dir(root_fd, b"")
        self.touched: set[bytes] = set()
        self.implied: list[bytes] = []
        self.make_way: Callable[[Dir, bytes], bool] = lambda here, name: False
        self.pinned: Dir | None = None
        self._open: OrderedDict[bytes, Dir] = OrderedDict()
        self._last: tuple[bytes, Dir] = (b"", self.root)
        self._superuser = os.geteuid() == 0

    def close(self) -> None:
        """Close everything but the root."""
        self.pinned = None
        self._forget(None)

    def open(self, path: bytes) -> Dir:
        """The directory that ``path`` (relative, no ``..``; ``b""`` is the root) names; missing ones are made.

        The result stays open until another is asked for, or pinned. Raises UnsafeEntry, ExtractFailed.
        """
        if path == self._last[0]:
            return self._last[1]
        if not path:
            return self.root
        found = self._open.get(path)
        if found is not None:
            self._open.move_to_end(path)
            self._last = (path, found)
            return found
        parts = path.split(b"/")
        have, current, kept, prefix = len(parts), self.root, True, path
        while have:
            have -= 1
            prefix = prefix[: -len(parts[have]) - 1] if have else b""
            if prefix in self._open:
                current = self._open[prefix]
                self._open.move_to_end(prefix)
                break
        for count, name in enumerate(parts[have:], have + 1):
            try:
                below = self._step(current, name)
            finally:
                if not kept:
                    os.close(current.fd)
            current = below
            prefix = prefix + b"/" + name if prefix else name
            if kept := len(parts) - count <= _KEPT_ABOVE:
                self._keep(prefix, current)
        self._last = (path, current)
        return current

    def find(self, path: bytes) -> int | None:
        """A new descriptor of the directory really at ``path`` (as in ``Dir.path``); None if there is none now."""
        fd = os.dup(self.root.fd)
        for name in path.split(b"/")[1:]:
            try:
                below = os.open(name, _OPEN_DIR, dir_fd=fd)
            except (FileNotFoundError, NotADirectoryError):
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            fd = below
        return fd

    def remove(self, here: Dir, name: bytes) -> None:
        """Remove ``name`` in ``here``, with everything below it when it is a directory. ``here`` stays open."""
        mode = os.stat(name, dir_fd=here.fd, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            self._forget(here)
            self.clear(here, name, ())
            os.rmdir(name, dir_fd=here.fd)
        else:
            os.unlink(name, dir_fd=here.fd)
            if stat.S_ISLNK(mode):
                self._forget(here)

    def clear(self, here: Dir, name: bytes | None, keep: Container[bytes]) -> None:
        """Remove what is in the directory ``name`` of ``here`` (in ``here`` itself for None) but what ``keep`` holds.

        ``keep`` is asked with real paths; a directory in it is kept and cleared in turn. Takes one descriptor
        whatever the depth.
        """
        self._forget(here)
        fd, path = (here.fd, here.path) if name is None else self._enter(here.fd, here.path, name)
        above: list[tuple[bytes, list[bytes], tuple[int, int]]] = []
        names = _names(fd)
        try:
            while True:
                if names:
                    entry = names.pop()
                    child = path + b"/" + entry
                    mode = os.stat(entry, dir_fd=fd, follow_symlinks=False).st_mode
                    if not stat.S_ISDIR(mode):
                        if child not in keep:
                            os.unlink(entry, dir_fd=fd)
                        continue
                    above.append((path, names, _identity(fd)))
                    below, path = self._enter(fd, path, entry)
                    if fd != here.fd:
                        os.close(fd)
                    fd, names = below, _names(below)
                elif above:
                    done = path
                    path, names, identity = above.pop()
                    up = os.open(b"..", _OPEN_DIR, dir_fd=fd)
                    os.close(fd)
                    fd = up
                    if _identity(fd) != identity:
                        raise ExtractFailed(f"{printable(done)} was moved while it was being removed")
                    if done not in keep:
                        os.rmdir(done.rpartition(b"/")[2], dir_fd=fd)
                else:
                    return
        finally:
            if fd != here.fd:
                os.close(fd)

    def _enter(self, fd: int, path: bytes, name: bytes) -> tuple[int, bytes]:
        try:
            below = os.open(name, _OPEN_DIR, dir_fd=fd)
        except PermissionError:
            os.chmod(name, 0o700, dir_fd=fd)
            below = os.open(name, _OPEN_DIR, dir_fd=fd)
        if not self._superuser:
            os.fchmod(below, 0o700)
        return below, path + b"/" + name

    def _keep(self, key: bytes, found: Dir) -> None:
        self._open[key] = found
        while len(self._open) > _KEPT_OPEN:
            oldest = next(iter(self._open))
            if self._open[oldest] is self.pinned:
                self._open.move_to_end(oldest)
                continue
            old = self._open.pop(oldest)
            os.close(old.fd)
            if self._last[1] is old:
                self._last = (b"", self.root)

    def _forget(self, here: Dir | None) -> None:
        """Close all but ``here``: after a directory or link went away, other names may lead elsewhere."""
        kept = OrderedDict()
        for key, found in self._open.items():
            if found is here or found is self.pinned:
                kept[key] = found
            else:
                os.close(found.fd)
        self._open = kept
        self._last = (b"", self.root)

    def _step(self, here: Dir, name: bytes) -> Dir:
        """The directory ``name`` in ``here``, through a link if it is one."""
        try:
            found = Dir(os.open(name, _OPEN_DIR, dir_fd=here.fd), here.path + b"/" + name)
        except FileNotFoundError:
            found = self._make(here, name)
        except NotADirectoryError:
            mode = os.stat(name, dir_fd=here.fd, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                return self._follow(here, name)
            if not self.make_way(here, name):
                shown = printable((here.path + b"/" + name)[1:])
                raise ExtractFailed(f"Nothing can be put below {shown}", why="it is a file") from None
            found = Dir(os.open(name, _OPEN_DIR, dir_fd=here.fd), here.path + b"/" + name)
            self.implied.append(found.path)
        self.touched.add(found.path)
        return found

    def _make(self, here: Dir, name: bytes) -> Dir:
        os.mkdir(name, 0o755, dir_fd=here.fd)
        found = Dir(os.open(name, _OPEN_DIR, dir_fd=here.fd), here.path + b"/" + name)
        os.fchmod(found.fd, 0o755)
        self.implied.append(found.path)
        return found

    def _follow(self, start: Dir, name: bytes) -> Dir:
        """Where the link ``name`` in ``start`` leads, as a descriptor of its own."""
        here = Dir(os.dup(start.fd), start.path)
        pending = deque([name])
        links = 0
        try:
            while pending:
                part = pending.popleft()
                if part in (b"", b"."):
                    continue
                if part == b"..":
                    here = self._replace(here, self._reopen(here.path.rpartition(b"/")[0]))
                    continue
                target = self._link(here, part)
                if target is None:
                    here = self._replace(here, self._step(here, part))
                    continue
                links += 1
                if links > _LINKS_FOLLOWED:
                    shown = printable((start.path + b"/" + name)[1:])
                    raise UnsafeEntry(f"The symbolic link {shown} goes round in circles")
                pending.extendleft(reversed(target.split(b"/")))
                if target.startswith(b"/"):
                    here = self._replace(here, self._reopen(b""))
        except BaseException:
            os.close(here.fd)
            raise
        self.touched.add(here.path)
        return here

    def _reopen(self, path: bytes) -> Dir:
        fd = self.find(path)
        if fd is None:
            raise ExtractFailed(f"{printable(path)} went away while it was in use")
        return Dir(fd, path)

    def _replace(self, old: Dir, new: Dir) -> Dir:
        os.close(old.fd)
        return new

    def _link(self, here: Dir, name: bytes) -> bytes | None:
        try:
            return os.readlink(name, dir_fd=here.fd)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise


def _names(fd: int) -> list[bytes]:
    return [os.fsencode(name) for name in os.listdir(fd)]


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
