"""Directories on disk that belong to somebody: made whole or not at all, and found again when their owner is dead.

Every directory has a lock file beside it. Its maker holds the lock for as long as the directory is wanted, and the
kernel lets go of it when the process dies, whatever killed it: a directory whose lock is free is rubbish.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator

_SHALLOW = 8
"""Levels of directories; a path so long is far from being too long for the kernel."""


_PAUSE = 0.003  # seconds


class Lock:
    """A lock file held by this process, shared or alone."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def take(cls, path: str, *, shared: bool = False, wait: bool = True) -> Lock | None:
        """Hold ``path``, made if missing; None when another holds it and ``wait`` is false."""
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, how)
                if _is_still(path, fd):
                    return cls(path, fd)
            except BlockingIOError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # its last holder has removed it meanwhile

    @classmethod
    def to_make(cls, path: str, there: Callable[[], bool]) -> Lock | None:
        """Hold ``path`` alone, to make what it guards; None once that is there.

        Whoever makes it is waited for, but never those who use it by then: they may hold it, shared, for long.
        """
        while not there():
            lock = cls.take(path, wait=False)
            if lock is None:
                time.sleep(_PAUSE)
            elif there():
                lock.release()
            else:
                return lock
        return None

    def release(self, *, remove: bool = False) -> None:
        """Let go; with ``remove``, the file goes too (only when held alone). Idempotent."""
        if self._fd < 0:
            return
        if remove:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        os.close(self._fd)
        self._fd = -1


def _is_still(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except OSError:
        return False


class Yard:
    """A directory of throw-away directories, each with its lock."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.makedirs(path, mode=0o755, exist_ok=True)

    def claim(self) -> tuple[str, Lock]:
        """A new empty directory and the lock that keeps it from being swept."""
        while True:
            name = os.urandom(6).hex()
            lock = Lock.take(os.path.join(self.path, name + ".lock"), wait=False)
            if lock is None:
                continue
            place = os.path.join(self.path, name)
            os.mkdir(place, 0o755)
            return place, lock

    def drop(self, place: str, lock: Lock) -> None:
        """Remove a claimed directory (or what is left of it) and its lock."""
        remove_own_tree(place)
        lock.release(remove=not os.path.lexists(place))

    def sweep(self, spare: Callable[[str], bool] = lambda place: False) -> int:
        """Remove directories whose owner is dead, but those that ``spare`` says to be wanted still; how many."""
        count = 0
        for name in self._names():
            lock = Lock.take(os.path.join(self.path, name + ".lock"), wait=False)
            if lock is None:
                continue
            place = os.path.join(self.path, name)
            if spare(place):
                lock.release(remove=True)
                continue
            there = os.path.lexists(place)
            self.drop(place, lock)
            count += there and not os.path.lexists(place)
        return count

    def _names(self) -> Iterator[str]:
        yield from sorted({name.removesuffix(".lock") for name in os.listdir(self.path)})


def remove_tree(path: str) -> None:
    """Remove a tree, as far as that is possible; not an error when it is not there."""
    if os.path.islink(path) or not os.path.isdir(path):
        with contextlib.suppress(OSError):
            os.unlink(path)
        return
    shutil.rmtree(path, ignore_errors=True)


def remove_own_tree(path: str) -> None:
    """As ``remove_tree``, for one that nobody else can change meanwhile: if not deep, in a third of the time."""
    _clear(path, _SHALLOW)
    remove_tree(path)


def _clear(path: str, levels: int) -> None:
    with contextlib.suppress(OSError):
        with os.scandir(path) as entries:
            children = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for child, is_directory in children:
            if not is_directory:
                os.unlink(child)
            elif levels:
                _clear(child, levels - 1)
        os.rmdir(path)
