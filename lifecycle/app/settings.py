"""What pylife was told: flags, PYLIFE_* variables, the settings file and defaults; each value knows its origin.

A flag wins over the environment, the environment over the file, the file over the default. A list or table is
replaced as a whole, never merged, so that one place always explains the value.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from lifecycle.app.errors import BadSetting, BadSettingsFile
from lifecycle.record import dataclass

T = TypeVar("T")

PROGRESS = ("auto", "tty", "plain", "json")
ISOLATION = ("auto", "userns", "mountns", "chroot")
_DEFAULT_REGISTRY = "docker.io"
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """A value and where it came from: a flag, a variable, a file's key, or ``default``."""

    value: T
    origin: str = "default"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set for all commands. Read ``settings.home.value``; show ``settings.home.origin``."""

    home: Value[Path]
    progress: Value[str]
    isolation: Value[str]
    builder: Value[str | None]
    compression: Value[str]
    cache_namespace: Value[str]
    ca_file: Value[tuple[Path, ...]]
    insecure_registry: Value[tuple[str, ...]]
    registry_mirror: Value[Mapping[str, tuple[str, ...]]]
    registry_map: Value[Mapping[str, str]]

    def rows(self) -> list[tuple[str, str, str]]:
        """(key, value, origin) of every setting, for people."""
        result = []
        for field in fields(self):
            held: Value[Any] = getattr(self, field.name)
            result.append((field.name.replace("_", "-"), _show(held.value), held.origin))
        return result


def _show(value: object) -> str:
    if value is None or value == () or value == {}:
        return "-"
    if isinstance(value, Mapping):
        pairs = ((key, item if isinstance(item, str) else " ".join(item)) for key, item in value.items())
        return ", ".join(f"{key}={item}" for key, item in pairs)
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


class _Wrong(Exception):
    """A parser's refusal; the caller adds the origin."""


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw:
        raise _Wrong("it must be a non-empty string")
    return raw


def _namespace(raw: object) -> str:
    text = _text(raw)
    if not _NAMESPACE.fullmatch(text):
        raise _Wrong("it may hold small letters, digits, '.', '_' and '-', and begins with a letter or digit")
    return text


def _path(raw: object) -> Path:
    return Path(os.path.abspath(os.path.expanduser(_text(raw))))


def _paths(raw: object) -> tuple[Path, ...]:
    if isinstance(raw, str):
        return tuple(_path(part) for part in raw.split(os.pathsep) if part)
    if isinstance(raw, (list, tuple)):
        return tuple(_path(item) for item in raw)
    raise _Wrong("it must be a list of paths")


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(raw: object) -> str:
        if raw not in choices:
            raise _Wrong(f"it must be one of {', '.join(choices)}")
        return str(raw)

    return parse


def _items(raw: object) -> list[str]:
    """The words of a list, or of a text separated by commas, semicolons or blanks."""
    if isinstance(raw, str):
        return [word for word in re.split(r"[,;\s]+", raw) if word]
    if isinstance(raw, (list, tuple)) and all(isinstance(item, str) for item in raw):
        return [word for item in raw for word in _items(item)]
    raise _Wrong("it must be a list of strings")


def _host(text: str) -> str:
    if "://" in text:
        raise _Wrong(f"{text!r} must be a host without a scheme, for example localhost:5000")
    if not _HOST.fullmatch(text):
        raise _Wrong(f"{text!r} is not a host[:port]")
    return text


def _hosts(raw: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_host(word) for word in _items(raw)))


def _pairs(raw: object, *, bare: str | None) -> list[tuple[str, str]]:
    """``left=right`` pairs of a table, list or text; a word without ``=`` belongs to ``bare`` where that is given."""
    if isinstance(raw, Mapping):
        return [(key, word) for key, item in raw.items() for word in _items(item)]
    result = []
    for word in _items(raw):
        left, equals, right = word.partition("=")
        if not equals:
            if bare is None:
                raise _Wrong(f"{word!r} must be written as FROM=TO")
            left, right = bare, word
        result.append((left, right))
    return result


def _location(text: str) -> str:
    """A ``host[:port][/path]``."""
    host, _, _ = text.partition("/")
    _host(host if "://" not in text else text)
    return text.rstrip("/")


def _mirrors(raw: object) -> Mapping[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for registry, mirror in _pairs(raw, bare=_DEFAULT_REGISTRY):
        result[_host(registry)] = (*result.get(registry, ()), _location(mirror))
    return result


def _maps(raw: object) -> Mapping[str, str]:
    return {_location(left): _location(right) for left, right in _pairs(raw, bare=None)}


# One row per setting: the field of Settings, which is also the key in the file (with "-") and, in capitals after
# PYLIFE_, the variable.
_PARSERS: dict[str, Callable[[object], Any]] = {
    "home": _path,
    "progress": _one_of(*PROGRESS),
    "isolation": _one_of(*ISOLATION),
    "builder": _text,
    "compression": _text,
    "cache_namespace": _namespace,
    "ca_file": _paths,
    "insecure_registry": _hosts,
    "registry_mirror": _mirrors,
    "registry_map": _maps,
}


def _defaults(environ: Mapping[str, str]) -> dict[str, Value[Any]]:
    data = environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return {
        "home": Value(Path(data) / "pylife"),
        "progress": Value("auto"),
        "isolation": Value("auto"),
        "builder": Value(None),
        "compression": Value("gzip"),
        "cache_namespace": Value("default"),
        "ca_file": Value(()),
        "insecure_registry": Value(()),
        "registry_mirror": Value({}),
        "registry_map": Value({}),
    }


def settings_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the settings file is looked for; only ``$PYLIFE_CONFIG`` has to exist."""
    if named := environ.get("PYLIFE_CONFIG"):
        return Path(os.path.expanduser(named))
    return Path(environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")) / "pylife" / "config.toml"


def _read_file(path: Path, required: bool) -> dict[str, object]:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if required:
            raise BadSettingsFile(
                f"There is no settings file {path}",
                why="PYLIFE_CONFIG names it",
                fix="Create it, or unset PYLIFE_CONFIG.",
            ) from None
        return {}
    except OSError as error:
        raise BadSettingsFile(f"The settings file {path} cannot be read", why=error.strerror) from error
    import tomllib

    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadSettingsFile("The settings file is not TOML", why=str(error), where=str(path)) from error


def _parse(name: str, raw: object, origin: str) -> Value[Any]:
    try:
        return Value(_PARSERS[name](raw), origin)
    except _Wrong as error:
        raise BadSetting(f"{origin} cannot be {raw!r}", why=str(error)) from None


def load_settings(flags: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings from ``flags`` (field name → value, None for not given), ``environ`` and the settings file.

    Raises BadSettingsFile and BadSetting, each naming the place that has to change.
    """
    values = _defaults(environ)
    path = settings_file(environ)
    keys = {name.replace("_", "-"): name for name in _PARSERS}
    for key, raw in _read_file(path, bool(environ.get("PYLIFE_CONFIG"))).items():
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            raise BadSettingsFile(
                f"The settings file has an unknown key {key!r}",
                where=str(path),
                fix=f"Did you mean {near[0]!r}?" if near else f"The keys are {', '.join(keys)}.",
            )
        values[keys[key]] = _parse(keys[key], raw, f"{key} in {path}")
    for name in _PARSERS:
        variable = f"PYLIFE_{name.upper()}"
        if text := environ.get(variable):
            values[name] = _parse(name, text, variable)
    for name, raw in (flags or {}).items():
        if raw is not None and raw != ():
            values[name] = _parse(name, raw, "--" + name.replace("_", "-"))
    return Settings(**values)
