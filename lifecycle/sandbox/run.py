"""Running processes in root filesystems, as pylife sees it."""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lifecycle.errors import PylifeError
from lifecycle.events import Message, NullSink, Sink
from lifecycle.sandbox.entering import threads
from lifecycle.sandbox.errors import (
    AlreadyThreaded,
    ExecFailed,
    MountsNotPossible,
    NetworkNotIsolated,
    SetupFailed,
    SpawnerLost,
    UserNotMapped,
)
from lifecycle.sandbox.rung import Rung
from lifecycle.sandbox.spawner import spawn
from lifecycle.sandbox.spec import RunResult, RunSpec
from lifecycle.sandbox.wire import send

if TYPE_CHECKING:
    from lifecycle.sandbox.child import Terminal

Stream = Literal["stdout", "stderr"]
OnLine = Callable[[Stream, str], None]

#: a longer line reaches ``on_line`` in pieces of this many bytes
MAX_LINE = 64 * 1024
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Sandbox:
    """Starts processes on one rung. Make it after ``enter`` and before the first thread; any thread may use it.

    A context manager; ``close`` ends the spawner. Processes die with this process, whatever ends it. ``certificates``
    is a file with the authorities that runs trust; without it they trust those of the host.
    """

    def __init__(self, rung: Rung, sink: Sink | None = None, certificates: str | None = None) -> None:
        if threads() > 1:
            raise AlreadyThreaded("The spawner cannot be forked", why=f"this process already has {threads()} threads")
        self.rung = rung
        self._sink = sink or NullSink()
        self._lock = threading.Lock()
        self._told_memory = False
        self._processes: weakref.WeakSet[Process] = weakref.WeakSet()
        self._pid, self._requests = spawn(rung, certificates)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the runs that still go, and end the spawner. Idempotent."""
        for process in list(self._processes):
            process.kill()
        with self._lock:
            if self._pid == 0:
                return
            self._requests.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0

    def run(self, spec: RunSpec, on_line: OnLine) -> RunResult:
        """Run to the end with stdin empty, giving each output line (without its newline) to ``on_line``.

        ``on_line`` is called in this thread; while it works, a process that writes waits. Raises what ``start`` does
        and ExecFailed, SetupFailed; an exception out of ``on_line`` (or Ctrl-C) kills the run.
        """
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            process = self._start(spec, (null, out_write, err_write), "none")
        except BaseException:
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            for fd in (null, out_write, err_write):
                os.close(fd)
        try:
            with process:
                pump({out_read: "stdout", err_read: "stderr"}, on_line)
                return process.wait()
        finally:
            os.close(out_read)
            os.close(err_read)

    def start(self, spec: RunSpec, stdio: Sequence[int] = (0, 1, 2)) -> Process:
        """Start with the caller's own descriptors, as ``pylife run`` does; see ``Process.forward_signals``.

        When stdin is the terminal and this process is in its foreground, the program is put there instead: Ctrl-C
        reaches it once, and this process not at all. Raises UserNotMapped, NetworkNotIsolated, SpawnerLost.
        """
        terminal: Terminal = "shared"
        with contextlib.suppress(OSError):
            if os.isatty(stdio[0]) and os.tcgetpgrp(stdio[0]) == os.getpgrp():
                terminal = "foreground"
        return self._start(spec, stdio, terminal)

    def _start(self, spec: RunSpec, stdio: Sequence[int], terminal: Terminal) -> Process:
        self._check(spec)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with self._lock:
                if self._pid == 0:
                    raise SpawnerLost("No process can be started", why="the sandbox is closed")
                socket.send_fds(self._requests, [b"r"], [theirs.fileno(), *stdio])
            theirs.close()
            send(ours, (spec.as_raw(), terminal))
        except OSError as error:
            ours.close()
            raise SpawnerLost("No process can be started", why=error.strerror) from error
        finally:
            theirs.close()
        process = Process(spec, ours, stdio[0] if terminal == "foreground" else None)
        self._processes.add(process)
        return process

    def _check(self, spec: RunSpec) -> None:
        rung = self.rung
        if not spec.argv:
            raise ExecFailed("No program was given to run")
        for kind, number, mapped in (("user", spec.uid, rung.maps_user), ("group", spec.gid, rung.maps_group)):
            if not mapped(number):
                raise UserNotMapped(f"The step runs as {kind} {number}, which this host does not lend")
        for number in spec.groups:
            if rung.ids != "single" and not rung.maps_group(number):
                raise UserNotMapped(f"The step runs with group {number}, which this host does not lend")
        if spec.network == "none" and not rung.network_namespace:
            raise NetworkNotIsolated(f"The {rung.name} rung cannot cut a step off from the network")
        targets = [*(mount.target for mount in spec.mounts), *(file.target for file in spec.files)]
        if targets and not rung.can_mount:
            raise MountsNotPossible(f"{targets[0]} cannot be mounted", why=f"the {rung.name} rung has no mounts")
        if spec.memory is not None and rung.cgroup is None and not self._told_memory:
            self._told_memory = True
            text = "No control group can be used: --memory limits the address space of each process instead"
            self._sink.emit(Message(text, "warning"))


class Process:
    """A started run. A context manager: leaving it kills what still runs."""

    def __init__(self, spec: RunSpec, control: socket.socket, terminal: int | None) -> None:
        self._spec = spec
        self._control = control
        self._terminal = terminal
        self._result: RunResult | None = None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._result is None:
            self.kill()

    def signal(self, number: int) -> None:
        """Send a signal to the program (not to its children); ignored once it has ended."""
        with contextlib.suppress(OSError):
            self._control.send(bytes([number]))

    def kill(self) -> None:
        """Kill every process of the run and wait until they are gone. Idempotent."""
        if self._result is not None:
            return
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while self._control.recv(4096):
                pass
        self._control.close()
        self._take_back_terminal()

    def wait(self) -> RunResult:
        """Wait for the end of every process of the run. Raises ExecFailed, SetupFailed, SpawnerLost."""
        if self._result is not None:
            return self._result
        said = b""
        with contextlib.suppress(OSError):
            while piece := self._control.recv(65536):
                said += piece
        self._control.close()
        self._take_back_terminal()
        if not said:
            raise SpawnerLost(f"{self._spec.argv[0]} has ended without a word", why="its keeper was killed")
        self._result = _result(self._spec, marshal.loads(said))
        return self._result

    @contextlib.contextmanager
    def forward_signals(self) -> Iterator[None]:
        """While inside, signals that come to this process go to the program instead; main thread only."""

        def pass_on(number: int, frame: object) -> None:
            self.signal(number)

        before = {number: signal.signal(number, pass_on) for number in (*_FORWARDED, signal.SIGWINCH)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take_back_terminal(self) -> None:
        if self._terminal is None:
            return
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            os.tcsetpgrp(self._terminal, os.getpgrp())
        except OSError:
            return
        finally:
            signal.signal(signal.SIGTTOU, before)
            self._terminal = None


def _result(spec: RunSpec, ending: dict[str, Any]) -> RunResult:
    if "failed" in ending:
        raise _failure(spec, ending)
    code = int(ending["code"])
    return RunResult(
        exit_code=code if code >= 0 else 128 - code,
        signal=-code if code < 0 else None,
        timed_out=bool(ending["timed_out"]),
        oom=bool(ending["oom"]),
        seconds=float(ending["seconds"]),
    )


def _failure(spec: RunSpec, ending: dict[str, Any]) -> PylifeError:
    name, why = ending["name"], ending["why"]
    match ending["failed"]:
        case "exec":
            program = name or spec.argv[0]
            code = 127 if ending["errno"] == 2 else 126
            return ExecFailed(f"{program} cannot be started", why=why, exit_code=code)
        case "cwd":
            return ExecFailed(
                f"{spec.cwd} cannot be the working directory of {spec.argv[0]}",
                why=why,
                exit_code=126,
                fix="Check that the directory is in the image and that its user may enter it.",
            )
    what = f"The surroundings of {spec.argv[0]} could not be prepared"
    return SetupFailed(what, why=f"{name}: {why}" if name else why)


def pump(streams: dict[int, Stream], on_line: OnLine) -> None:
    """Give every line of the pipes to ``on_line`` until all writers are gone."""
    rests = dict.fromkeys(streams, b"")
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN)
    while rests:
        for fd, _ in poll.poll():
            piece = os.read(fd, 65536)
            if not piece:
                poll.unregister(fd)
                rest = rests.pop(fd)
                if rest:
                    on_line(streams[fd], _text(rest))
                continue
            *lines, rest = (rests[fd] + piece).split(b"\n")
            for line in lines:
                _give(streams[fd], line, on_line)
            while len(rest) >= MAX_LINE:
                on_line(streams[fd], _text(rest[:MAX_LINE]))
                rest = rest[MAX_LINE:]
            rests[fd] = rest


def _give(stream: Stream, line: bytes, on_line: OnLine) -> None:
    for start in range(0, max(len(line), 1), MAX_LINE):
        on_line(stream, _text(line[start : start + MAX_LINE]))


def _text(line: bytes) -> str:
    """A line as a terminal would leave it: a progress bar goes back to its beginning and writes over itself."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")
