"""Environment markers: whether a requirement applies to the Python and the machine that the image is for.

Source: PEP 508, "Environment Markers"; a version is compared as one where the right side is a version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping

from pylife_python.ranges import parse

_TOKEN = re.compile(r"\s*(\(|\)|'[^']*'|\"[^\"]*\"|not\s+in\b|[<>=!~]=?=?|[A-Za-z_][\w.]*)")
_OLD_NAMES = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.machine": "platform_machine",
    "platform.version": "platform_version",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}


def environment(version: str) -> dict[str, str]:
    """What markers are asked about, for CPython ``version`` on this machine."""
    system = os.uname()
    return {
        "implementation_name": "cpython",
        "implementation_version": version,
        "os_name": "posix",
        "platform_machine": system.machine,
        "platform_python_implementation": "CPython",
        "platform_release": system.release,
        "platform_system": "Linux",
        "platform_version": system.version,
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
        "sys_platform": "linux",
    }


def applies(marker: str, environment: Mapping[str, str], extras: Collection[str] = ()) -> bool:
    """Whether a marker is true; an empty one is. Raises ValueError for what is no marker."""
    if not marker.strip():
        return True
    reader = _Reader(marker, environment, extras)
    value = reader.any_of()
    if reader.next():
        raise ValueError(f"{marker!r} is not a marker")
    return value


class _Reader:
    """Reads a marker from left to right; every method consumes its part and says whether that is true."""

    def __init__(self, marker: str, environment: Mapping[str, str], extras: Collection[str]) -> None:
        self.marker, self.environment, self.at = marker, environment, 0
        self.extras = {_normal(extra) for extra in extras}

    def next(self) -> str:
        match = _TOKEN.match(self.marker, self.at)
        if match is None:
            if self.marker[self.at :].strip():
                raise ValueError(f"{self.marker!r} is not a marker")
            return ""
        return match[1]

    def take(self) -> str:
        token = self.next()
        match = _TOKEN.match(self.marker, self.at)
        self.at = match.end() if match else self.at
        return token

    def any_of(self) -> bool:
        return self._chain("or", self.all_of, any)

    def all_of(self) -> bool:
        return self._chain("and", self.one, all)

    def _chain(self, word: str, part: Callable[[], bool], joined: Callable[[list[bool]], bool]) -> bool:
        values = [part()]
        while self.next() == word:
            self.take()
            values.append(part())
        return joined(values)

    def one(self) -> bool:
        if self.next() == "(":
            self.take()
            value = self.any_of()
            if self.take() != ")":
                raise ValueError(f"{self.marker!r} lacks a bracket")
            return value
        left, operator, right = self.take(), re.sub(r"\s+", " ", self.take()), self.take()
        if not left or not right:
            raise ValueError(f"{self.marker!r} is not a marker")
        if "extra" in (left, right):
            named = _normal((right if left == "extra" else left).strip("'\""))
            return (named in self.extras) == (operator == "==")
        return _holds(self._value(left), operator, self._value(right))

    def _value(self, token: str) -> str:
        if token[0] in "'\"":
            return token[1:-1]
        name = _OLD_NAMES.get(token, token)
        if name not in self.environment:
            raise ValueError(f"{self.marker!r} asks for {token}, which is no environment marker")
        return self.environment[name]


def _holds(left: str, operator: str, right: str) -> bool:
    if operator == "in":
        return left in right
    if operator == "not in":
        return left not in right
    try:
        return parse(operator + right)(left)
    except ValueError:
        pass
    match operator:
        case "==" | "===":
            return left == right
        case "!=":
            return left != right
        case "<" | "<=" | ">" | ">=":
            return left < right if operator == "<" else left > right if operator == ">" else left == right
    raise ValueError(f"{operator} is no operator of a marker")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
