"""TOML out: what the contract's files need and no more (the standard library only reads TOML)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def dumps(document: Mapping[str, Any]) -> str:
    """The document as TOML text: plain values first, then tables and arrays of tables, in the given order."""
    lines: list[str] = []
    _table(document, "", lines)
    return "\n".join(lines) + "\n" if lines else ""


def _table(table: Mapping[str, Any], path: str, lines: list[str]) -> None:
    for name, value in table.items():
        if not isinstance(value, Mapping) and not _is_table_array(value):
            lines.append(f"{_key(name)} = {_value(value)}")
    for name, value in table.items():
        inner = f"{path}.{_key(name)}" if path else _key(name)
        if isinstance(value, Mapping):
            lines.append(f"\n[{inner}]" if lines else f"[{inner}]")
            _table(value, inner, lines)
        elif _is_table_array(value):
            for item in value:
                lines.append(f"\n[[{inner}]]" if lines else f"[[{inner}]]")
                _table(item, inner, lines)


def _is_table_array(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and isinstance(value[0], Mapping)


def _key(name: str) -> str:
    bare = name and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _string(name)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _string(value)
        case list() | tuple():
            return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"no TOML form for {type(value).__name__}")


def _string(text: str) -> str:
    escaped = (_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " or c == "\x7f" else c) for c in text)
    return '"' + "".join(escaped) + '"'
