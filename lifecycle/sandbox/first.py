"""The process of a run that is inside its root: the first of its pid namespace, or the program itself without one."""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import select
import signal
import socket
import struct

from lifecycle.sandbox import kernel
from lifecycle.sandbox.child import execute, launch, needs_fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from lifecycle.sandbox.child import Terminal
    from lifecycle.sandbox.plan import Plan
    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec

EVERYONE = signal.SIGRTMIN
"""From the keeper to pid 1: pass SIGTERM to every process inside."""
_SENT_BY_A_PROCESS = 0  # SI_USER
_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
)


def become_first() -> None:
    """What the first process of a pid namespace is before it knows what it is to run."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.set_name("pylife-init")
    signal.pthread_sigmask(signal.SIG_BLOCK, [*_FORWARDED, EVERYONE, signal.SIGCHLD])


class Inside:
    """One run, seen from inside. ``status`` is the pipe to the keeper, ``stdio`` the program's three descriptors."""

    def __init__(
        self, spec: RunSpec, rung: Rung, plan: Plan, stdio: Sequence[int], terminal: Terminal, status: int
    ) -> None:
        self._spec = spec
        self._rung = rung
        self._plan = plan
        self._stdio = stdio
        self._terminal = terminal
        self._status = status

    def only_process(self, *before: Callable[[], object]) -> NoReturn:
        """Without a pid namespace: do what comes ``before``, chroot and become the program."""
        try:
            for prepare in before:
                prepare()
            os.chroot(self._spec.root)
            os.chdir("/")
        except OSError as error:
            self._fail(error)
        self._execute()

    def first_process(self, *before: Callable[[], object]) -> NoReturn:
        """As pid 1: do what comes ``before``, start the program, reap, pass signals on, end with the program."""
        try:
            for prepare in before:
                prepare()
            with contextlib.suppress(PermissionError):  # podman's filter forbids it: the container's name stays
                kernel.sethostname(self._spec.hostname)
            if self._spec.network == "none":
                _loopback_up()
            main = self._start_main()
            if main is not None and not _is_broken(
                self._status
            ):  # a change of user loses the wish to die with the keeper
                self._report({"code": _serve(main)})
        except OSError as error:
            self._fail(error)
        except BaseException as error:
            self._report({"failed": "setup", "errno": 0, "why": repr(error), "name": ""})
        finally:
            os._exit(0)

    def _report(self, message: dict[str, object]) -> None:
        with contextlib.suppress(OSError):
            os.write(self._status, marshal.dumps(message))

    def _start_main(self) -> int | None:
        """The pid of the program, None when it could not be started, which is reported then."""
        if not needs_fork(self._spec, self._rung, self._terminal):
            main = launch(self._spec, self._rung, self._plan.environment, self._stdio, self._report)
        else:
            main = os.fork()
            if main == 0:
                self._execute()
        for fd in self._stdio:
            os.close(fd)
        return main

    def _fail(self, error: OSError) -> NoReturn:
        name = os.fsdecode(error.filename or "")
        self._report({"failed": "setup", "errno": error.errno, "why": error.strerror, "name": name})
        os._exit(1)

    def _execute(self) -> NoReturn:
        execute(self._spec, self._rung, self._plan.environment, self._stdio, self._terminal, self._report)


def _serve(main: int) -> int:
    """The life of pid 1: the exit code of ``main``, negative for a signal."""
    awaited = {*_FORWARDED, EVERYONE, signal.SIGCHLD}
    while True:
        info = signal.sigwaitinfo(awaited)
        if info.si_signo != signal.SIGCHLD:
            # only what the keeper sent (it has no pid in here): a terminal's Ctrl-C comes through pylife as well
            if info.si_pid == 0 and info.si_code == _SENT_BY_A_PROCESS:
                with contextlib.suppress(OSError):
                    if info.si_signo == EVERYONE:
                        os.kill(-1, signal.SIGTERM)
                    else:
                        os.kill(main, info.si_signo)
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return 0
            if pid == 0:
                break
            if os.WIFSTOPPED(status):
                # nobody outside could resume it: Ctrl-Z has no meaning for a contained app
                if pid == main and os.WSTOPSIG(status) == signal.SIGTSTP:
                    os.kill(main, signal.SIGCONT)
            elif pid == main:
                return os.waitstatus_to_exitcode(status)


def _is_broken(pipe: int) -> bool:
    """Whether nobody reads ``pipe`` any more."""
    poll = select.poll()
    poll.register(pipe, 0)
    return bool(poll.poll(0))


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(handle, 0x8914, request)  # SIOCSIFFLAGS
