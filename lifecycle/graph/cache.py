"""What caches keep: by the key of a step, the layers it gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lifecycle.graph.key import Key
from lifecycle.image.layer import Layer


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a step's result.

    Under a definition key ``layers`` are all layers above the base, bottom first; under a content key the step's own
    layer only, the last one. A record that a cache hands out has layers that can be read. ``made`` is in seconds
    since 1970, when the step was really done.
    """

    layers: tuple[Layer, ...]
    made: int = 0


class Cache(Protocol):
    """Records by key. Thread-safe. A cache that is out of reach has no records: it warns once and fails nothing."""

    @property
    def name(self) -> str:
        """What people call it: ``the local cache``, ``registry localhost:5000/app:cache``."""
        ...

    def get(self, key: Key) -> Record | None:
        """The record, if all its layers can be had."""
        ...

    def seen(self, operation: Key) -> bool:
        """Whether there may be a record by content for that operation key: else no content key need be made."""
        ...

    def put(self, key: Key, record: Record) -> None:
        """Keep the record; does nothing in a cache that is only read, and may wait until ``flush``."""
        ...

    def note(self, operation: Key) -> None:
        """Remember that a record by content was put for that operation key."""
        ...

    def flush(self) -> None:
        """Bring what was put to where it is kept."""
        ...
