"""A buildpack's own TOML data carried through JSON and back without loss.

JSON has no dates, no infinities and no way to tell 5 from 5.0 in every reader. The data itself is written as the
official tools write it (a date as its RFC 3339 text), so that they can read it; a small table beside it, JSON pointer
to type, lets pylife restore the exact value. Integers stay integers. Nothing becomes null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

_READERS = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "float": float,
}
_SPECIAL = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def compact_json(data: object) -> str:
    """``data`` as the official tools print JSON: no spaces, the keys' order kept, ``<>&`` escaped."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).translate(_SPECIAL)


def encode(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The JSON form of ``data``, keys sorted at every depth, and the types of the values that JSON cannot hold."""
    types: dict[str, str] = {}
    return {key: _encode(data[key], _step("", key), types) for key in sorted(data)}, types


def _step(pointer: str, key: object) -> str:
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _encode(value: Any, pointer: str, types: dict[str, str]) -> Any:
    match value:
        case Mapping():
            return {key: _encode(value[key], _step(pointer, key), types) for key in sorted(value)}
        case list() | tuple():
            return [_encode(item, _step(pointer, position), types) for position, item in enumerate(value)]
        case datetime():
            types[pointer] = "datetime"
            return value.isoformat().replace("+00:00", "Z")
        case date():
            types[pointer] = "date"
            return value.isoformat()
        case time():
            types[pointer] = "time"
            return value.isoformat()
        case float() if not math.isfinite(value):
            types[pointer] = "float"
            return str(value)
        case _:
            return value


def decode(data: object, types: object) -> dict[str, Any]:
    """What ``encode`` was given. Nulls, which TOML cannot hold, are left out; unknown types are ignored."""
    if not isinstance(data, Mapping):
        return {}
    hints = {key: kind for key, kind in types.items() if isinstance(kind, str)} if isinstance(types, Mapping) else {}
    return dict(_items(data, "", hints))


def _items(data: Mapping[str, Any], pointer: str, hints: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if value is not None:
            yield _text(key), _decode(value, _step(pointer, key), hints)


def _text(value: str) -> str:
    """JSON can spell half a character, TOML and files cannot: it becomes U+FFFD, as in the official tools."""
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _decode(value: Any, pointer: str, hints: Mapping[str, str]) -> Any:
    match value:
        case Mapping():
            return dict(_items(value, pointer, hints))
        case list():
            return [_decode(item, _step(pointer, place), hints) for place, item in enumerate(value) if item is not None]
        case str() if (read := _READERS.get(hints.get(pointer, ""))) is not None:
            try:
                return read(value)
            except ValueError:  # edited by hand or by another tool: the text is still the best that is known
                return _text(value)
        case str():
            return _text(value)
        case _:
            return value
