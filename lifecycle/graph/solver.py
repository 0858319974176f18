"""Finding and making the results of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lifecycle.events import NullSink, Sink
from lifecycle.graph.cache import Cache
from lifecycle.graph.cancel import Cancellation
from lifecycle.graph.node import Node, Vertex
from lifecycle.graph.packing import Packer
from lifecycle.graph.state import State


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known before anything is done. ``missing`` are the nodes that must be looked at more closely or done."""

    states: Mapping[Node, State]
    missing: tuple[Node, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return not self.missing


class Solver:
    """Finds results in ``caches`` (the first is asked first) and makes the rest, at most ``jobs`` steps at a time.

    ``cancellation`` is the packer's: it is thrown with the first failure, and operations that run long put their
    hooks there.
    """

    def __init__(
        self, caches: Sequence[Cache], packer: Packer, *, sink: Sink | None = None, jobs: int | None = None
    ) -> None: ...

    def probe(self, targets: Sequence[Vertex]) -> Probe:
        """What is known of the targets, by reading alone: one thread, nothing unpacked, nothing done."""
        ...

    def solve(self, targets: Sequence[Vertex]) -> Mapping[Node, State]:
        """The targets' states (and those of all nodes that had to be looked at). Raises the first failure."""
        ...
