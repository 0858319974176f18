"""The near word, as the checks' messages have it."""

from __future__ import annotations

from collections.abc import Iterable

_FAR = 3  # edits


def nearest(word: str, known: Iterable[str], prefix: str = "") -> str:
    """`` (did you mean …?)`` with the first of the known names that are nearest; nothing when all are far."""
    distances = ((_distance(word, name), number, name) for number, name in enumerate(known))
    distance, _, name = min(distances, default=(_FAR, 0, ""))
    return f" (did you mean {prefix}{name}?)" if distance < _FAR else ""


def _distance(one: str, other: str) -> int:
    """How many characters must be put in, taken out or exchanged (Levenshtein); at least 3 is all the same."""
    if abs(len(one) - len(other)) >= _FAR:
        return _FAR
    row = list(range(len(other) + 1))
    for number, char in enumerate(one, 1):
        before, row[0] = row[0], number
        for column, their in enumerate(other, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (char != their))
    return row[-1]
