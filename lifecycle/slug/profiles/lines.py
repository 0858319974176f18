"""The forms of line that the family has: titles, bodies and warnings; sizes and times as its tools write them.

The tools of the family begin each line with the escape sequence that moves a terminal's cursor to the first column
(``ESC [1G``), to overwrite what a progress bar may have left there. It is left out here: a slug build writes whole
lines, platforms search for their patterns anywhere in a line, and in a stored log the sequence is dirt.
"""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.dockerfile.history import duration
from lifecycle.slug.moments import Line

Stream = str
"""``stdout`` or ``stderr``."""
Write = Callable[[Stream, str], None]

BODY = "       "


class Lines:
    """What a profile writes with."""

    def __init__(self, write: Write) -> None:
        self.write = write

    def title(self, text: str) -> None:
        self.write("stdout", f"-----> {text}")

    def body(self, text: str) -> None:
        self.write("stdout", BODY + text)

    def warn(self, text: str) -> None:
        for line in text.splitlines():
            self.write("stderr", f" !     {line}".rstrip())

    def output(self, line: Line) -> None:
        """A line of a buildpack or a hook: put where a body stands, unless it is a title or stands there already."""
        text = line.text.rstrip()
        if text and not text.startswith(("--", "==", " !", BODY)):
            text = BODY + text
        self.write(line.stream, text)


class MultiLines(Lines):
    """Lines of the tools that run several buildpacks by heroku-buildpack-multi, whose lines these are."""

    several = False

    def select(self, buildpacks: tuple[str, ...]) -> None:
        self.several = len(buildpacks) > 1

    def framework(self, kind: str) -> None:
        """A buildpack begins to compile."""
        if self.several:
            self.write("stdout", f"=====> Detected Framework: {kind}")

    def release(self, kind: str) -> None:
        """The last buildpack's default process types are the app's."""
        if self.several:
            self.body(f"Using release configuration from last framework ({kind}).")


def du(size: int) -> str:
    """Bytes as ``du -h`` writes them: powers of 1024, rounded up, one decimal below ten: ``8.3M``, ``24M``."""
    if size < 1024:
        return str(size)
    unit = 1024
    for name in "KMGT":
        tenths = -(-size * 10 // unit)
        if tenths < 100:
            return f"{tenths // 10}.{tenths % 10}{name}"
        whole = -(-size // unit)
        if whole < 1024 or name == "T":
            return f"{whole}{name}"
        unit *= 1024
    raise AssertionError("the last unit takes any size")


def humanized(size: int) -> str:
    """Bytes in powers of 1000, one decimal below ten, as slug-pilot writes them: ``3.6 kB``, ``24 MB``."""
    if size < 10:
        return f"{size} B"
    number = float(size)
    for name in ("B", "kB", "MB", "GB", "TB"):
        shown = int(number * 10 + 0.5) / 10
        if shown < 1000 or name == "TB":
            return f"{shown:.1f} {name}" if shown < 10 else f"{shown:.0f} {name}"
        number /= 1000
    raise AssertionError("the last unit takes any size")


def elapsed(seconds: float) -> str:
    """A duration as Go prints it, to the microsecond below a second and to the millisecond above: ``1m2.5s``."""
    grain = 1_000_000 if seconds >= 1 else 1_000
    return duration(round(seconds * 1_000_000_000 / grain) * grain)


def types(names: tuple[str, ...]) -> str:
    return ", ".join(names)
