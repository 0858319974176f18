"""Options of the form ``key=value,key=value``."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.errors import PylifeError


def fields(text: str, keys: Mapping[str, str], option: str, error: type[PylifeError]) -> dict[str, str]:
    """The values by their canonical key; ``keys`` maps every accepted spelling to it. Raises ``error``."""
    import csv
    import difflib

    found: dict[str, str] = {}
    for row in csv.reader([text]):
        for field in row:
            key, equals, value = field.partition("=")
            known = keys.get(key.strip().lower())
            if known is None:
                near = difflib.get_close_matches(key.strip().lower(), keys, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; it takes {', '.join(sorted(keys))}"
                raise error(f"{option} cannot be understood", why=f"{key!r} is unknown{hint}")
            if not equals:
                raise error(f"{option} cannot be understood", why=f"{key} has no value: write {key}=…")
            if known in found:
                raise error(f"{option} cannot be understood", why=f"{key} is given twice")
            found[known] = value
    return found
