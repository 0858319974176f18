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
import struct
import sys
from types import SimpleNamespace

from lifecycle.sandbox import kernel, seccomp
from lifecycle.sandbox.keeper import Keeper
from lifecycle.sandbox.plan import lay_out
from lifecycle.sandbox.stubs import Stubs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from lifecycle.sandbox.child import Terminal
    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec

_LENGTH = struct.Struct("=I")
_TERMINAL_SIGNALS = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTOU,
    signal.SIGTTIN,
    signal.SIGHUP,
)
# a new interpreter, of which a fork costs a third of what one of pylife costs, with all that it has loaded
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from lifecycle.sandbox.spawner import main; main()"


def pack_request(spec: RunSpec, terminal: Terminal) -> bytes:
    """What goes over a run's control socket first."""
    body = marshal.dumps((spec.as_raw(), terminal))
    return _LENGTH.pack(len(body)) + body


def spawn(rung: Rung) -> tuple[int, socket.socket]:
    """Start the spawner; its pid and the socket for requests. The caller must have one thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = _start_interpreter(rung, theirs)
    except OSError:
        pid = 0  # the interpreter is not to be had for this user, or embedded in another program
    if pid == 0:
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                Spawner(rung, theirs).serve()
            finally:
                os._exit(1)
    theirs.close()
    return pid, ours


def _start_interpreter(rung: Rung, requests: socket.socket) -> int:
    """The pid of a new interpreter that serves ``requests``; 0 when this one does not know its own program."""
    if not sys.executable:
        return 0
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.access(package, os.R_OK | os.X_OK):
        return 0
    argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, os.path.dirname(package)]
    requests.set_inheritable(True)
    argv += [str(requests.fileno()), marshal.dumps(rung.as_dict()).hex()]
    return os.posix_spawn(sys.executable, argv, os.environ, setsigmask=_TERMINAL_SIGNALS)


def main() -> NoReturn:
    """The spawner as a program: the number of its socket and the rung are its arguments."""
    requests = socket.socket(fileno=int(sys.argv[2]))
    requests.set_inheritable(False)
    Spawner(_revive(marshal.loads(bytes.fromhex(sys.argv[3]))), requests).serve()


def _revive(raw: dict[str, Any]) -> Any:
    """A spec or a rung with the attributes of ``raw``: without their classes, which cost more memory than all else."""
    for kind in ("mounts", "files"):
        if kind in raw:
            raw[kind] = tuple(SimpleNamespace(**item) for item in raw[kind])
    return SimpleNamespace(**raw)


class Spawner:
    """The loop of the spawner process: requests in, keepers forked, roots tidied after them."""

    def __init__(self, rung: Rung, requests: socket.socket) -> None:
        self._rung = rung
        self._requests = requests
        self._stubs: dict[str, Stubs] = {}
        self._runs: dict[int, tuple[socket.socket, str]] = {}

    def serve(self) -> NoReturn:
        """Until pylife closes the socket or dies, and the last run has ended."""
        for number in _TERMINAL_SIGNALS:  # they are meant for pylife itself, or for its app
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
        poll = select.poll()
        poll.register(wake_read, select.POLLIN)
        poll.register(self._requests, select.POLLIN)
        listening = True
        while listening or self._runs:
            for fd, _ in poll.poll():
                if fd == wake_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_read, 4096)
                    self._reap()
                elif not self._take():
                    listening = False
                    poll.unregister(self._requests)
        os._exit(0)

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
            request = _read_request(control)
            if request is not None:
                spec, terminal = request
                self._start(_revive(spec), terminal, control, stdio)
        except OSError as error:
            control.close()
            del error
        finally:
            for fd in stdio:
                os.close(fd)
        return True

    def _start(self, spec: RunSpec, terminal: Terminal, control: socket.socket, stdio: list[int]) -> None:
        root = os.path.realpath(spec.root)
        stubs = self._stubs.setdefault(root, Stubs(root))
        stubs.runs += 1
        try:
            plan = lay_out(spec, self._rung, stubs)
        except OSError as error:
            name = os.fsdecode(error.filename or "")
            said = {"failed": "setup", "errno": error.errno, "why": error.strerror, "name": name}
            self._release(root)
            with contextlib.suppress(OSError):
                control.sendall(marshal.dumps(said))
            control.close()
            return
        pid = os.fork()
        if pid == 0:
            try:
                self._forget_everything_but(control)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                Keeper(spec, self._rung, plan, control, stdio, terminal).run()
            finally:
                os._exit(1)
        self._runs[pid] = (control, root)

    def _forget_everything_but(self, control: socket.socket) -> None:
        self._requests.close()
        for other, _ in self._runs.values():
            if other is not control:
                other.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._runs:
                control, root = self._runs.pop(pid)
                self._release(root)
                control.close()

    def _release(self, root: str) -> None:
        stubs = self._stubs[root]
        stubs.runs -= 1
        if stubs.runs == 0:
            del self._stubs[root]
            stubs.remove()


def _read_request(control: socket.socket) -> tuple[dict[str, Any], Terminal] | None:
    head = _read_exactly(control, _LENGTH.size)
    body = _read_exactly(control, _LENGTH.unpack(head)[0]) if head else None
    if body is None:
        return None
    request: tuple[dict[str, Any], Terminal] = marshal.loads(body)
    return request


def _read_exactly(control: socket.socket, count: int) -> bytes | None:
    """``count`` bytes, or None when pylife has gone away before they came."""
    data = bytearray()
    while len(data) < count:
        piece = control.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return bytes(data)
