"""Telling running work that it is not wanted any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lifecycle.errors import PylifeError


class Cancelled(PylifeError):
    """Work was given up because something else failed or the user interrupted; never the first cause of a failure."""

    code = "graph.cancelled"
    fix = "Look at the error that was reported first."


class Cancellation:
    """A switch that is thrown once, shared by all work of one solve. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thrown = False
        self._hooks: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def cancelled(self) -> bool:
        return self._thrown

    def check(self) -> None:
        """Raises Cancelled once the switch is thrown."""
        if self._thrown:
            raise Cancelled("This step was given up")

    def cancel(self) -> None:
        """Throw the switch: every hook is called, in this thread, once."""
        with self._lock:
            hooks = list(self._hooks.values()) if not self._thrown else []
            self._thrown = True
            self._hooks.clear()
        for hook in hooks:
            hook()

    @contextmanager
    def calling(self, hook: Callable[[], None]) -> Iterator[None]:
        """Have ``hook`` called if the switch is thrown inside the block; raises Cancelled when it is already.

        The hook runs in another thread and must not block or raise: it kills a process, say.
        """
        with self._lock:
            if self._thrown:
                raise Cancelled("This step was given up")
            number, self._next = self._next, self._next + 1
            self._hooks[number] = hook
        try:
            yield
        finally:
            with self._lock:
                self._hooks.pop(number, None)
