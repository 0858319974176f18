"""Path patterns with ``**``: what an ignore file, ``--exclude`` and ``--parents`` are written in.

Paths are relative, clean and separated by ``/``; a name that is no UTF-8 is decoded with ``surrogateescape``.
Source: the Dockerfile reference, ".dockerignore file"; Go's path/filepath, "Match".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

_ROOT = ("", ".")
_NEVER = re.compile(r"(?!)")
_STAR = "[^/]*"
_TO_NEXT_STAR = re.compile(r"[^*\[\\/]+(?=\*)")
_SPECIAL = re.compile(r"[*?\[\\]")


class BadPattern(PylifeError):
    """A path pattern is not well formed."""

    code = "dockerfile.bad-pattern"
    fix = "Close every [ with a ], and write \\\\ before a character that is meant literally."


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern as written, without its ``!``; ``regex`` matches a whole path, ``above`` the directories that may
    hold a match further down (at times one that does not)."""

    text: str
    negated: bool
    regex: str
    above: str


@lru_cache(maxsize=1024)
def parse_pattern(text: str) -> Pattern:
    """The pattern in ``text``, cleaned as a path; raises BadPattern."""
    cleaned = clean(text.strip())
    negated = cleaned.startswith("!")
    cleaned = cleaned[negated:]
    if not cleaned:
        raise BadPattern(f"{text!r} takes nothing back", why="after ! there is no pattern")
    return Pattern(cleaned, negated, translate(cleaned), _above(cleaned))


def has_wildcard(text: str) -> bool:
    """True when ``text`` means more than the path that it spells."""
    return _SPECIAL.search(text) is not None


@lru_cache(maxsize=1024)
def compile_glob(text: str) -> re.Pattern[str]:
    """``text`` as Go's ``filepath.Match`` reads it: no ``**``; for ``fullmatch``. Raises BadPattern."""
    return re.compile(translate(text, double=False), re.DOTALL)


class Matcher:
    """Patterns in order, of which the last that matches a path, or a directory above it, decides.

    What a directory's path matched is remembered, so that a walk down a tree tries each name once.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns: Sequence[Pattern] = tuple(parse_pattern(text) for text in patterns if text.strip())
        newest_first = [f"({pattern.regex})" for pattern in reversed(self.patterns)]
        self._regex = re.compile("|".join(newest_first), re.DOTALL) if newest_first else _NEVER
        self._last: dict[str, int] = dict.fromkeys(_ROOT, 0)
        self._above: dict[tuple[int, bool], re.Pattern[str]] = {}

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def matches(self, path: str) -> bool:
        """True when the pattern that decides about ``path`` is none with a ``!``; the root is never matched."""
        return path not in _ROOT and self._matched(self._find(path))

    def may_differ_below(self, path: str) -> bool:
        """False when the answer for everything beneath the directory ``path`` is certainly the one for itself."""
        if path in _ROOT:
            return bool(self.patterns)
        number = self._deciding(path)
        return self._differing(number, negated=self._matched(number)).fullmatch(path) is not None

    def _matched(self, number: int) -> bool:
        return number > 0 and not self.patterns[number - 1].negated

    def _find(self, path: str) -> int:
        """The number, from 1, of the pattern that decides about ``path``; 0 when none matches."""
        inherited = self._deciding(path.rpartition("/")[0])
        found = self._regex.fullmatch(path)
        if found is None or found.lastindex is None:
            return inherited
        return max(inherited, len(self.patterns) + 1 - found.lastindex)

    def _deciding(self, directory: str) -> int:
        known = self._last.get(directory)
        if known is None:
            known = self._last[directory] = self._find(directory)
        return known

    def _differing(self, number: int, *, negated: bool) -> re.Pattern[str]:
        """Matches directories beneath which a pattern after ``number`` may decide, of those with or without a ``!``."""
        known = self._above.get((number, negated))
        if known is None:
            later = [pattern.above for pattern in self.patterns[number:] if pattern.negated == negated]
            known = re.compile("|".join(later), re.DOTALL) if later else _NEVER
            self._above[number, negated] = known
        return known


def translate(pattern: str, *, double: bool = True) -> str:
    """The regular expression of a pattern; ``double`` gives ``**`` its meaning. Raises BadPattern."""
    if double and pattern.startswith("**") and not has_wildcard(pattern[2:]) and pattern[2:3] != "/":
        return ".*" + re.escape(pattern[2:])  # the end of a path, wherever its last name begins
    out = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*" and double and pattern.startswith("**", at):
            at += 3 if pattern.startswith("/", at + 2) else 2
            while pattern.startswith("**/", at):
                at += 3  # says the same again
            out.append(".*" if at >= len(pattern) else "(?:.*/)?")
        elif (
            char == "*"
            and (fixed := _TO_NEXT_STAR.match(pattern, at + 1))
            and not pattern.startswith("**", fixed.end())
        ):
            # What is fixed is taken where it first comes: nothing later can be gained by taking it further on.
            run = "".join("[^/]" if each == "?" else re.escape(each) for each in fixed[0])
            out.append(f"(?>[^/]*?{run})")
            at = fixed.end()
        elif char == "[":
            expression, at = _bracket(pattern, at)
            out.append(expression)
        elif char == "\\":
            if at + 1 == len(pattern):
                raise BadPattern(f"{pattern!r} is not a pattern", why="nothing follows the last \\")
            out.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            if char != "*" or not out or out[-1] != _STAR:  # a star after a star says the same again
                out.append({"*": _STAR, "?": "[^/]"}.get(char) or re.escape(char))
            at += 1
    return "".join(out)


def _bracket(pattern: str, start: int) -> tuple[str, int]:
    """The regular expression of the character class that begins at ``start``, and where it ends."""
    at = start + 1
    negated = pattern.startswith("^", at)
    at += negated
    items: list[str] = []
    ranges = 0
    while not (ranges and pattern.startswith("]", at)):
        low, at = _class_char(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _class_char(pattern, at + 1)
        if low <= high:
            items.append(f"{re.escape(low)}-{re.escape(high)}")
        ranges += 1
    inside = "".join(items)
    if negated:
        return f"[^{inside}]" if inside else ".", at + 1
    return f"[{inside}]" if inside else "(?!)", at + 1


def _class_char(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern):
        raise BadPattern(f"{pattern!r} is not a pattern", why="a [ is not closed")
    if pattern[at] in "-]":
        raise BadPattern(f"{pattern!r} is not a pattern", why=f"{pattern[at]} stands where a character is due after [")
    if pattern[at] == "\\":
        if at + 1 >= len(pattern):
            raise BadPattern(f"{pattern!r} is not a pattern", why="nothing follows the last \\")
        return pattern[at + 1], at + 2
    return pattern[at], at + 1


def _above(pattern: str) -> str:
    """The regular expression of the directories that a match of ``pattern`` can be in, as far as can be told."""
    names = pattern.split("/")
    nested = ""
    for depth in range(len(names) - 1, -1, -1):
        if "**" in names[depth] or "[" in names[depth] or "\\" in names[depth]:
            nested = ".*"  # from here on any: ** and a character class may go over a /
        elif depth < len(names) - 1:
            nested = translate(names[depth]) + (f"(?:/{nested})?" if nested else "")
    return nested or "(?!)"


def clean(path: str) -> str:
    """``path`` as Go's ``filepath.Clean`` leaves it: no ``.``, ``..`` or empty name that can be done without."""
    cleaned = posixpath.normpath(path) if path else ""
    return cleaned[1:] if cleaned.startswith("//") else cleaned
