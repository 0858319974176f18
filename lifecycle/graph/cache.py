"""What caches keep: by the key of a step, the layers it gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink
from lifecycle.graph.key import Key
from lifecycle.image.layer import Layer
from lifecycle.record import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a step's result.

    ``layers`` are all layers above the base, bottom first, the step's own last: who has the record needs nothing of
    what came before. ``content`` is the step's key by content (its own layer is found by it), ``operation`` the key
    of its operation alone. ``made`` is when the step was really done, in seconds since 1970.
    """

    definition: Key
    operation: Key
    content: Key
    layers: tuple[Layer, ...]
    made: int = 0

    @property
    def own(self) -> Layer:
        """The step's own layer."""
        return self.layers[-1]


class Cache(Protocol):
    """Records by key. Thread-safe. What it hands out can be read; what it cannot hand out whole it does not have."""

    @property
    def name(self) -> str:
        """What people call it: ``the local cache``, ``the cache localhost:5000/app:cache``."""
        ...

    def get(self, definition: Key) -> Record | None:
        """The record under a definition key."""
        ...

    def by_content(self, content: Key) -> Layer | None:
        """A step's own layer, by its content key."""
        ...

    def seen(self, operation: Key) -> bool:
        """Whether there may be a layer by content for that operation: else its content key need not be made."""
        ...

    def lost(self, definition: Key) -> bool:
        """Whether it knows a record under that key that it cannot hand out whole."""
        ...

    def put(self, record: Record) -> None:
        """Keep the record, at the latest with ``flush``; does nothing in a cache that is only read."""
        ...

    def flush(self) -> None:
        """Bring what was put to where it is kept."""
        ...


class Guarded:
    """A cache that fails nothing: after its first error, which becomes a warning, it is left alone."""

    def __init__(self, cache: Cache, sink: Sink) -> None:
        self._cache = cache
        self._sink = sink
        self._broken = False

    @property
    def name(self) -> str:
        return self._cache.name

    def get(self, definition: Key) -> Record | None:
        return self._try(lambda: self._cache.get(definition), None)

    def by_content(self, content: Key) -> Layer | None:
        return self._try(lambda: self._cache.by_content(content), None)

    def seen(self, operation: Key) -> bool:
        return self._try(lambda: self._cache.seen(operation), False)

    def lost(self, definition: Key) -> bool:
        return self._try(lambda: self._cache.lost(definition), False)

    def put(self, record: Record) -> None:
        self._try(lambda: self._cache.put(record), None)

    def flush(self) -> None:
        self._try(self._cache.flush, None)

    def _try(self, act: Callable[[], T], otherwise: T) -> T:
        if self._broken:
            return otherwise
        try:
            return act()
        except PylifeError as error:
            self._broken = True
            text = f"{self.name[0].upper()}{self.name[1:]} is left out from here on: {error}"
            self._sink.emit(Message(text, level="warning", code=error.code))
            return otherwise
