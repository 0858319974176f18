"""A ``Runner`` for this very container: processes are its children, as an unprivileged user where it is root."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence

from lifecycle.buildpack.execute import OnLine
from lifecycle.sandbox import kernel
from lifecycle.sandbox.errors import ExecFailed, TimedOut
from lifecycle.sandbox.keeper import children
from lifecycle.sandbox.run import pump
from lifecycle.sandbox.stdio import give_pipes

_ROUNDS = 100


class DirectRunner:
    """Runs processes here. ``owner`` is the (uid, gid) they get; None keeps this process's own.

    ``timeout`` in seconds is for all runs together; the clock starts with the first. When a process ends, everything
    that it left behind is killed: whoever uses this has no other children at that time.
    """

    def __init__(self, owner: tuple[int, int] | None = None, timeout: float | None = None) -> None:
        self._owner = owner
        self._timeout = timeout
        self._deadline: float | None = None

    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, on_line: OnLine) -> int:
        """Run one executable to its end; raises ExecFailed or TimedOut, else returns its exit code."""
        left = self._left()
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        try:
            return self._run(argv, env, cwd, on_line, left)
        finally:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 0)

    def _run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, on_line: OnLine, left: float | None) -> int:
        before = set(children())
        user, group = self._owner or (None, None)
        (out, out_write), (err, err_write) = os.pipe(), os.pipe()
        if user is not None:
            give_pipes((out_write, err_write), user)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out_write,
                stderr=err_write,
                env=dict(env),
                cwd=cwd,
                user=user,
                group=group,
                extra_groups=[] if group is not None else None,
                umask=0o022,
                start_new_session=True,
            )
        except OSError as error:
            os.close(out)
            os.close(err)
            code = 127 if isinstance(error, FileNotFoundError) else 126
            place = f" in {cwd}" if error.filename == cwd else ""
            raise ExecFailed(f"{argv[0]} cannot be started{place}", why=error.strerror, exit_code=code) from error
        finally:
            os.close(out_write)
            os.close(err_write)
        late = threading.Event()
        end = threading.Thread(target=_await, args=(process, left, before, late))
        end.start()
        try:
            pump({out: "stdout", err: "stderr"}, on_line)
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(out)
            os.close(err)
            end.join()
        if late.is_set():
            raise TimedOut(f"{argv[0]} was stopped", why=f"the build's timeout of {self._timeout:g} s was over")
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def _left(self) -> float | None:
        import time

        if self._timeout is None:
            return None
        if self._deadline is None:
            self._deadline = time.monotonic() + self._timeout
        return max(self._deadline - time.monotonic(), 0.01)


def _await(process: subprocess.Popen[bytes], left: float | None, before: set[int], late: threading.Event) -> None:
    """Wait for the process, for ``left`` seconds at most, then end what it left behind."""
    try:
        process.wait(left)
    except subprocess.TimeoutExpired:
        late.set()
        process.kill()
        process.wait()
    for _ in range(_ROUNDS):  # orphans become children of this process, and theirs in turn
        strays = set(children()) - before
        if not strays:
            return
        for pid in strays:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
