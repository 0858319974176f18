"""One line of comma-separated fields, as ``--mount`` and ``--device`` have them."""

from __future__ import annotations

import re

_FIELD = re.compile(r'"((?:[^"]|"")*)"(?=,|\Z)|([^",]*)(?=,|\Z)')


def split_fields(text: str) -> list[str]:
    """The fields of ``text``; one that begins with a quote may hold commas. Raises ValueError."""
    if not text:
        raise ValueError("there is nothing in it")
    fields = []
    position = 0
    while True:
        match = _FIELD.match(text, position)
        if not match:
            raise ValueError("a quote stands inside a field, or is not closed")
        fields.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        if match.end() == len(text):
            return fields
        position = match.end() + 1


def parse_bool(text: str) -> bool:
    """What Go takes for true and false; raises ValueError."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")
