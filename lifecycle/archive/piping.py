"""An archive that is read while it is written."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import threading
from collections.abc import Iterable
from typing import BinaryIO

from lifecycle.archive.entry import Member
from lifecycle.archive.writer import write_tar

_BUFFER = 1 << 20


def open_tar(members: Iterable[Member]) -> BinaryIO:
    """The members as a tar archive, written by a thread as it is read.

    What goes wrong with the members is raised where the archive would have gone on. Closing it early ends the thread.
    """
    return io.BufferedReader(_Piped(members), _BUFFER)


class _Piped(io.FileIO):
    """The reading end of a pipe, and the thread at the other."""

    def __init__(self, members: Iterable[Member]) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        super().__init__(reading, "rb")
        with contextlib.suppress(OSError):  # the user's pipes may have used up their share: a small one works too
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _BUFFER)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(members, writing), name="tar", daemon=True)
        self._thread.start()

    def _run(self, members: Iterable[Member], writing: int) -> None:
        try:
            with os.fdopen(writing, "wb", _BUFFER) as out:
                write_tar(members, out)
        except BrokenPipeError:  # closed early
            pass
        except BaseException as error:
            self._failure = error

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = super().readinto(buffer) or 0
        if count == 0 and len(buffer):
            self._thread.join()
            if self._failure is not None:
                raise self._failure
        return count

    def close(self) -> None:
        super().close()
        self._thread.join()
