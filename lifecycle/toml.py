"""TOML files read with a place for every complaint: the file and the dotted key.

``Table`` wraps one decoded table; each reader method returns the typed value or raises the caller's error class.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.errors import PylifeError

_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}


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
            return cls(tomllib.loads(raw.decode()), file, fault)
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise fault(f"{file} is not valid TOML", why=f"line {line} is not UTF-8", where=file) from error
        except (ValueError, RecursionError) as error:  # also numbers with more digits than Python converts
            why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise fault(f"{file} is not valid TOML", why=why, where=file) from error

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


def dump(data: Mapping[str, Any]) -> bytes:
    """``data`` as a TOML document; keys whose value is None are left out at every depth."""
    import tomli_w

    return tomli_w.dumps(_without_none(data)).encode()


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value if item is not None]
    return value
