"""A first process made ready in advance: most of what starting a run costs is done before the run comes.

Namespaces are new and the kernel's trees are mounted in a small root of their own; the run's root comes as a
descriptor of mounts. A spare serves one run and ends with it: nothing goes from one run to the next.
"""

from __future__ import annotations

import os
import signal
import socket

from lifecycle.sandbox import host, kernel
from lifecycle.sandbox.child import drop_beforehand, needs_fork
from lifecycle.sandbox.first import Inside, become_first
from lifecycle.sandbox.plan import Plan
from lifecycle.sandbox.rootfs import stage_root, take_root
from lifecycle.sandbox.wire import MOST_DESCRIPTORS, receive, revive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from lifecycle.sandbox.child import Terminal
    from lifecycle.sandbox.rung import Rung
    from lifecycle.sandbox.spec import RunSpec

_NAMESPACES = kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWNS
_READY = b"1"


def can_be_spare(rung: Rung) -> bool:
    """Whether runs on that rung are of the kind that can be made ready in advance."""
    return rung.pid_namespace and rung.can_mount


def serves(spec: RunSpec, rung: Rung, terminal: Terminal) -> bool:
    """Whether a spare can become this run: one with ordinary isolation, limits and standard streams."""
    if terminal != "none" or spec.memory is not None or needs_fork(spec, rung, terminal):
        return False
    return spec.network == "host" and not spec.privileged and len(spec.mounts) < MOST_DESCRIPTORS - 4


class Spare:
    """One spare, seen from the spawner. ``forget`` closes, in a child, what is not the spare's business.

    ``status`` is the pipe that it will tell of its run; ``pidfd`` can be read when it has ended.
    """

    def __init__(self, rung: Rung, forget: Callable[[], None]) -> None:
        self._contents = list(dict.fromkeys(host.shared_files("host", True).values()))
        self._orders, orders = socket.socketpair()
        self.status, status = os.pipe()
        self.pidfd = -1
        self.pid = kernel.fork(_NAMESPACES)
        if self.pid == 0:
            try:
                forget()
                self.close()
                _live(rung, self._contents, orders, status)
            finally:
                os._exit(1)
        orders.close()
        os.close(status)
        self.pidfd = os.pidfd_open(self.pid)

    def start(self, raw: dict[str, Any], spec: RunSpec, plan: Plan, stdio: Sequence[int]) -> bool:
        """Let it become the run; False when it could not be made ready, or has gone. Raises OSError for bad mounts."""
        if os.read(self.status, 1) != _READY:
            return False
        mounts: list[int] = []
        try:
            mounts.append(kernel.open_tree(spec.root))
            for mount in spec.mounts:
                mounts.append(kernel.open_tree(os.path.realpath(mount.source)) if mount.kind == "bind" else mounts[0])
            numbers = {content: number for number, content in enumerate(self._contents)}
            laid = vars(plan) | {"files": tuple((place, file) for place, file in plan.files if file not in numbers)}
            staged = tuple((place, numbers[file]) for place, file in plan.files if file in numbers)
            try:
                send(self._orders, (raw, laid, staged), [*stdio, *mounts])
            except OSError:
                return False
        finally:
            for fd in set(mounts):
                os.close(fd)
        self._orders.close()
        return True

    def close(self) -> None:
        """Let go of it: it ends by itself."""
        self._orders.close()
        os.close(self.status)
        if self.pidfd >= 0:
            os.close(self.pidfd)


def _live(rung: Rung, contents: Sequence[bytes], orders: socket.socket, status: int) -> NoReturn:
    """The life of a spare, the first process of its namespaces."""
    become_first()
    signal.set_wakeup_fd(-1)
    drop_beforehand(rung)
    stage_root(rung, contents)
    os.write(status, _READY)
    came = receive(orders)
    if came is None:
        os._exit(0)
    orders.close()
    (raw, laid, staged), descriptors = came
    spec, plan = revive(raw), Plan(**laid)
    stdio, (root, *sources) = descriptors[:3], descriptors[3:]

    def take() -> None:
        take_root(root, spec, plan, sources, staged)
        for fd in {root, *sources}:
            os.close(fd)

    Inside(spec, rung, plan, stdio, "none", status).first_process(take)
