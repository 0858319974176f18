"""Text for people: sizes, times, aligned tables, near words, and the block that shows an error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from lifecycle.errors import PylifeError
from lifecycle.events import StepEnded, StepProgress

# CSI and OSC sequences, other escapes, and control characters other than tab: in a log they do harm and no good.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|[\x00-\x08\x0a-\x1f\x7f]")


def plain(line: str) -> str:
    """``line`` without escape sequences and control characters."""
    return _CONTROL.sub("", line)


def colours_wanted(stream: TextIO) -> bool:
    """True when ``stream`` is a terminal that shows colours and nobody asked for none (NO_COLOR)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def size(count: int) -> str:
    """Bytes in decimal units, as registries count them: ``999 B``, ``12.3 MB``."""
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.95 or unit == "TB":
            break
    return f"{number:.1f} {unit}"


def amount(progress: StepProgress) -> str:
    """``3.1 MB of 40.0 MB`` or ``12 of 80 files``."""
    if progress.unit == "bytes":
        done = size(progress.done)
        return done if progress.total is None else f"{done} of {size(progress.total)}"
    done = str(progress.done) if progress.total is None else f"{progress.done} of {progress.total}"
    return f"{done} {progress.unit}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def ending(event: StepEnded) -> str:
    """How a step ended: ``done in 0.4 s (3 layers reused)``."""
    text = f"{event.outcome} in {duration(event.seconds)}"
    return f"{text} ({event.detail})" if event.detail else text


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Aligned columns, two blanks apart; the columns in ``right`` are flush right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    flush_right = set(right)
    return "\n".join(
        "  ".join(
            cell.rjust(widths[column]) if column in flush_right else cell.ljust(widths[column])
            for column, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def pairs(rows: Iterable[tuple[str, str]], indent: str = "") -> str:
    """Labels and values below each other, the values aligned; a value's further lines stand under its first."""
    held = list(rows)
    width = max((len(label) for label, _ in held), default=0)
    gap = "\n" + indent + " " * (width + 2)
    return "\n".join(f"{indent}{label.ljust(width)}  {value.replace(chr(10), gap)}".rstrip() for label, value in held)


def some(names: Iterable[str], limit: int = 5) -> str:
    """Names for a message: the first few, and how many more there are."""
    known = list(names)
    shown = ", ".join(known[:limit])
    return f"{shown} and {len(known) - limit} more" if len(known) > limit else shown


def suggestion(word: str, known: Sequence[str], otherwise: str) -> str:
    """``Did you mean …?`` when something known is near ``word``, else ``otherwise``."""
    import difflib

    near = difflib.get_close_matches(word, known, 1, 0.7)
    return f"Did you mean `{near[0]}`?" if near else otherwise


def error_block(error: PylifeError, *, colour: bool, output_shown: bool = False) -> str:
    """The error as people read it: what, why, where, what was seen, what to do, and its code.

    What was seen is left out where it stands above already, as output that was shown.
    """
    red, bold, dim, reset = ("\x1b[31;1m", "\x1b[1m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "", "")
    lines = [f"{red}error:{reset} {bold}{_safe(error.what)}{reset}"]
    if error.why:
        lines.append(f"  why:   {_below(error.why, 9)}")
    if error.where:
        lines.append(f"  where: {_safe(error.where)}")
    if error.details and not (output_shown and error.details_are_output):
        lines += ["", *(f"    {plain(line)}" for line in error.details.splitlines()), ""]
    lines.append(f"  fix:   {_below(error.fix, 9)}")
    lines.append(f"{dim}  ({error.code}; `pylife explain {error.code}` says more){reset}")
    return "\n".join(lines)


def _safe(text: str) -> str:
    return "\n".join(plain(line) for line in text.splitlines())


def _below(text: str, column: int) -> str:
    return _safe(text).replace("\n", "\n" + " " * column)
