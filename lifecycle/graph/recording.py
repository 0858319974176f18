"""Putting results into caches as soon as they are packed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from lifecycle.errors import PylifeError
from lifecycle.graph.cache import Cache, Record
from lifecycle.graph.key import Ingredient, Key
from lifecycle.graph.node import Node
from lifecycle.graph.state import State, StateLayer
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class _Pending:
    node: Node
    parent: State
    layer: StateLayer
    own: tuple[Ingredient, ...]


class Recorder:
    """Results on their way into ``caches``; each is put there once, and kept in ``records``.

    ``expect`` may be called from any thread, all else from the solver's.
    """

    def __init__(self, caches: Sequence[Cache], records: dict[Key, Record]) -> None:
        self._caches = caches
        self._records = records
        self._own: dict[Key, tuple[Ingredient, ...]] = {}
        self._lock = threading.Lock()
        self._pending: list[_Pending] = []

    def expect(self, node: Node, own: tuple[Ingredient, ...]) -> None:
        """A result is about to come; ``own`` is what names it by content."""
        with self._lock:
            self._own[node.definition_key] = own

    def assembled(self, node: Node, parent: State, layer: StateLayer) -> None:
        """The result came: ``layer``, upon ``parent``. What was recorded before is not recorded again."""
        with self._lock:
            own = self._own.pop(node.definition_key, None)
        if own is not None:
            self._pending.append(_Pending(node, parent, layer, own))

    def record_packed(self) -> None:
        """Record what is packed by now; raises what packing raised."""
        for item in list(self._pending):
            if item.layer.settled and item.parent.settled:
                self._record(item)

    def finish(self, *, failed: bool = False) -> None:
        """Wait until everything is packed and record it; when the build ``failed`` already, record what can be."""
        for item in list(self._pending):
            try:
                self._record(item)
            except PylifeError:
                if not failed:
                    raise

    def flush(self) -> None:
        """Let the caches bring away what they were given."""
        for cache in self._caches:
            cache.flush()

    def _record(self, item: _Pending) -> None:
        self._pending.remove(item)
        node = item.node
        content = node.content_key(item.own, item.parent.diff_ids)
        above = item.parent.layers[len(node.base.layers) :]
        layers = (*(layer.layer() for layer in above), item.layer.layer())
        record = Record(node.definition_key, node.operation_key, content, layers, int(time.time()))
        self._records[node.definition_key] = record
        for cache in self._caches:
            cache.put(record)
