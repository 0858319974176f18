"""The processes that stand between pylife and a step's program: the keeper outside, pid 1 inside.

The keeper holds the deadline and the line to pylife; when that line breaks (pylife was killed), or the time is over,
or the program has ended, no process of the step survives: with a pid namespace because its first process goes,
without one because the keeper adopts and kills every descendant. A spare has no keeper: the spawner watches it.
"""

from __future__ import annotations

import contextlib
import io
import marshal
import os
import select
import signal
import time

from lifecycle.sandbox import kernel
from lifecycle.sandbox.first import EVERYONE, Inside, become_first
from lifecycle.sandbox.rootfs import become_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import NoReturn

    from lifecycle.sandbox.child import Terminal
    from lifecycle.sandbox.limits import MemoryGroup
    from lifecycle.sandbox.plan import Plan
    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec

#: seconds between the polite signal at a timeout and the last one
GRACE = 2.0


class Keeper:
    """One run, seen from just outside. ``control`` leads to pylife; ``over`` is closed when the run has ended."""

    def __init__(self, spec: RunSpec, rung: Rung, control: socket.socket, over: int) -> None:
        self._spec = spec
        self._rung = rung
        self._control = control
        self._over = over
        self._said = b""
        self._pid = 0
        self._code: int | None = None
        self._timed_out = False
        self._group: MemoryGroup | None = None

    def run(self, plan: Plan, stdio: Sequence[int], terminal: Terminal) -> NoReturn:
        """Start the program with its three descriptors, wait for its end, tell pylife, exit. Never returns."""
        began = time.monotonic()
        try:
            ending = self._run(plan, stdio, terminal)
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
        self._control.close()
        os.close(self._over)  # here: the end of a process takes its time
        os._exit(0)

    def _run(self, plan: Plan, stdio: Sequence[int], terminal: Terminal) -> dict[str, object]:
        kernel.set_name("pylife-keeper")
        if self._spec.memory is not None:
            from lifecycle.sandbox.limits import MemoryGroup, find_hierarchy

            hierarchy, _ = find_hierarchy() if self._rung.cgroup else (None, "")
            if hierarchy is not None:
                self._group = MemoryGroup(hierarchy, self._spec.memory)
        status_read, status_write = os.pipe()
        wake_read, wake_write = os.pipe()
        try:
            isolated = self._rung.pid_namespace
            if isolated:
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
                os.close(self._over)
                self._control.close()
                inside = Inside(self._spec, self._rung, plan, stdio, terminal, status_write)
                if isolated:
                    inside.first_process(become_first, self._join, lambda: become_root(self._spec, plan, self._rung))
                inside.only_process(self._join)
            os.close(status_write)
            for fd in stdio:
                os.close(fd)
            self._watch(status_read, wake_read if not isolated else None)
            return self._ending()
        finally:
            if self._group is not None:
                self._group.close()

    def _join(self) -> None:
        if self._group is not None:
            self._group.join()

    def _watch(self, status: int, wake: int | None) -> None:
        """Until the run is over and every process of it is dead."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(status, select.POLLIN)
        if wake is not None:
            poll.register(wake, select.POLLIN)
        deadline = time.monotonic() + self._spec.timeout if self._spec.timeout is not None else None
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
                        self._said += drain(status)
                        self._kill_all()
                        return
        self._kill_all()
        self._said += drain(status)

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
                os.kill(self._pid, EVERYONE)
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
            for pid in children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            if pid == self._pid and self._code is None:
                self._code = os.waitstatus_to_exitcode(status)

    def _ending(self) -> dict[str, object]:
        ending = understand(self._said, self._code)
        ending["timed_out"] = self._timed_out
        ending["oom"] = self._group is not None and self._group.killed()
        return ending


def _namespaces(spec: RunSpec) -> int:
    flags = kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    return flags | kernel.CLONE_NEWNET if spec.network == "none" else flags


def understand(said: bytes, code: int | None) -> dict[str, object]:
    """The ending of a run whose inside ``said`` that; ``code`` is how its first process ended."""
    ending: dict[str, object] = {}
    stream = io.BytesIO(said)
    while stream.tell() < len(said):
        ending |= marshal.load(stream)
    if "failed" not in ending:
        ending.setdefault("code", code if code is not None else -signal.SIGKILL)
    return ending


def drain(fd: int) -> bytes:
    """What is in a pipe now."""
    os.set_blocking(fd, False)
    said = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(fd, 65536):
            said += piece
    return said


def children() -> list[int]:
    """The ids of this process's children, those of all its threads."""
    own = os.getpid()
    found = []
    try:
        for task in os.listdir(f"/proc/{own}/task"):
            with open(f"/proc/{own}/task/{task}/children", encoding="utf-8") as file:
                found += [int(pid) for pid in file.read().split()]
        return found
    except OSError:  # a kernel without that file, or a thread that has just ended
        found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == own:
                    found.append(int(name))
    return found
