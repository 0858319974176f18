"""Versions and ranges as npm means them: what ``engines`` and version files say.

A range is alternatives divided by ``||``; an alternative is comparators that must all hold, or a hyphen range. A
comparator with parts left out (``1.2``, ``1.x``, ``*``) stands for all that begin so. A prerelease satisfies a range
only where a comparator of the same major, minor and patch names one, too.
Source: semver.org 2.0.0 for precedence; npm's documentation of ranges ("semver for node").
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Bound = tuple[str, "Version"]

_NUMBER = r"(?:0|[1-9]\d*)"
_IDENTIFIER = rf"(?:\d*[A-Za-z-][A-Za-z0-9-]*|{_NUMBER})"
_PRERELEASE = rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
_BUILD = r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_PART = rf"({_NUMBER}|[xX*])"
_PARTIAL = rf"v?\s*{_PART}(?:\.{_PART}(?:\.{_PART}{_PRERELEASE}{_BUILD})?)?"
_VERSION = re.compile(rf"\s*[v=]*\s*({_NUMBER})\.({_NUMBER})\.({_NUMBER}){_PRERELEASE}{_BUILD}\s*")
_HYPHEN = re.compile(rf"\s*{_PARTIAL}\s+-\s+{_PARTIAL}\s*")
_COMPARATOR = re.compile(rf"\s*(~>?|\^|[<>]\s*=?|=)?\s*{_PARTIAL}(?=\s|$)")
_LOWEST: tuple[int | str, ...] = (0,)
_LARGEST = 2**53 - 1  # npm's numbers are JavaScript's


class Version:
    """A version. Comparisons leave build metadata aside; a prerelease comes before its release."""

    __slots__ = ("key", "main", "pre")

    def __init__(self, main: tuple[int, int, int], pre: tuple[int | str, ...] = ()) -> None:
        self.main, self.pre = main, pre
        # Numbers come before words, and a longer list after its own beginning.
        ranks = tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in pre)
        self.key = (main, 0 if pre else 1, ranks)

    def __str__(self) -> str:
        text = ".".join(map(str, self.main))
        return f"{text}-{'.'.join(map(str, self.pre))}" if self.pre else text


_ZERO = Version((0, 0, 0))


class RangeError(ValueError):
    """The text is no range."""


def parse_version(text: str) -> Version | None:
    """A complete version, None when the text is anything else."""
    match = _VERSION.fullmatch(text)
    if not match or len(text) > 256:
        return None
    main = (int(match[1]), int(match[2]), int(match[3]))
    return Version(main, _prerelease(match[4])) if max(main) <= _LARGEST else None


class Range:
    """A range of versions. Raises ``RangeError`` for a text that is none."""

    __slots__ = ("_alternatives", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        alternatives = [_alternative(part) for part in text.split("||")]
        # One that sets no bound says all that there is to say: any release.
        self._alternatives = alternatives if all(alternatives) else [[]]

    def allows(self, version: str | Version) -> bool:
        """Whether a version lies in the range; what is no version lies in none."""
        parsed = parse_version(version) if isinstance(version, str) else version
        return parsed is not None and any(_holds(bounds, parsed) for bounds in self._alternatives)

    def newest(self, versions: Iterable[str]) -> str | None:
        """The newest of ``versions`` in the range."""
        found = [(parsed.key, text) for text in versions if (parsed := parse_version(text)) and self.allows(parsed)]
        return max(found)[1] if found else None

    @property
    def open_ended(self) -> bool:
        """Whether the range also holds every major version that is still to come."""
        return self.allows(Version((_LARGEST, 0, 0)))


def _holds(bounds: list[Bound], version: Version) -> bool:
    for sign, bound in bounds:
        same = version.key == bound.key
        above = version.key > bound.key
        if not {">": above, ">=": above or same, "<": not above and not same, "<=": not above, "=": same}[sign]:
            return False
    if not version.pre:
        return True
    return any(bound.pre and bound.main == version.main for _, bound in bounds)


def _prerelease(text: str | None) -> tuple[int | str, ...]:
    return tuple(int(part) if part.isdecimal() else part for part in text.split(".")) if text else ()


def _alternative(text: str) -> list[Bound]:
    """The bounds that one alternative sets; an empty one sets none."""
    if match := _HYPHEN.fullmatch(text):
        parts = match.groups()
        return _from(">=", parts[:4], lenient=True) + _from("<=", parts[4:], lenient=True)
    bounds: list[Bound] = []  # a comparator that any release fulfils sets none
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if not match:
            raise RangeError(text[position:].strip() or text)
        bounds += _from("".join((match[1] or "").split()), match.groups()[1:])
        position = match.end()
    return [(sign, bound) for sign, bound in bounds if (sign, bound.key) != (">=", _ZERO.key)]


def _from(sign: str, parts: tuple[str | None, ...], *, lenient: bool = False) -> list[Bound]:
    """The bounds of one comparator: ``parts`` are major, minor, patch and prerelease as far as they are written.

    A number after an ``x`` is an error but where npm allows it (``lenient``: in hyphen ranges).
    """
    numbers: list[int] = []
    for part in parts[:3]:
        if part is None or part in "xX*":
            break
        numbers.append(int(part))
        if numbers[-1] > _LARGEST:
            raise RangeError(part)
    given = len(numbers)
    after_x = any(part is not None and part not in "xX*" for part in parts[given:3])
    if after_x and not lenient and sign not in ("^", "~", "~>"):
        raise RangeError(".".join(part for part in parts[:3] if part is not None))
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    exact = Version((major, minor, patch), _prerelease(parts[3]) if given == 3 else ())
    # The first version that no longer begins as the written parts do.
    after = [None, (major + 1, 0, 0), (major, minor + 1, 0), (major, minor, patch + 1)][given]
    if after is None:
        return [("<", Version((0, 0, 0), _LOWEST))] if sign in ("<", ">") else []
    if sign == "^":
        leading = next((n for n, number in enumerate(numbers) if number), given - 1)
        return [(">=", exact), ("<", _before([(major + 1, 0, 0), (major, minor + 1, 0), after][leading]))]
    if sign in ("~", "~>"):
        return [(">=", exact), ("<", _before(after if given < 3 else (major, minor + 1, 0)))]
    if given == 3:
        return [(sign or "=", exact)]
    if sign == ">":
        return [(">=", Version(after))]
    if sign == ">=":
        return [(">=", exact)]
    if sign == "<":
        return [("<", _before((major, minor, 0)))]
    if sign == "<=":
        return [("<", _before(after))]
    return [(">=", exact), ("<", _before(after))]


def _before(main: tuple[int, int, int]) -> Version:
    """Just below ``main`` and all its prereleases."""
    return Version(main, _LOWEST)
