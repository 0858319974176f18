"""Path patterns of the two dialects, as regular expressions of nginx, and text as nginx reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# What a wildcard may stand for: no control characters.
_ANY, _SEGMENT = r"[^\x00-\x1f\x7f]*", r"[^/\x00-\x1f\x7f]*"


def glob(pattern: str) -> str:
    """The regular expression of static.json's patterns: ``*`` within a segment, ``**`` across them."""
    parts = re.split(r"(\*\*|\*)", "/" + pattern.lstrip("/"))
    return "^" + "".join({"**": _ANY, "*": _SEGMENT}.get(part) or _escape(part) for part in parts) + "$"


class Placeholders(ValueError):
    """A pattern or a target that cannot be used; the text says why."""


def placeholders(pattern: str, *, page: bool = False) -> tuple[str, dict[str, str]]:
    """The regular expression of ``_redirects``' and ``_headers``' patterns, and the capture of each placeholder.

    ``:name`` stands for a segment, ``*`` at the end for the rest, which is ``:splat``. A trailing slash does not
    matter. nginx encodes numbered captures, as an address in a header needs it, and leaves named ones as they are, as
    the name of a ``page`` needs it.
    """
    if not pattern.startswith("/"):
        raise Placeholders("the path does not begin with /")
    names: dict[str, str] = {}

    def capture(name: str, wildcard: str) -> str:
        number = len(names) + 1
        if number > 9:
            raise Placeholders("more than nine placeholders")
        names[name] = f"${{p{number}}}" if page else f"${number}"
        return f"(?<p{number}>{wildcard})" if page else f"({wildcard})"

    expression = "^"
    *segments, last = pattern[1:].split("/")
    for segment in segments:
        expression += "/" + _segment(segment, names, capture)
    if last == "*":
        expression += f"(?:/{capture('splat', _ANY)})?"
    elif last:
        expression += "/" + _segment(last, names, capture) + "/?"
    else:
        expression += "/?"
    return expression + "$", names


def _segment(segment: str, names: dict[str, str], capture: Callable[[str, str], str]) -> str:
    if segment.startswith(":") and len(segment) > 1:
        if not re.fullmatch(r":[A-Za-z_][A-Za-z0-9_]*", segment) or segment[1:] in names:
            raise Placeholders(f"{segment} is no placeholder, or stands there twice")
        return capture(segment[1:], _SEGMENT.replace("*", "+"))
    if "*" in segment:
        raise Placeholders("* stands for the rest of a path and may only be its last part")
    return _escape(segment)


def fill(target: str, names: dict[str, str]) -> str:
    """A target in nginx's words: its placeholders are captures, all else is meant literally."""
    filled = ""
    for part in re.split(r"(:[A-Za-z_][A-Za-z0-9_]*)", target):
        filled += names[part[1:]] if part[:1] == ":" and part[1:] in names else value(part)
    return filled


def value(text: str) -> str:
    """Text inside double quotes where nginx looks for variables."""
    return key(text).replace("$", "${dollar}")


def key(text: str) -> str:
    """Text inside double quotes where nginx takes it as it is."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _escape(text: str) -> str:
    return "".join(f"\\{c}" if c in r"\.^$|?*+()[]{}#" else c for c in text)


def glob_names(names: Sequence[str], *, whole: bool = False) -> str:
    """The regular expression of paths that are one of ``names``, or (unless ``whole``) lie below one."""
    return f"^/(?:{'|'.join(map(_escape, names))}){'$' if whole else '(?:/|$)'}"
