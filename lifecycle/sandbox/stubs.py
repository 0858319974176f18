"""Places in a root that a run needs and its image lacks: made before the run, gone after it, in no layer.

Used by the spawner alone, which is single-threaded: two runs in one root share their stubs, and the last one to end
removes them. Paths are resolved inside the root, and every change is made through a descriptor of its directory that
was opened link by link: neither an image nor a process that swaps a directory for a link leads to the host.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LINKS = 40
_SAVED = ".pylife-saved"


def resolve_inside(root: str, path: str) -> str:
    """Where ``path`` is, relative to ``root``, as a process whose root that is would find it; ``""`` for the root.

    Parts that are missing are kept as they are. Raises OSError (ELOOP) for a circle of links.
    """
    rest = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    links = 0
    while rest:
        part = rest.pop()
        if part == "..":
            del done[-1:]
            continue
        try:
            target = os.readlink(os.path.join(root, *done, part))
        except OSError:
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done.clear()
        rest += [piece for piece in target.split("/") if piece not in ("", ".")][::-1]
    return "/".join(done)


class Stubs:
    """What was put into one root, newest last, and how many runs still need it. Places are relative to the root."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.runs = 0
        self._made: list[str] = []
        self._scratch: list[str] = []
        self._saved: list[str] = []
        self._times: dict[str, tuple[int, int, int]] = {}  # directory: atime, mtime, mtime after

    def inside(self, path: str) -> str:
        """Where ``path`` is inside the root, free of links, with a leading slash."""
        return "/" + resolve_inside(self.root, path)

    def directory(self, path: str) -> str:
        """See to it that a directory is at ``path``; its place free of links."""
        place = resolve_inside(self.root, path)
        self._directories(place)
        return "/" + place

    def _directories(self, place: str) -> None:
        missing = []
        while place and not self._exists(place):
            missing.append(place)
            place = os.path.dirname(place)
        for each in reversed(missing):
            with self._making(each) as (folder, name):
                os.mkdir(name, 0o755, dir_fd=folder)

    def scratch(self, path: str) -> None:
        """See to it that a directory is at ``path`` in which everyone may write; what is put there goes with it."""
        place = resolve_inside(self.root, path)
        if place in self._scratch:
            return
        self._directories(os.path.dirname(place))
        with self._making(place) as (folder, name):
            self._set_aside(place, folder, name)
            os.mkdir(name, dir_fd=folder)
            made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.fchmod(made, 0o1777)
            os.close(made)
        self._scratch.append(place)

    def file(self, path: str, content: bytes = b"") -> str:
        """See to it that something is at ``path``; what is there stays."""
        place = resolve_inside(self.root, path)
        self._directories(os.path.dirname(place))
        if not self._exists(place):
            with self._making(place) as (folder, name):
                _write_new(folder, name, content, 0o644)
        return "/" + place

    def replace(self, path: str, content: bytes) -> None:
        """Put ``content`` at ``path`` for the time of the runs; a file of the image is set aside, not written to."""
        place = resolve_inside(self.root, path)
        self._directories(os.path.dirname(place))
        if place in self._made:
            return
        with self._making(place) as (folder, name):
            self._set_aside(place, folder, name)
            _write_new(folder, name, content, 0o644)

    @contextlib.contextmanager
    def vacate(self, path: str) -> Iterator[str]:
        """The host's path where the caller puts something in the block; what is there is set aside until ``remove``,
        which takes away whatever is then in its place."""
        place = resolve_inside(self.root, path)
        if not place:
            raise OSError(errno.EBUSY, "the root itself cannot be replaced", path)
        self._directories(os.path.dirname(place))
        with self._making(place) as (folder, name):
            self._set_aside(place, folder, name)
            self._scratch.append(place)
            yield os.path.join(self.root, place)

    def device(self, path: str, major: int, minor: int, stand_in: bool) -> None:
        """See to it that a character device is at ``path``.

        Where none can be made, an empty ordinary file takes its place if ``stand_in`` says that this is bearable.
        """
        place = resolve_inside(self.root, path)
        self._directories(os.path.dirname(place))
        if self._exists(place):
            return
        before = os.umask(0)
        try:
            with self._making(place) as (folder, name):
                try:
                    os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=folder)
                except OSError:
                    if stand_in:
                        _write_new(folder, name, b"", 0o666)
        finally:
            os.umask(before)

    def remove(self) -> None:
        """Take everything away again; what a run has put into a made directory keeps the directory.

        A directory gets its old time back unless a run has itself changed it.
        """
        for directory, (_, _, after) in list(self._times.items()):
            with contextlib.suppress(OSError), self._folder(directory) as folder:
                if os.fstat(folder).st_mtime_ns == after:
                    continue
            del self._times[directory]
        for place in reversed(self._made):
            with contextlib.suppress(OSError), self._parent(place) as (folder, name):
                if place in self._scratch and stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                    import shutil

                    shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
                elif stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                    os.rmdir(name, dir_fd=folder)
                else:
                    os.unlink(name, dir_fd=folder)
        for place in reversed(self._saved):
            with contextlib.suppress(OSError), self._parent(place) as (folder, name):
                os.rename(name + _SAVED, name, src_dir_fd=folder, dst_dir_fd=folder)
        for directory, (atime, mtime, _) in reversed(self._times.items()):
            with contextlib.suppress(OSError), self._folder(directory) as folder:
                os.utime(folder, ns=(atime, mtime))
        for record in (self._made, self._scratch, self._saved, self._times):
            record.clear()

    def _exists(self, place: str) -> bool:
        return os.path.lexists(os.path.join(self.root, place))

    def _set_aside(self, place: str, folder: int, name: str) -> None:
        try:
            os.rename(name, name + _SAVED, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            return
        self._saved.append(place)

    @contextlib.contextmanager
    def _folder(self, place: str) -> Iterator[int]:
        """A descriptor of a directory of the root, opened without following any link."""
        here = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in filter(None, place.split("/")):
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    @contextlib.contextmanager
    def _parent(self, place: str) -> Iterator[tuple[int, str]]:
        with self._folder(os.path.dirname(place)) as folder:
            yield folder, os.path.basename(place)

    @contextlib.contextmanager
    def _making(self, place: str) -> Iterator[tuple[int, str]]:
        """The directory and name of something about to be made, which is then remembered."""
        with self._parent(place) as (folder, name):
            before = os.fstat(folder)
            yield folder, name
            self._made.append(place)
            parent = os.path.dirname(place)
            if parent not in self._made:
                atime, mtime, _ = self._times.get(parent, (before.st_atime_ns, before.st_mtime_ns, 0))
                self._times[parent] = (atime, mtime, os.fstat(folder).st_mtime_ns)


def _write_new(folder: int, name: str, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, mode, dir_fd=folder)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
