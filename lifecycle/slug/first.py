"""The first process of a container, as a program: starts the one that is meant, hands signals on, buries the dead.

The kernel spares process 1 every signal that it has no handler for, so an app in its place would not end with SIGTERM.
Started by path with an isolated interpreter, it imports nothing of pylife and stays small.
Source: Linux, pid_namespaces(7), "The namespace init process".
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_FORWARDED = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
}


def serve(argv: Sequence[str]) -> int:
    """Run ``argv`` (its first word found in PATH) to its end; its exit code, 128 + n for signal n."""
    awaited = {*_FORWARDED, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    main = os.fork()
    if main == 0:
        _start(argv)
    while True:
        number = signal.sigwait(awaited)
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.kill(main, number)
            continue
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == main:
                code = os.waitstatus_to_exitcode(status)
                return 128 - code if code < 0 else code
            if pid == 0:
                break


def _start(argv: Sequence[str]) -> NoReturn:
    """In the child: a process group of its own, which a terminal sends its Ctrl-C to, then the program."""
    try:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # which a background group gets for asking
        with contextlib.suppress(OSError):  # no terminal
            os.tcsetpgrp(0, os.getpid())
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvp(argv[0], list(argv))
    except OSError as error:
        os.write(2, f"{argv[0]} cannot be started: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    os._exit(serve(sys.argv[1:]))
