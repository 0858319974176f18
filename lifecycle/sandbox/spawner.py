"""The process that forks build processes: made early, while pylife has one thread, and doing nothing else.

A request is one byte with descriptors: the run's control socket and the program's stdin, stdout and stderr. The spec
comes over the control socket. The spawner keeps its end of that socket open until the run is over and the root is
as it was, so end-of-file there tells pylife that both are true.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import select
import signal
import socket
import sys

from lifecycle.sandbox import kernel, seccomp
from lifecycle.sandbox.keeper import Keeper
from lifecycle.sandbox.plan import lay_out
from lifecycle.sandbox.spare import Spare, can_be_spare, serves
from lifecycle.sandbox.stubs import Stubs
from lifecycle.sandbox.watch import Watch
from lifecycle.sandbox.wire import receive, revive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from lifecycle.sandbox.child import Terminal
    from lifecycle.sandbox.plan import Plan
    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec

_NOT_MEANT = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTOU,
    signal.SIGTTIN,
    signal.SIGHUP,
)
# a new interpreter, of which a fork costs a third of what one of pylife costs, with all that it has loaded
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from lifecycle.sandbox.spawner import main; main()"


def spawn(rung: Rung, certificates: str | None = None) -> tuple[int, socket.socket]:
    """Start the spawner; its pid and the socket for requests. The caller must have one thread.

    ``certificates`` is the bundle that runs trust in the place of the host's.
    """
    environment = {"SSL_CERT_FILE": certificates} if certificates else {}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = _start_interpreter(rung, theirs, {**os.environ, **environment})
    except OSError:
        pid = 0  # the interpreter is not to be had for this user, or embedded in another program
    if pid == 0:
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                os.environ.update(environment)
                Spawner(rung, theirs).serve()
            finally:
                os._exit(1)
    theirs.close()
    return pid, ours


def _start_interpreter(rung: Rung, requests: socket.socket, environment: dict[str, str]) -> int:
    """The pid of a new interpreter that serves ``requests``; 0 when this one does not know its own program."""
    if not sys.executable:
        return 0
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.access(package, os.R_OK | os.X_OK):
        return 0
    argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, os.path.dirname(package)]
    requests.set_inheritable(True)
    argv += [str(requests.fileno()), marshal.dumps(rung.as_dict()).hex()]
    return os.posix_spawn(sys.executable, argv, environment, setsigmask=_NOT_MEANT)


def main() -> NoReturn:
    """The spawner as a program: the number of its socket and the rung are its arguments."""
    requests = socket.socket(fileno=int(sys.argv[2]))
    requests.set_inheritable(False)
    Spawner(revive(marshal.loads(bytes.fromhex(sys.argv[3]))), requests).serve()


class Spawner:
    """The loop of the spawner process: requests in, a spare or a new keeper for each, roots tidied after them."""

    def __init__(self, rung: Rung, requests: socket.socket) -> None:
        self._rung = rung
        self._requests = requests
        self._stubs: dict[str, Stubs] = {}
        self._runs: dict[int, tuple[socket.socket, str]] = {}  # by what hangs up when its keeper is done
        self._keepers: set[int] = set()
        self._watches: set[Watch] = set()
        self._watched: dict[int, Callable[[], bool]] = {}
        self._poll = select.poll()
        self._spare: Spare | None = None
        self._sparing = can_be_spare(rung)

    def serve(self) -> NoReturn:
        """Until pylife closes the socket or dies, and the last run has ended."""
        for number in _NOT_MEANT:  # sent to all processes of a terminal or a job, but meant for pylife or its app
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.umask(0o022)
        kernel.set_name("pylife-spawner")
        seccomp.program()  # made once for all runs
        gc.disable()
        gc.freeze()  # collecting would touch, and so copy, pages shared with pylife
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._poll.register(wake_read, select.POLLIN)
        self._poll.register(self._requests, select.POLLIN)
        listening = True
        while listening or self._runs or self._watches:
            if listening and self._sparing and self._spare is None:
                self._make_spare()
            ready = self._poll.poll(self._patience())
            fd = ready[0][0] if ready else -1  # one at a time: what it leads to may close the others
            if fd == wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
                self._keepers = {pid for pid in self._keepers if not os.waitpid(pid, os.WNOHANG)[0]}
            elif fd in self._watched:
                if not self._watched[fd]():
                    self._ignore(fd)
            elif fd in self._runs:
                self._end(fd)
            elif fd == self._requests.fileno() and not self._take():
                listening = False
                self._poll.unregister(fd)
        if self._spare is not None:
            self._spare.close()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        os._exit(0)

    def _patience(self) -> float | None:
        """Milliseconds until the next deadline of a run; what is overdue is ended."""
        return min(filter(None, [watch.patience() for watch in self._watches]), default=None)

    def _take(self) -> bool:
        """Serve one request; False when there will be no more."""
        try:
            data, fds, _, _ = socket.recv_fds(self._requests, 16, 4)
        except OSError:
            return False
        if not data:
            return False
        control = socket.socket(fileno=fds[0])
        stdio = fds[1:]
        try:
            request = receive(control)
            if request is not None:
                raw, terminal = request[0]
                self._start(raw, terminal, control, stdio)
        except OSError as error:
            control.close()
            del error
        finally:
            for fd in stdio:
                os.close(fd)
        return True

    def _start(self, raw: dict[str, Any], terminal: Terminal, control: socket.socket, stdio: list[int]) -> None:
        spec = revive(raw)
        root = os.path.realpath(spec.root)
        stubs = self._stubs.setdefault(root, Stubs(root))
        stubs.runs += 1
        try:
            plan = lay_out(spec, self._rung, stubs)
            if serves(spec, self._rung, terminal) and self._start_spare(raw, spec, plan, control, stdio, root):
                return
        except OSError as error:
            name = os.fsdecode(error.filename or "")
            said = {"failed": "setup", "errno": error.errno, "why": error.strerror, "name": name}
            self._release(root)
            with contextlib.suppress(OSError):
                control.sendall(marshal.dumps(said))
            control.close()
            return
        self._start_keeper(spec, plan, terminal, control, stdio, root)

    def _start_spare(
        self,
        raw: dict[str, Any],
        spec: RunSpec,
        plan: Plan,
        control: socket.socket,
        stdio: list[int],
        root: str,
    ) -> bool:
        """Whether a spare has become the run. Raises OSError."""
        spare, self._spare = self._spare, None
        if spare is None:
            return False
        started = False
        try:
            started = spare.start(raw, spec, plan, stdio)
        finally:
            if not started:
                spare.close()
        if not started:
            self._sparing = False
            return False

        def end() -> None:
            for fd in watch.handlers:
                self._ignore(fd)
            self._watches.discard(watch)
            self._release(root)

        watch = Watch(spare.pid, spare.pidfd, spare.status, control, spec.timeout, end)
        self._watches.add(watch)
        for fd, handle in watch.handlers.items():
            self._watched[fd] = handle
            self._poll.register(fd, select.POLLIN)
        return True

    def _ignore(self, fd: int) -> None:
        if self._watched.pop(fd, None):
            self._poll.unregister(fd)

    def _start_keeper(
        self, spec: RunSpec, plan: Plan, terminal: Terminal, control: socket.socket, stdio: list[int], root: str
    ) -> None:
        over, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._forget_runs(control)
                os.close(over)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                Keeper(spec, self._rung, control, write).run(plan, stdio, terminal)
            finally:
                os._exit(1)
        os.close(write)
        self._keepers.add(pid)
        self._runs[over] = control, root
        self._poll.register(over, 0)

    def _make_spare(self) -> None:
        try:
            self._spare = Spare(self._rung, self._forget_runs)
        except OSError:
            self._sparing = False

    def _forget_runs(self, spared: socket.socket | None = None) -> None:
        """In a child: close what is between the spawner and pylife, or other runs."""
        self._requests.close()
        if self._spare is not None:
            self._spare.close()
        for over, (control, _) in self._runs.items():
            os.close(over)
            if control is not spared:
                control.close()
        for watch in self._watches:
            watch.forget()

    def _end(self, over: int) -> None:
        """The run is over and its processes are gone: tidy the root, let pylife go on."""
        self._poll.unregister(over)
        os.close(over)
        control, root = self._runs.pop(over)
        self._release(root)
        control.close()

    def _release(self, root: str) -> None:
        stubs = self._stubs[root]
        stubs.runs -= 1
        if stubs.runs == 0:
            del self._stubs[root]
            stubs.remove()
