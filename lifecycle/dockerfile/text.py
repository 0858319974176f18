"""Text as a Dockerfile's grammar sees it: white space, Go's quoting, and what a JSON array of strings is."""

from __future__ import annotations

import re

# What Go's unicode.IsSpace holds to be white space; Python's own notion has four control characters more.
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

NOT_UTF8 = re.compile("[\udc80-\udcff]")  # surrogate escapes: bytes that are no text

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def go_quote(text: str) -> str:
    """``text`` as Go's %q prints it; surrogate escapes stand for bytes that are not UTF-8."""
    return '"' + "".join([_quoted(char) for char in text]) + '"'


def _quoted(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_strings(text: str) -> tuple[str, ...] | None:
    """The elements of the JSON array ``text``; None when it is no JSON array, ValueError when one is not a string."""
    text = text.lstrip(SPACE)
    if not text.startswith("["):
        return None
    import json

    def no_constant(name: str) -> None:
        raise json.JSONDecodeError(f"{name} is not JSON", text, 0)

    try:  # the value of a number is never used: it is not a string
        elements = json.loads(text, parse_constant=no_constant, parse_int=_nothing, parse_float=_nothing)
    except json.JSONDecodeError:
        return None
    except RecursionError:
        elements = [None]
    if not all(isinstance(element, str) for element in elements):
        raise ValueError("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple([element if element.isprintable() else _valid(element) for element in elements])


def _nothing(number: str) -> None:
    return None


def _valid(text: str) -> str:
    """``text`` with what is half a character replaced, as Go's decoder does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
