"""Errors at a place in a Dockerfile: each names file, line and column, shows the line, and the near word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Self

from lifecycle.dockerfile.location import Location
from lifecycle.errors import PylifeError

SHOWN = 160  # characters of a line that an error shows


class DockerfileError(PylifeError):
    """Something in a Dockerfile is wrong; ``location`` says where, when it is known."""

    code = "dockerfile.invalid"
    fix = "Correct the line that is shown."
    location: Location | None = None

    @classmethod
    def at(
        cls,
        location: Location,
        lines: Sequence[str],
        what: str,
        *,
        word: str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> Self:
        """The error ``what`` at ``location`` of a file with ``lines`` (all of them, from line 1).

        ``word`` is the text to point at: the first place where it stands at or after ``location`` is shown.
        """
        location = find(location, lines, word) if word else location
        error = cls(what, why=why, fix=fix, where=str(location), details=excerpt(location, lines))
        error.location = location
        return error


def find(location: Location, lines: Sequence[str], word: str) -> Location:
    """The place of ``word`` within ``location``; ``location`` itself when the word does not stand there as such."""
    start = location.column - 1
    for number in range(location.line, min(location.end, len(lines)) + 1):
        column = lines[number - 1].find(word, start)
        if column >= 0:
            return replace(location, line=number, column=column + 1)
        start = 0
    return location


def excerpt(location: Location, lines: Sequence[str]) -> str:
    """The line of ``location`` and a caret under its column; a long line is cut around the column."""
    if not 1 <= location.line <= len(lines):
        return ""
    text, column = lines[location.line - 1], location.column - 1
    begin = max(0, column - SHOWN // 2) if len(text) > SHOWN else 0
    shown = text[begin : begin + SHOWN].rstrip()
    shown = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in shown)
    indent = "".join("\t" if char == "\t" else " " for char in text[begin:column])
    prefix = f"{location.line} | "
    return f"{prefix}{shown}\n{' ' * (len(prefix) - 2)}| {indent}^"


def near(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """``Did you mean …?`` when something known is near ``word`` (letter case aside), else ``otherwise``."""
    import difflib

    spelled = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), spelled, 1, 0.6)
    return f"Did you mean `{spelled[close[0]]}`?" if close else otherwise
