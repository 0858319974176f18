"""Ignore rules in the syntax of gitignore, and the filter made of them.

Source: git's gitignore(5), "PATTERN FORMAT".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from lifecycle.record import dataclass

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "\\x21-\\x7e",
    "lower": "a-z",
    "print": "\\x20-\\x7e",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line: ``regex`` matches a whole path relative to the rules' directory; the path has no slash at its ends."""

    regex: re.Pattern[str]
    negated: bool = False
    only_directories: bool = False

    def matches(self, path: str, is_dir: bool) -> bool:
        return (is_dir or not self.only_directories) and self.regex.fullmatch(path) is not None


def parse_pattern(line: str) -> Pattern | None:
    """The pattern in one line; None for an empty line, a comment, or a pattern that can never match."""
    line = line.removesuffix("\n").removesuffix("\r")
    if line.startswith("#"):
        return None
    line = _strip_trailing_spaces(line)
    negated = line.startswith("!")
    line = line[1:] if negated else line
    if line[:2] in ("\\#", "\\!"):
        line = line[1:]
    only_directories = line.endswith("/")
    line = line[:-1] if only_directories else line
    if not line:
        return None
    anchored = "/" in line
    expression = _translate(line.removeprefix("/"))
    if expression is None:
        return None
    prefix = "" if anchored else "(?:.*/)?"
    return Pattern(re.compile(prefix + expression, re.DOTALL), negated, only_directories)


def _strip_trailing_spaces(line: str) -> str:
    stripped = line.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if backslashes % 2 and len(stripped) < len(line) else stripped


def _translate(pattern: str) -> str | None:
    """The regular expression of a pattern without its outer slashes; None when it can match nothing."""
    out = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at_start = at == 0 or pattern[at - 1] == "/"
        if char == "*" and at_start and pattern.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif char == "*" and at_start and at > 0 and pattern[at:] == "**":
            out.append(".+")
            at += 2
        elif char == "*":
            while at < len(pattern) and pattern[at] == "*":
                at += 1
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
            at += 1
        elif char == "[":
            found = _translate_class(pattern, at)
            if found is None:
                return None
            expression, at = found
            out.append(expression)
        elif char == "\\":
            if at + 1 == len(pattern):
                return None
            out.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            out.append(re.escape(char))
            at += 1
    return "".join(out)


def _translate_class(pattern: str, start: int) -> tuple[str, int] | None:
    """The regular expression of the bracket at ``start`` and where it ends; None when it is never closed."""
    at = start + 1
    negated = at < len(pattern) and pattern[at] in "!^"
    at += negated
    items: list[str] = []
    first = True
    while at < len(pattern) and (first or pattern[at] != "]"):
        first = False
        if named := re.compile(r"\[:([a-z]+):\]").match(pattern, at):
            if named[1] not in _CLASSES:
                return None
            items.append(_CLASSES[named[1]])
            at = named.end()
            continue
        low, at = _class_char(pattern, at)
        high = low
        if pattern.startswith("-", at) and at + 1 < len(pattern) and pattern[at + 1] != "]":
            high, at = _class_char(pattern, at + 1)
        if low <= high:
            items.append(f"{re.escape(low)}-{re.escape(high)}" if low != high else re.escape(low))
    if at >= len(pattern):
        return None
    inside = "".join(items)
    if negated:
        return f"[^/{inside}]", at + 1
    return (f"(?!/)[{inside}]" if inside else "(?!)"), at + 1


def _class_char(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\" and at + 1 < len(pattern):
        return pattern[at + 1], at + 2
    return pattern[at], at + 1


@dataclass(frozen=True)
class IgnoreRules:
    """Patterns in file order; the last that matches decides."""

    patterns: tuple[Pattern, ...] = ()

    @classmethod
    def parse(cls, lines: Iterable[str]) -> IgnoreRules:
        """The rules in ``lines``; lines without a pattern are left out."""
        return cls(tuple(pattern for line in lines if (pattern := parse_pattern(line)) is not None))

    def verdict(self, path: str, is_dir: bool) -> bool | None:
        """True when ``path`` itself is matched, False when a ``!`` pattern takes it back, None when nothing says."""
        for pattern in reversed(self.patterns):
            if pattern.matches(path, is_dir):
                return not pattern.negated
        return None

    @cached_property
    def _takes_back(self) -> bool:
        return any(pattern.negated for pattern in self.patterns)

    def ignores(self, path: str, is_dir: bool = False) -> bool:
        """True when ``path`` or a directory above it is ignored: nothing beneath such a directory comes back."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if self.verdict("/".join(parts[:depth]), True):
                return True
        return self.verdict(path, is_dir) is True


@dataclass(frozen=True, slots=True)
class Filter:
    """What of a source tree is taken: all but ``exclude``, or only ``include``.

    ``.git`` is left out unless a pattern asks for it (``exclude = ["!.git"]``, or ``include`` naming it). Within a
    directory that ``exclude`` matches nothing comes back; within one that ``include`` matches everything is taken but
    what a later ``!`` pattern takes back.
    """

    exclude: IgnoreRules
    include: IgnoreRules | None = None

    @classmethod
    def of(cls, *, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Filter:
        """The filter of a project.toml; both lists empty means everything but ``.git``."""
        wanted = tuple(include)
        return cls(IgnoreRules.parse((".git", *exclude)), IgnoreRules.parse(wanted) if wanted else None)

    def takes(self, path: str, is_dir: bool, inherited: bool) -> tuple[bool, bool]:
        """Whether ``path`` is taken, and whether to look inside it; ``inherited`` is its directory's first answer."""
        if self.include is not None:
            said = self.include.verdict(path, is_dir)
            if said is None and path.rpartition("/")[2] == ".git":
                return False, False
            taken = inherited if said is None else said
            return taken, is_dir
        ignored = self.exclude.verdict(path, is_dir) is True
        return not ignored, is_dir and not ignored


EVERYTHING = Filter.of()
