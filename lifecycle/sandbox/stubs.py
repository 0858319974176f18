"""Places in a root that a run needs and its image lacks: made before the run, gone after it, in no layer.

Used by the spawner alone, which is single-threaded: two runs in one root share their stubs, and the last one to end
removes them. Paths are resolved inside the root, so a link in an image never leads to the host.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import dataclass, field

_MAX_LINKS = 40


def resolve_inside(root: str, path: str) -> str:
    """The host path of ``path`` as a process whose root is ``root`` would find it; missing parts are kept as they are.

    Raises OSError (ELOOP) for a circle of links.
    """
    rest = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    links = 0
    while rest:
        part = rest.pop()
        if part == "..":
            del done[-1:]
            continue
        here = os.path.join(root, *done, part)
        try:
            target = os.readlink(here)
        except OSError:
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done.clear()
        rest += [piece for piece in target.split("/") if piece not in ("", ".")][::-1]
    return os.path.join(root, *done)


@dataclass
class Stubs:
    """What was put into one root, newest last, and how many runs still need it."""

    root: str
    runs: int = 0
    _made: list[str] = field(default_factory=list)
    _scratch: list[str] = field(default_factory=list)
    _saved: list[tuple[str, str]] = field(default_factory=list)
    _times: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # directory: atime, mtime, mtime after

    def inside(self, path: str) -> str:
        """Where ``path`` is, relative to the root and free of links, with a leading slash."""
        relative = os.path.relpath(resolve_inside(self.root, path), self.root)
        return "/" if relative == "." else f"/{relative}"

    def directory(self, path: str) -> str:
        """See to it that a directory is at ``path``; its place free of links."""
        self._directories(resolve_inside(self.root, path))
        return self.inside(path)

    def _directories(self, host: str) -> None:
        missing = []
        while not os.path.lexists(host):
            missing.append(host)
            host = os.path.dirname(host)
        for each in reversed(missing):
            before = self._before(each)
            os.mkdir(each, 0o755)
            self._note(each, before)

    def scratch(self, path: str) -> None:
        """See to it that a directory is at ``path`` in which everyone may write; what is put there goes with it."""
        host = resolve_inside(self.root, path)
        if host in self._scratch:
            return
        self._directories(os.path.dirname(host))
        before = self._before(host)
        self._set_aside(host)
        os.mkdir(host)
        os.chmod(host, 0o1777)
        self._scratch.append(host)
        self._note(host, before)

    def file(self, path: str, content: bytes = b"", mode: int = 0o644) -> str:
        """See to it that something is at ``path``; what is there stays."""
        host = resolve_inside(self.root, path)
        self._directories(os.path.dirname(host))
        if not os.path.lexists(host):
            before = self._before(host)
            _write_new(host, content, mode)
            self._note(host, before)
        return self.inside(path)

    def replace(self, path: str, content: bytes) -> None:
        """Put ``content`` at ``path`` for the time of the runs; a file of the image is set aside, not written to."""
        host = resolve_inside(self.root, path)
        self._directories(os.path.dirname(host))
        if host in self._made or any(original == host for original, _ in self._saved):
            return
        before = self._before(host)
        self._set_aside(host)
        _write_new(host, content, 0o644)
        self._note(host, before)

    def _set_aside(self, host: str) -> None:
        if os.path.lexists(host):
            aside = f"{host}.pylife-saved"
            os.rename(host, aside)
            self._saved.append((host, aside))

    def device(self, path: str, major: int, minor: int, stand_in: bool) -> None:
        """See to it that a character device is at ``path``.

        Where none can be made, an empty ordinary file takes its place if ``stand_in`` says that this is bearable.
        """
        host = resolve_inside(self.root, path)
        self._directories(os.path.dirname(host))
        if os.path.lexists(host):
            return
        before = self._before(host)
        try:
            os.mknod(host, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            os.chmod(host, 0o666)
        except OSError:
            if not stand_in:
                return
            _write_new(host, b"", 0o666)
        self._note(host, before)

    def remove(self) -> None:
        """Take everything away again; what a run has put into a made directory keeps the directory."""
        for path in self._scratch:
            shutil.rmtree(path, ignore_errors=True)
        for path in reversed(self._made):
            try:
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    os.rmdir(path)
                else:
                    os.unlink(path)
            except OSError:
                continue
        for original, aside in reversed(self._saved):
            try:
                os.rename(aside, original)
            except OSError:
                continue
        for directory, (atime, mtime, _) in reversed(self._times.items()):
            try:
                os.utime(directory, ns=(atime, mtime))
            except OSError:
                continue
        self._made.clear()
        self._scratch.clear()
        self._saved.clear()
        self._times.clear()

    def settle(self) -> None:
        """Before removal: forget the times of directories that a run has itself changed since."""
        for directory, (_, _, after) in list(self._times.items()):
            try:
                changed = os.stat(directory).st_mtime_ns != after
            except OSError:
                changed = True
            if changed:
                del self._times[directory]

    def _before(self, path: str) -> os.stat_result:
        return os.stat(os.path.dirname(path))

    def _note(self, path: str, before: os.stat_result) -> None:
        self._made.append(path)
        parent = os.path.dirname(path)
        first = self._times.get(parent)
        atime, mtime = first[:2] if first else (before.st_atime_ns, before.st_mtime_ns)
        if parent not in self._made:
            self._times[parent] = (atime, mtime, os.stat(parent).st_mtime_ns)


def _write_new(path: str, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
