"""Parser directives: ``# syntax=``, ``# escape=`` and ``# check=`` at the very top of a Dockerfile."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.location import Location
from lifecycle.dockerfile.text import SPACE
from lifecycle.record import dataclass

KNOWN = frozenset({"syntax", "escape", "check"})

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*\Z", re.ASCII)


class BadDirective(DockerfileError):
    """A parser directive stands twice, or has a value that it cannot have."""

    code = "dockerfile.bad-directive"
    fix = "Write each directive once, at the top; `escape` is a backslash or a backtick."


@dataclass(frozen=True, slots=True)
class Directive:
    """A parser directive: its whole value and its place."""

    value: str
    location: Location


class Directives:
    """The directives of a file as its lines are read; the first line that is none ends them."""

    def __init__(self, name: str, lines: tuple[str, ...]) -> None:
        self.name = name
        self.lines = lines
        self.found: dict[str, Directive] = {}
        self.escape = "\\"
        self.ended = False

    def read(self, line: str, number: int) -> bool:
        """Whether ``line`` (without white space before its ``#``) is a directive; raises BadDirective."""
        pair = None if self.ended else _pair(line, "#")
        if not pair:
            self.ended = True
            return False
        key, value = pair
        column = self.lines[number - 1].find("#") + 1
        location = Location(self.name, number, number, column)
        if key in self.found:
            raise BadDirective.at(location, self.lines, f"only one {key} parser directive can be used")
        if key == "escape":
            if value not in ("\\", "`"):
                what = f"invalid escape token {value!r}: it is a backslash or a backtick"
                raise BadDirective.at(location, self.lines, what, word=value)
            self.escape = value
        self.found[key] = Directive(value, location)
        return True


def syntax_and_check(text: str, name: str, lines: tuple[str, ...]) -> dict[str, Directive]:
    """The ``syntax`` and ``check`` directives, which are looked for more freely than ``escape`` is.

    A first line with ``#!`` is passed over; ``syntax`` may also stand behind ``//`` or in a JSON object.
    """
    shebang = bool(lines) and lines[0].startswith("#!")
    number = 2 if shebang else 1
    top = lines[number - 1] if len(lines) >= number else ""
    found = {}
    if top.startswith("#"):
        found = _read(lines, number, "#", name)
    elif top.startswith("//"):
        found = {key: value for key, value in _read(lines, number, "//", name).items() if key == "syntax"}
    elif top.lstrip(SPACE).startswith("{"):
        value = _json_syntax(text.partition("\n")[2] if shebang else text)
        if value is not None:
            found = {"syntax": Directive(value, Location(name, number, number))}
    found.pop("escape", None)
    return found


def _pair(line: str, comment: str) -> tuple[str, str] | None:
    match = _DIRECTIVE.match(line.removeprefix(comment).lstrip(SPACE)) if line.startswith(comment) else None
    return (match[1].lower(), match[2]) if match and match[1].lower() in KNOWN else None


def _read(lines: Iterable[str], first: int, comment: str, name: str) -> dict[str, Directive]:
    found: dict[str, Directive] = {}
    for number, line in enumerate(list(lines)[first - 1 :], first):
        pair = _pair(line, comment)
        if not pair or pair[0] in found:
            break
        found[pair[0]] = Directive(pair[1], Location(name, number, number))
    return found


def _json_syntax(text: str) -> str | None:
    import json

    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    value = document.get("syntax") if isinstance(document, dict) else None
    return value if isinstance(value, str) else None
