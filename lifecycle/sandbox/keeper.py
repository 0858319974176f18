"""The processes that stand between pylife and a step's program: the keeper outside, pid 1 inside.

The keeper holds the deadline and the line to pylife; when that line breaks (pylife was killed), or the time is over,
or the program has ended, no process of the step survives: with a pid namespace because its first process goes,
without one because the keeper adopts and kills every descendant.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import marshal
import os
import select
import signal
import socket
import struct
import time

from lifecycle.sandbox import kernel
from lifecycle.sandbox.child import execute, launch, needs_fork
from lifecycle.sandbox.rootfs import become_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from lifecycle.sandbox.child import Terminal
    from lifecycle.sandbox.limits import MemoryGroup
    from lifecycle.sandbox.plan import Plan
    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec

#: seconds between the polite signal at a timeout and the last one
GRACE = 2.0
_EVERYONE = signal.SIGRTMIN  # from the keeper to pid 1: pass SIGTERM to every process inside
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


class Keeper:
    """One run, seen from just outside. ``control`` leads to pylife; ``stdio`` are the program's three descriptors."""

    def __init__(
        self, spec: RunSpec, rung: Rung, plan: Plan, control: socket.socket, stdio: Sequence[int], terminal: Terminal
    ) -> None:
        self._spec = spec
        self._rung = rung
        self._plan = plan
        self._control = control
        self._stdio = stdio
        self._terminal = terminal
        self._said = b""
        self._pid = 0
        self._timed_out = False
        self._group: MemoryGroup | None = None

    def run(self) -> NoReturn:
        """Start the program, wait for its end, tell pylife, exit. Never returns."""
        began = time.monotonic()
        try:
            ending = self._run()
        except OSError as error:
            ending = {
                "failed": "setup",
                "errno": error.errno,
                "why": error.strerror,
                "name": os.fsdecode(error.filename or ""),
            }
        except BaseException as error:
            ending = {"failed": "setup", "errno": 0, "why": repr(error), "name": ""}
        ending["seconds"] = time.monotonic() - began
        with contextlib.suppress(OSError):
            self._control.sendall(marshal.dumps(ending))
        os._exit(0)

    def _run(self) -> dict[str, object]:
        kernel.set_name("pylife-keeper")
        if self._spec.memory is not None:
            from lifecycle.sandbox.limits import MemoryGroup, find_hierarchy

            hierarchy, _ = find_hierarchy() if self._rung.cgroup else (None, "")
            if hierarchy is not None:
                self._group = MemoryGroup(hierarchy, self._spec.memory)
        status_read, status_write = os.pipe()
        wake_read, wake_write = os.pipe()
        try:
            inside = self._rung.pid_namespace
            if inside:
                kernel.unshare(_namespaces(self._spec))
            else:
                kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
                os.set_blocking(wake_write, False)
                signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
                signal.signal(signal.SIGCHLD, lambda number, frame: None)
            self._pid = os.fork()
            if self._pid == 0:
                signal.set_wakeup_fd(-1)
                os.close(status_read)
                self._control.close()
                if inside:
                    self._first_process(status_write)
                self._only_process(status_write)
            os.close(status_write)
            for fd in self._stdio:
                os.close(fd)
            self._watch(status_read, wake_read if not inside else None)
            return self._ending()
        finally:
            if self._group is not None:
                self._group.close()

    def _watch(self, status: int, wake: int | None) -> None:
        """Until the run is over and every process of it is dead."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(status, select.POLLIN)
        if wake is not None:
            poll.register(wake, select.POLLIN)
        deadline = time.monotonic() + self._spec.timeout if self._spec.timeout is not None else None
        self._code: int | None = None
        while True:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            events = poll.poll(wait)
            if not events and deadline is not None and time.monotonic() >= deadline:
                if self._timed_out:
                    break
                self._timed_out = True
                deadline = time.monotonic() + GRACE
                self._terminate_all()
            for fd, _ in events:
                if fd == status:
                    piece = os.read(status, 65536)
                    self._said += piece
                    if not piece:
                        poll.unregister(status)
                        if wake is None:
                            self._kill_all()
                            return
                elif fd == self._control.fileno():
                    if not self._obey():
                        self._kill_all()
                        os._exit(1)
                elif wake is not None and fd == wake:
                    os.read(wake, 4096)
                    if self._reap_main():
                        self._said += _drain(status)
                        self._kill_all()
                        return
        self._kill_all()
        self._said += _drain(status)

    def _obey(self) -> bool:
        """Pass on the signals that pylife asks for, one byte each; False when pylife is gone."""
        try:
            numbers = self._control.recv(64)
        except OSError:
            return False
        for number in numbers:
            with contextlib.suppress(OSError):
                os.kill(self._pid, number)
        return bool(numbers)

    def _terminate_all(self) -> None:
        with contextlib.suppress(OSError):
            if self._rung.pid_namespace:
                os.kill(self._pid, _EVERYONE)
            else:
                os.killpg(self._pid, signal.SIGTERM)

    def _reap_main(self) -> bool:
        """Without a pid namespace: collect ended processes; True when the program itself was among them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return self._code is not None
            if pid == 0:
                return self._code is not None
            if pid == self._pid:
                self._code = os.waitstatus_to_exitcode(status)

    def _kill_all(self) -> None:
        if self._rung.pid_namespace:
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
            _, status = os.waitpid(self._pid, 0)
            self._code = os.waitstatus_to_exitcode(status)
            return
        # kill whatever is our child; its own children become ours and are met in the next round
        while True:
            for pid in _children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            if pid == self._pid and self._code is None:
                self._code = os.waitstatus_to_exitcode(status)

    def _ending(self) -> dict[str, object]:
        ending: dict[str, object] = {}
        said = io.BytesIO(self._said)
        while said.tell() < len(self._said):
            ending |= marshal.load(said)
        if "failed" not in ending:
            ending.setdefault("code", self._code if self._code is not None else -signal.SIGKILL)
        ending["timed_out"] = self._timed_out
        ending["oom"] = self._group is not None and self._group.killed()
        return ending

    # ---- inside ----------------------------------------------------------------------------------------------

    def _report(self, status: int, message: dict[str, object]) -> None:
        with contextlib.suppress(OSError):
            os.write(status, marshal.dumps(message))

    def _only_process(self, status: int) -> NoReturn:
        """Without a pid namespace: chroot and become the program."""
        try:
            if self._group is not None:
                self._group.join()
            os.chroot(self._spec.root)
            os.chdir("/")
        except OSError as error:
            self._fail(status, error)
        self._execute(status)

    def _first_process(self, status: int) -> NoReturn:
        """As pid 1: prepare the root, start the program, reap, pass signals on, end with the program."""
        try:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            kernel.set_name("pylife-init")
            signal.pthread_sigmask(signal.SIG_BLOCK, [*_FORWARDED, _EVERYONE, signal.SIGCHLD])
            if self._group is not None:
                self._group.join()
            become_root(self._spec, self._plan, self._rung)
            with contextlib.suppress(PermissionError):  # podman's filter forbids it: the container's name stays
                kernel.sethostname(self._spec.hostname)
            if self._spec.network == "none":
                _loopback_up()
            main = self._start_main(status)
            if main is not None and not _is_broken(status):  # a change of user loses the wish to die with the keeper
                self._report(status, {"code": _serve(main)})
        except OSError as error:
            self._fail(status, error)
        except BaseException as error:
            self._report(status, {"failed": "setup", "errno": 0, "why": repr(error), "name": ""})
        finally:
            os._exit(0)

    def _start_main(self, status: int) -> int | None:
        """The pid of the program, None when it could not be started, which is reported then."""
        if not needs_fork(self._spec, self._rung, self._terminal):
            main = launch(
                self._spec,
                self._rung,
                self._plan.environment,
                self._stdio,
                lambda message: self._report(status, message),
            )
        else:
            main = os.fork()
            if main == 0:
                self._execute(status)
        for fd in self._stdio:
            os.close(fd)
        return main

    def _fail(self, status: int, error: OSError) -> NoReturn:
        name = os.fsdecode(error.filename or "")
        self._report(status, {"failed": "setup", "errno": error.errno, "why": error.strerror, "name": name})
        os._exit(1)

    def _execute(self, status: int) -> NoReturn:
        execute(
            self._spec,
            self._rung,
            self._plan.environment,
            self._stdio,
            self._terminal,
            lambda message: self._report(status, message),
        )


def _namespaces(spec: RunSpec) -> int:
    flags = kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    return flags | kernel.CLONE_NEWNET if spec.network == "none" else flags


def _serve(main: int) -> int:
    """The life of pid 1: the exit code of ``main``, negative for a signal."""
    awaited = {*_FORWARDED, _EVERYONE, signal.SIGCHLD}
    while True:
        info = signal.sigwaitinfo(awaited)
        if info.si_signo != signal.SIGCHLD:
            # only what the keeper sent (it has no pid in here): a terminal's Ctrl-C comes through pylife as well
            if info.si_pid == 0 and info.si_code == _SENT_BY_A_PROCESS:
                with contextlib.suppress(OSError):
                    if info.si_signo == _EVERYONE:
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


def _drain(fd: int) -> bytes:
    """What is in a pipe now."""
    os.set_blocking(fd, False)
    said = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(fd, 65536):
            said += piece
    return said


def _children() -> list[int]:
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children", encoding="utf-8") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        pass
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == own:
                    found.append(int(name))
    return found
