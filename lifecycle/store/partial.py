"""Files under construction, and the locks that order writers.

A partial file is flocked by its writer for as long as it is written. The kernel drops that lock when the writer dies,
however it dies, so ``sweep`` can tell an abandoned file from one in use without asking for a process id or an age.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from lifecycle.store.errors import disk_errors, of_oserror

PREFIX = ".pylife-partial-"
_BUFFER = 256 << 10


class Partial:
    """A file being written in ``directory``: it takes its real name by ``keep``, or vanishes. ``size`` in bytes.

    Usable as a context manager; leaving the block without ``keep`` removes the file. A full disk raises DiskFull.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with disk_errors(directory):
            self.path, self._fd = _create(directory)
        self.file = io.BufferedWriter(io.FileIO(self._fd, "wb"), _BUFFER)
        self.size = 0
        self._open = True

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append ``data``; removes the file and raises DiskFull when there is no room."""
        try:
            count = self.file.write(data)
        except OSError as error:
            self.discard()
            raise of_oserror(error, self.directory) from error
        self.size += count
        return count

    def rewrite(self, offset: int, data: bytes) -> None:
        """Replace bytes written before."""
        with disk_errors(self.directory):
            self.file.flush()
            os.pwrite(self._fd, data, offset)

    def reopen(self) -> BinaryIO:
        """What was written so far, to be read; stays readable after the file's name is gone."""
        with disk_errors(self.path):
            self.file.flush()
            return self.path.open("rb")

    def keep(self, destination: Path) -> None:
        """Give the file its real name, replacing what was there, in one step."""
        try:
            with disk_errors(destination):
                self.file.flush()
                os.replace(self.path, destination)
        except BaseException:
            self.discard()
            raise
        self._close()

    def keep_if_absent(self, destination: Path) -> bool:
        """Give the file its real name unless something has it; False when something has."""
        try:
            with disk_errors(destination):
                self.file.flush()
                try:
                    os.link(self.path, destination)
                except FileExistsError:
                    return False
                return True
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the file; does nothing after ``keep``."""
        if self._open:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            self._close()

    def _close(self) -> None:
        self._open = False
        with suppress(OSError):  # what a full disk left in the buffer is not wanted any more
            self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def _create(directory: Path) -> tuple[Path, int]:
    while True:
        path = directory / f"{PREFIX}{os.urandom(8).hex()}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)  # swept between its creation and its lock


def sweep(directory: Path) -> tuple[int, int]:
    """Remove the partial files of ``directory`` whose writers are dead; returns (files, bytes freed)."""
    count = freed = 0
    for path in sorted(directory.glob(f"{PREFIX}*")):
        with suppress(OSError), _opened(path, os.O_RDWR) as fd:  # what is in use, gone or another user's
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            freed += os.fstat(fd).st_size
            os.unlink(path)
            count += 1
    return count, freed


def write_file(path: Path, data: bytes) -> None:
    """Make ``path`` hold exactly ``data``: a reader sees the old bytes or the new ones, never a mixture."""
    with Partial(path.parent) as partial:
        partial.write(data)
        partial.keep(path)


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold an flock on the existing file ``path``; with ``wait`` off a taken lock raises BlockingIOError."""
    with _opened(path, os.O_RDWR) as fd:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
