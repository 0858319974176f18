"""TOML files: read with a place for every complaint (the file and the dotted key), written as buildpacks expect.

``Table`` wraps one decoded table; each reader method returns the typed value or raises the caller's error class.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from lifecycle.errors import PylifeError

_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_DEPTH = 100


def kind_of(value: object) -> str:
    """What a TOML value is, in words (``a string``)."""
    return _NAMES.get(type(value), f"a {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Table:
    """One TOML table, the ``file`` it came from and its dotted ``path`` in there (empty for the document)."""

    data: Mapping[str, Any]
    file: str
    fault: type[PylifeError]
    path: str = ""

    @classmethod
    def parse(cls, raw: bytes, file: str, fault: type[PylifeError]) -> Table:
        """The document in ``raw``; raises ``fault`` with the line when it is no TOML."""
        try:
            data = tomllib.loads(raw.decode())
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise fault(f"{file} is not valid TOML", why=f"line {line} is not UTF-8", where=file) from error
        except (ValueError, RecursionError) as error:  # also numbers with more digits than Python converts
            why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise fault(f"{file} is not valid TOML", why=why, where=file) from error
        if _too_deep(data):  # dotted keys nest without end, and everything that walks the data would end the stack
            raise fault(f"{file} is not usable", why=f"its tables are nested more than {_DEPTH} deep", where=file)
        return cls(data, file, fault)

    @classmethod
    def load(cls, path: Path, fault: type[PylifeError], *, name: str | None = None) -> Table:
        """The document at ``path``, shown as ``name`` in errors; raises ``fault`` when it cannot be read."""
        shown = name or str(path)
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise fault(f"{shown} cannot be read", why=error.strerror or str(error), where=shown) from error
        return cls.parse(raw, shown, fault)

    def key(self, name: str) -> str:
        """The dotted key of ``name`` in the document."""
        return f"{self.path}.{name}" if self.path else name

    def error(self, name: str, why: str) -> PylifeError:
        """The error to raise about key ``name``."""
        return self.fault(f"{self.key(name)} in {self.file} is wrong", why=why, where=f"{self.file}: {self.key(name)}")

    def _get(self, name: str, kind: type) -> Any:
        value = self.data.get(name)
        if value is not None and type(value) is not kind:
            raise self.error(name, f"it must be {_NAMES[kind]}, not {kind_of(value)}")
        return value

    def text(self, name: str, default: str = "") -> str:
        """The string at ``name``, or ``default`` when the key is absent."""
        value = self._get(name, str)
        return default if value is None else str(value)

    def required(self, name: str) -> str:
        """The string at ``name``, which must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise self.error(name, "it is required" if name not in self.data else "it is empty")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """The boolean at ``name``, or ``default``."""
        value = self._get(name, bool)
        return default if value is None else bool(value)

    def integer(self, name: str, default: int = 0) -> int:
        """The integer at ``name``, or ``default``."""
        value = self._get(name, int)
        return default if value is None else int(value)

    def strings(self, name: str) -> tuple[str, ...]:
        """The array of strings at ``name``; empty when absent."""
        items = self._get(name, list) or []
        for position, item in enumerate(items):
            if not isinstance(item, str):
                raise self.error(f"{name}[{position}]", f"it must be a string, not {kind_of(item)}")
        return tuple(items)

    def mapping(self, name: str) -> dict[str, Any]:
        """The plain data of the table at ``name``; empty when absent."""
        return dict(self._get(name, dict) or {})

    def table(self, name: str) -> Table:
        """The table at ``name``; an empty one when absent."""
        return Table(self._get(name, dict) or {}, self.file, self.fault, self.key(name))

    def tables(self, name: str) -> Iterator[Table]:
        """Each table of the array of tables at ``name``, in file order."""
        for position, item in enumerate(self._get(name, list) or []):
            if not isinstance(item, dict):
                raise self.error(f"{name}[{position}]", f"it must be a table, not {kind_of(item)}")
            yield Table(item, self.file, self.fault, f"{self.key(name)}[{position}]")

    def __contains__(self, name: str) -> bool:
        return name in self.data


def _too_deep(data: object) -> bool:
    level: list[object] = [data]
    for _ in range(_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def dump(data: Mapping[str, Any]) -> bytes:
    """``data`` as a TOML document; keys whose value is None are left out at every depth.

    One line per key, ``[table]`` and ``[[array]]`` headers, two spaces per level: the layout of the official tools,
    which buildpacks written in shell read with grep and sed. That is why no library writes it.
    """
    lines: list[str] = []
    _write_table(data, (), lines)
    return "".join(f"{line}\n" for line in lines).encode()


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    """The plain keys first, since every key after a header belongs to it; then the tables within."""
    indent = "  " * len(path)
    nested = []
    for key, value in table.items():
        if isinstance(value, Mapping) or _is_array_of_tables(value):
            nested.append((key, value))
        elif value is not None:
            lines.append(f"{indent}{_key(key)} = {_value(value)}")
    for key, value in nested:
        inner = (*path, key)
        name = ".".join(map(_key, inner))
        for item in [value] if isinstance(value, Mapping) else value:
            if not path and lines:
                lines.append("")
            lines.append(f"{indent}[{name}]" if isinstance(value, Mapping) else f"{indent}[[{name}]]")
            _write_table(item, inner, lines)


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else _string(text)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case int() | float():
            return repr(value)
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            items = (f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
            return f"{{{', '.join(items)}}}"
        case list() | tuple():
            return f"[{', '.join(_value(item) for item in value if item is not None)}]"
    raise TypeError(f"TOML has no {type(value).__name__}")


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_TABLE = str.maketrans({**{chr(code): f"\\u{code:04x}" for code in (*range(32), 127)}, **_ESCAPES})


def _string(text: str) -> str:
    return f'"{text.translate(_TABLE)}"'
