"""The lines of an image's history, in BuildKit's words.

Programs read them (``docker history``, scanners, base-image finders), so the words are kept to the letter.
Source: BuildKit's dockerfile2llb (``commitToHistory`` and its callers); values are printed as Go prints them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

COMMENT = "buildkit.dockerfile.v0"
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_ESCAPES |= {'"': '\\"', "\\": "\\\\"}
_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "m"))


def line(created_by: str, *, layer: bool) -> dict[str, object]:
    """One line of history as the document has it, its time still to be filled in."""
    entry: dict[str, object] = {"created_by": created_by, "comment": COMMENT}
    return entry if layer else {**entry, "empty_layer": True}


def quoted(text: str) -> str:
    """``text`` as Go's ``%q`` prints it."""
    return '"' + "".join(_quoted_character(character) for character in text) + '"'


def _quoted_character(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character == " " or (character.isprintable() and not character.isspace()):
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted_list(words: Iterable[str]) -> str:
    """Words as Go's ``%q`` prints a list of strings."""
    return f"[{' '.join(quoted(word) for word in words)}]"


def plain_list(words: Iterable[str]) -> str:
    """Words as Go's ``%v`` prints a list of strings."""
    return f"[{' '.join(words)}]"


def duration(nanoseconds: int) -> str:
    """A duration as Go prints it: ``1m30s``, ``1.5s``, ``300ms``, ``0s``."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < 1_000_000_000:
        unit, name = next((unit, name) for unit, name in ((1_000_000, "ms"), (1000, "µs"), (1, "ns")) if rest >= unit)
        return sign + _decimal(rest, unit) + name
    text = ""
    for unit, name in _UNITS:
        if rest >= unit or text:
            text += f"{rest // unit}{name}"
            rest %= unit
    return sign + text + _decimal(rest, 1_000_000_000) + "s"


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    if not part:
        return str(whole)
    return f"{whole}.{str(part).rjust(len(str(unit)) - 1, '0').rstrip('0')}"


def run(argv: Sequence[str], arguments: Mapping[str, str]) -> str:
    """``RUN``, with the arguments declared so far and their values as the step sees them."""
    declared = [f"|{len(arguments)}", *(f"{name}={value}" for name, value in arguments.items())] if arguments else []
    return f"RUN {' '.join([*declared, *argv])} # buildkit"


def copy(
    keyword: str,
    sources: Iterable[str],
    destination: str,
    *,
    parents: bool = False,
    chown: str = "",
    chmod: str = "",
    documents: Iterable[str] = (),
) -> str:
    """``COPY`` or ``ADD``; ``documents`` are the names of its heredocs."""
    words = [keyword]
    words += ["--parents"] if parents else []
    words += [f"--chown={chown}"] if chown else []
    words += [f"--chmod={chmod}"] if chmod else []
    words += sources
    words += [f"<<{name}" for name in documents]
    return f"{' '.join([*words, destination])} # buildkit"


def pairs(keyword: str, items: Iterable[tuple[str, str | None]]) -> str:
    """``ENV``, ``LABEL`` and ``ARG``; a value of None is an argument without one."""
    return " ".join([keyword, *(name if value is None else f"{name}={value}" for name, value in items)])


def health_check(
    test: Sequence[str], interval: int, timeout: int, start_period: int, start_interval: int, retries: int
) -> str:
    """``HEALTHCHECK``, times in nanoseconds."""
    return (
        f"HEALTHCHECK {{Test:{plain_list(test)} Interval:{duration(interval)} Timeout:{duration(timeout)} "
        f"StartPeriod:{duration(start_period)} StartInterval:{duration(start_interval)} Retries:{retries}}}"
    )
