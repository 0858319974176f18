"""Where something stands in a Dockerfile."""

from __future__ import annotations

from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """The lines of an instruction: ``line`` to ``end``, 1-based and inclusive; ``column`` is in characters from 1."""

    file: str
    line: int
    end: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"
