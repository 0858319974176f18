"""app.json: what an app says of itself to platforms of the Heroku kind.

Source: Heroku, "app.json Schema". A key that is not known here counts for nothing; a known one of a wrong type is an
error.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.files import read_app_file


class BadAppJson(PylifeError):
    """An app.json is no JSON, or a key in it has a value of a wrong type."""

    code = "slug.bad-app-json"
    exit_code = 2
    fix = "Correct the place that is named; `pylife explain slug.bad-app-json` shows a whole file."


@dataclass(frozen=True, slots=True)
class Variable:
    """A config variable that the app wants: its ``value``, or one to be made by the ``generator`` ``secret``."""

    value: str = ""
    description: str = ""
    required: bool = True
    generator: str = ""


@dataclass(frozen=True, slots=True)
class AppJson:
    """An app.json. ``buildpacks`` are addresses in order, ``formation`` quantities by process type; ``environments``
    are those of ``test``, ``review`` and the like, each an app.json of its own that overrides this one.
    """

    name: str = ""
    buildpacks: tuple[str, ...] = ()
    env: Mapping[str, Variable] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    formation: Mapping[str, int] = field(default_factory=dict)
    addons: tuple[str, ...] = ()
    stack: str = ""
    environments: Mapping[str, AppJson] = field(default_factory=dict)

    def for_environment(self, name: str) -> AppJson:
        """The app.json with what ``environments`` says of ``name`` in front: lists replace, tables add."""
        other = self.environments.get(name)
        if other is None:
            return self
        return AppJson(
            self.name,
            other.buildpacks or self.buildpacks,
            {**self.env, **other.env},
            {**self.scripts, **other.scripts},
            {**self.formation, **other.formation},
            other.addons or self.addons,
            other.stack or self.stack,
        )

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """The values that the app's variables have beside those ``given``; what is generated is new each time."""
        values = {}
        for name, wanted in self.env.items():
            if name in given:
                continue
            if wanted.generator == "secret":
                values[name] = secrets.token_hex(32)
            elif wanted.value:
                values[name] = wanted.value
        return values

    def missing(self, given: Mapping[str, str]) -> tuple[str, ...]:
        """The variables that are required, and that neither ``given`` nor the file itself has a value for."""
        had = {**given, **self.variables(given)}
        return tuple(name for name, wanted in self.env.items() if wanted.required and not had.get(name))


def read_app_json(app: Path) -> AppJson | None:
    """The app.json of the source directory ``app``; None without one. Raises BadAppJson."""
    raw = read_app_file(app, "app.json")
    return None if raw is None else parse_app_json(raw)


def parse_app_json(raw: bytes) -> AppJson:
    """The app.json in ``raw``. Raises BadAppJson naming the line or the key."""
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        where = f"app.json, line {error.lineno}, column {error.colno}"
        raise BadAppJson("app.json is not JSON", why=error.msg, where=where) from error
    except (UnicodeDecodeError, RecursionError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it nests too deep"
        raise BadAppJson("app.json is not JSON", why=why, where="app.json") from error
    return _app_json(data, "")


def _app_json(data: object, at: str) -> AppJson:
    table = _table(data, at)
    inner = _table(table.get("environments", {}), f"{at}environments")
    return AppJson(
        name=_text(table.get("name", ""), f"{at}name"),
        buildpacks=tuple(
            _text(item.get("url") if isinstance(item, dict) else item, f"{at}buildpacks[{number}].url")
            for number, item in enumerate(_list(table.get("buildpacks"), f"{at}buildpacks"))
        ),
        env={name: _variable(item, f"{at}env.{name}") for name, item in _table(table.get("env"), f"{at}env").items()},
        scripts=_scripts(table.get("scripts"), f"{at}scripts"),
        formation=_formation(table.get("formation"), f"{at}formation"),
        addons=tuple(
            _text(item.get("plan") if isinstance(item, dict) else item, f"{at}addons[{number}]")
            for number, item in enumerate(_list(table.get("addons"), f"{at}addons"))
        ),
        stack=_text(table.get("stack", ""), f"{at}stack"),
        environments={name: _app_json(item, f"{at}environments.{name}.") for name, item in inner.items()},
    )


def _variable(item: object, at: str) -> Variable:
    if isinstance(item, (str, int, float, bool)):
        return Variable(_scalar(item))
    table = _table(item, at)
    required = table.get("required", True)
    if not isinstance(required, bool):
        raise _wrong(f"{at}.required", required, "true or false")
    generator = _text(table.get("generator", ""), f"{at}.generator")
    if generator not in ("", "secret"):
        raise _wrong(f"{at}.generator", generator, '"secret"')
    value = table.get("value", "")
    if not isinstance(value, (str, int, float, bool)):
        raise _wrong(f"{at}.value", value, "a string")
    return Variable(_scalar(value), _text(table.get("description", ""), f"{at}.description"), required, generator)


def _scalar(value: str | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _scripts(data: object, at: str) -> dict[str, str]:
    return {name: _text(command, f"{at}.{name}") for name, command in _table(data, at).items()}


def _formation(data: object, at: str) -> dict[str, int]:
    found = {}
    for name, item in _table(data, at).items():
        quantity = item.get("quantity", 1) if isinstance(item, dict) else item
        if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 0:
            raise _wrong(f"{at}.{name}.quantity", quantity, "a whole number from 0 up")
        found[name] = quantity
    return found


def _table(data: object, at: str) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise _wrong(at, data, "an object {…}")
    return data


def _list(data: object, at: str) -> list[Any]:
    if data is None:
        return []
    if not isinstance(data, list):
        raise _wrong(at, data, "a list […]")
    return data


def _text(data: object, at: str) -> str:
    if not isinstance(data, str):
        raise _wrong(at, data, "a string")
    return data


def _wrong(at: str, found: object, wanted: str) -> BadAppJson:
    kind = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}.get(type(found), "a number")
    kind = "nothing" if found is None else kind
    return BadAppJson(f"{at.rstrip('.') or 'app.json'} is {kind}, not {wanted}", where="app.json")
