"""A run without a keeper of its own, watched by the spawner: what a keeper does, in pieces that never wait."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import time

from lifecycle.sandbox.first import EVERYONE
from lifecycle.sandbox.keeper import GRACE, drain, understand

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class Watch:
    """One run whose first process is this one's child; when it goes, every process of the run has gone.

    ``handlers`` are to be called when their descriptor can be read; one that returns False is done with it. ``end``
    is called when all is over, before pylife learns that it is.
    """

    def __init__(
        self,
        first: int,
        pidfd: int,
        status: int,
        control: socket.socket,
        timeout: float | None,
        end: Callable[[], None],
    ) -> None:
        self._first = first
        self._pidfd = pidfd
        self._status = status
        self._control = control
        self._end = end
        self._said = b""
        self._timed_out = False
        self._began = time.monotonic()
        self._deadline = None if timeout is None else self._began + timeout
        self.handlers = {control.fileno(): self._obey, status: self._hear, pidfd: self._gone}

    def patience(self) -> float | None:
        """Milliseconds until the deadline; what is overdue is ended, politely first."""
        if self._deadline is None:
            return None
        if time.monotonic() >= self._deadline:
            os.kill(self._first, signal.SIGKILL if self._timed_out else EVERYONE)
            self._deadline = None if self._timed_out else time.monotonic() + GRACE
            self._timed_out = True
            return self.patience()
        return (self._deadline - time.monotonic()) * 1000 + 1

    def forget(self) -> None:
        """Close what is between the spawner and the run, and pylife."""
        self._control.close()
        os.close(self._status)
        os.close(self._pidfd)

    def _obey(self) -> bool:
        """Pass on the signals that pylife asks for, one byte each; end the run when pylife is gone."""
        numbers = b""
        with contextlib.suppress(OSError):
            numbers = self._control.recv(64)
        for number in numbers or (signal.SIGKILL,):
            with contextlib.suppress(OSError):
                os.kill(self._first, number)
        return bool(numbers)

    def _hear(self) -> bool:
        piece = os.read(self._status, 65536)
        self._said += piece
        return bool(piece)

    def _gone(self) -> bool:
        """The first process has ended, and with it all others."""
        _, status = os.waitpid(self._first, 0)
        ending = understand(self._said + drain(self._status), os.waitstatus_to_exitcode(status))
        ending |= {"timed_out": self._timed_out, "oom": False, "seconds": time.monotonic() - self._began}
        self._end()
        with contextlib.suppress(OSError):
            self._control.sendall(marshal.dumps(ending))
        self.forget()
        return False
