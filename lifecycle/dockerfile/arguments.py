"""The shapes that arguments have: flags, words, name-value pairs, JSON arrays, or the line as it is."""

from __future__ import annotations

import re
from collections.abc import Callable

from lifecycle.dockerfile.text import NOT_UTF8, SPACE, json_strings

Words = tuple[tuple[str, ...], bool]  # the arguments, and whether they were a JSON array

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_SPACES = re.compile(f"[{SPACE}]+")


class ArgumentError(ValueError):
    """Arguments that do not have the shape that their instruction needs; ``word`` is the one to point at."""

    def __init__(self, what: str, *, word: str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.word = word
        self.fix = fix


def split_keyword(line: str) -> tuple[str, str]:
    """The first word of ``line``, and what follows it."""
    keyword, *rest = _BLANKS.split(line.strip(SPACE), maxsplit=1)
    return keyword, "".join(rest)


def split_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The leading words that begin with ``--``, quotes and escapes gone, and the rest; ``--`` alone ends them."""
    flags: list[str] = []
    position = 0
    while True:
        while position < len(text) and text[position] in SPACE:
            position += 1
        if not text.startswith("--", position):
            return tuple(flags), text[position:].strip(SPACE)
        word, quoted, position = _flag(text, position, escape)
        if word == "--":
            return tuple(flags), text[position:].strip(SPACE)
        if word or quoted:
            flags.append(word)


def _flag(text: str, position: int, escape: str) -> tuple[str, bool, int]:
    """The flag at ``position``, whether any of it was quoted, and where it ends; an escape at the end is dropped."""
    word, quote, quoted = [], "", False
    while position < len(text):
        char = text[position]
        if char == quote:
            quote = ""
        elif not quote and char in SPACE:
            break
        elif not quote and char in "'\"":
            quote, quoted = char, True
        else:
            if char == escape:
                position += 1
                char = text[position : position + 1]
            word.append(char)
        position += 1
    return "".join(word), quoted, position


def arguments_of(keyword: str, text: str, escape: str) -> Words:
    """The arguments of an instruction in its shape; one empty word for a keyword that is none."""
    shape = _SHAPES.get(keyword)
    return shape(text, escape) if shape else (("",), False)


def split_words(text: str, escape: str) -> tuple[str, ...]:
    """The words of ``text``, where quotes and escapes (both are kept) protect white space."""
    text = NOT_UTF8.sub("\ufffd", text)
    words, word, quote = [], "", ""
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if not quote and char in SPACE:
            if word:
                words.append(word)
            word = ""
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == escape and quote != "'":
            if position == len(text):
                break
            char += text[position]
            position += 1
        word += char
    if word:
        words.append(word)
    return tuple(words)


def _line(text: str, escape: str) -> Words:
    return ((text,) if text else ()), False


def _blank_separated(text: str, escape: str) -> Words:
    return (tuple(_BLANKS.split(text)) if text else ()), False


def _names_or_pairs(text: str, escape: str) -> Words:
    return split_words(text, escape), False


def _json_or_line(text: str, escape: str) -> Words:
    elements = _elements(text)
    return _line(text, escape) if elements is None else (elements, True)


def _json_or_words(text: str, escape: str) -> Words:
    elements = _elements(text)
    return _blank_separated(text, escape) if elements is None else (elements, True)


def _elements(text: str) -> tuple[str, ...] | None:
    try:
        return json_strings(text)
    except ValueError as error:
        raise ArgumentError(str(error), word="[", fix="Put every element into double quotes.") from None


def _health_check(text: str, escape: str) -> Words:
    if not text:
        return (), False
    kind, *command = _SPACES.split(text, maxsplit=1)
    words, json = _json_or_line("".join(command), escape)
    return (kind, *words), json


def _pairs(name: str) -> Callable[[str, str], Words]:
    def read(text: str, escape: str) -> Words:
        words = split_words(text, escape)
        if not words:
            return (), False
        if "=" not in words[0]:
            key, *value = _BLANKS.split(text, maxsplit=1)
            if not value:
                raise ArgumentError(f"{name} must have two arguments", word=key, fix=f"Write `{name} {key}=value`.")
            return (key, value[0], ""), False
        parts: list[str] = []
        for number, word in enumerate(words):
            key, equals, text = word.partition("=")
            if not equals:
                what = f"{word} has no `=`: each pair of {name} must be of the form name=value"
                fix = "Write name=value, and put a value with spaces into quotes."
                before = " ".join(words[:number])
                if before.rfind("${") > before.rfind("}"):
                    start = next(item for item in reversed(words[:number]) if "${" in item).partition("=")[0]
                    fix = f'The braces hold a space: put the value into quotes, {start}="${{…}}".'
                raise ArgumentError(what, word=word, fix=fix)
            parts += [key, text, "="]
        return tuple(parts), False

    return read


_SHAPES: dict[str, Callable[[str, str], Words]] = {
    "add": _json_or_words,
    "arg": _names_or_pairs,
    "cmd": _json_or_line,
    "copy": _json_or_words,
    "entrypoint": _json_or_line,
    "env": _pairs("ENV"),
    "expose": _blank_separated,
    "from": _blank_separated,
    "healthcheck": _health_check,
    "label": _pairs("LABEL"),
    "maintainer": _line,
    "run": _json_or_line,
    "shell": _json_or_line,
    "stopsignal": _line,
    "user": _line,
    "volume": _json_or_words,
    "workdir": _line,
}
