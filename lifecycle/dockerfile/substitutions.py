"""The patterns of ``${name#pattern}``, ``%`` and ``/``: ``*`` and ``?``, and nothing else.

``\\*``, ``\\?`` and ``\\\\`` are literal; ``\\}`` and ``\\/`` are how a brace and a slash get into a pattern. Any other
escape is an error, and ``[`` has no meaning. Neither wildcard matches a line feed.
"""

from __future__ import annotations

import re

_PARTS = re.compile(r"(?s)\\.|.")  # an escape stays before what it escapes


def trim_prefix(value: str, pattern: str, longest: bool) -> str:
    """``value`` without the beginning that ``pattern`` matches; raises ValueError for a pattern that is none."""
    match = _regex(_tokens(pattern), longest).match(value)
    return value[match.end() :] if match else value


def trim_suffix(value: str, pattern: str, longest: bool) -> str:
    """``value`` without the end that ``pattern`` matches: both are read backwards."""
    backwards = "".join(_PARTS.findall(pattern)[::-1])
    match = _regex(_tokens(backwards), longest).match(value[::-1])
    return value[: len(value) - match.end()] if match else value


def replace_first(value: str, pattern: str, replacement: str) -> str:
    """``value`` with the first and longest match replaced, literally."""
    match = _regex(_tokens(pattern), True).search(value)
    return value[: match.start()] + replacement + value[match.end() :] if match else value


def replace_all(value: str, pattern: str, replacement: str) -> str:
    """``value`` with every longest match replaced.

    The replacement is a template as Go's regexp package has them: ``$0`` is the match, any other ``$name`` (there
    are no groups) is empty, ``$$`` is a dollar sign. BuildKit does so, for this form alone.
    """
    return _go_sub(_regex(_tokens(pattern), True), replacement, value)


def _tokens(pattern: str) -> list[str]:
    """Wildcards as themselves, literal characters as a backslash and themselves."""
    tokens = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "\\":
            char = pattern[position : position + 1]
            if char not in ("*", "?", "\\", "}", "/"):
                raise ValueError(f"invalid escape '\\{char}'")
            position += 1
        elif char in "*?":
            tokens.append(char)
            continue
        tokens.append("\\" + char)
    return tokens


def _regex(tokens: list[str], longest: bool) -> re.Pattern[str]:
    """What ``tokens`` match, in time that grows with the value's square at most.

    Each part between stars may be taken where it stands first, for good: that leaves most to the next, and no match
    reaches over a line feed. The last alone decides how long the match is. Only where the pattern itself has a line
    feed must every way be tried.
    """
    parts = [""]
    for token in tokens:
        if token == "*":
            parts.append("")
        else:
            parts[-1] += "." if token == "?" else re.escape(token[1:])
    first, *rest = parts
    if not rest:
        return re.compile(first)
    *middle, last = rest
    star = ".*" if longest else ".*?"
    if "\\\n" in tokens:
        return re.compile(first + "".join([star + part for part in middle if part]) + star + last)
    return re.compile(first + "".join([f"(?>.*?{part})" for part in middle if part]) + star + last)


_TEMPLATE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")


def _go_sub(regex: re.Pattern[str], template: str, value: str) -> str:
    """As Go replaces: an empty match right behind another match is passed over."""

    def fill(whole: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[2] or match[3]
            return "$" if match[1] else whole if name == "0" else ""

        return _TEMPLATE.sub(one, template)

    parts = []
    done = 0
    last_end = -1
    for match in regex.finditer(value):
        if match.end() == match.start() == last_end:
            continue
        parts += [value[done : match.start()], fill(match[0])]
        done = last_end = match.end()
    return "".join(parts) + value[done:]
