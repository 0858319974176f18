"""The process that forks build processes: made early, while pylife has one thread, and doing nothing else.

A request is one byte with descriptors: the run's control socket and the program's stdin, stdout and stderr. The spec
comes over the control socket. The spawner keeps its end of that socket open until the run is over and the root is
as it was, so end-of-file there tells pylife that both are true.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
from typing import NoReturn

from lifecycle.sandbox import kernel
from lifecycle.sandbox.child import Terminal
from lifecycle.sandbox.enter import ignore_terminal_signals
from lifecycle.sandbox.keeper import Keeper
from lifecycle.sandbox.plan import lay_out
from lifecycle.sandbox.rung import Rung
from lifecycle.sandbox.spec import RunSpec
from lifecycle.sandbox.stubs import Stubs

_LENGTH = struct.Struct("=I")
_TERMINALS: dict[str, Terminal] = {"none": "none", "shared": "shared", "foreground": "foreground"}


def pack_request(spec: RunSpec, terminal: str) -> bytes:
    """What goes over a run's control socket first."""
    body = json.dumps({"spec": spec.to_json(), "terminal": terminal}).encode()
    return _LENGTH.pack(len(body)) + body


def spawn(rung: Rung) -> tuple[int, socket.socket]:
    """Fork the spawner; its pid and the socket for requests. The caller must have one thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            Spawner(rung, theirs).serve()
        finally:
            os._exit(1)
    theirs.close()
    return pid, ours


class Spawner:
    """The loop of the spawner process: requests in, keepers forked, roots tidied after them."""

    def __init__(self, rung: Rung, requests: socket.socket) -> None:
        self._rung = rung
        self._requests = requests
        self._stubs: dict[str, Stubs] = {}
        self._runs: dict[int, tuple[socket.socket, str]] = {}

    def serve(self) -> NoReturn:
        """Until pylife closes the socket or dies, and the last run has ended."""
        ignore_terminal_signals()
        os.umask(0o022)
        kernel.set_name("pylife-spawner")
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
                spec = RunSpec.from_json(request["spec"])
                self._start(spec, request["terminal"], control, stdio)
        except OSError as error:
            control.close()
            del error
        finally:
            for fd in stdio:
                os.close(fd)
        return True

    def _start(self, spec: RunSpec, terminal: str, control: socket.socket, stdio: list[int]) -> None:
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
                control.sendall(json.dumps(said).encode() + b"\n")
            control.close()
            return
        pid = os.fork()
        if pid == 0:
            try:
                self._forget_everything_but(control)
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                shape = _TERMINALS.get(terminal, "none")
                Keeper(spec, self._rung, plan, control, stdio, shape).run()
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


def _read_request(control: socket.socket) -> dict[str, str] | None:
    head = _read_exactly(control, _LENGTH.size)
    body = _read_exactly(control, _LENGTH.unpack(head)[0]) if head else None
    if body is None:
        return None
    request: dict[str, str] = json.loads(body)
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
