"""Renderers: how events become what a person, a log or a program reads on stderr."""

from __future__ import annotations

import os
import sys
from typing import Protocol, TextIO

from lifecycle.errors import PylifeError
from lifecycle.events import Sink


class Renderer(Sink, Protocol):
    """A sink that shows what it is given. Every method may be called from any thread."""

    def error(self, error: PylifeError) -> None:
        """Show why the command failed."""

    def note(self, text: str) -> None:
        """Show one line that is neither progress nor failure (``interrupted``)."""

    def pause(self) -> None:
        """Make room for something written to the terminal by others; showing goes on with the next event."""

    def close(self) -> None:
        """Leave the terminal as it was found; idempotent."""


def default_renderer() -> Renderer:
    """What shows a failure before the options are known."""
    from lifecycle.cli.render.plain import PlainRenderer

    return PlainRenderer(sys.stderr)


def choose(progress: str, *, quiet: bool, verbose: bool, stream: TextIO | None = None) -> Renderer:
    """The renderer for ``--progress``: ``tty`` needs a terminal and falls back to ``plain`` where there is none."""
    stream = stream or sys.stderr
    if progress == "json":
        from lifecycle.cli.render.json import JsonRenderer

        return JsonRenderer(stream, quiet=quiet)
    if quiet:
        from lifecycle.cli.render.plain import QuietRenderer

        return QuietRenderer(stream)
    if progress in ("auto", "tty") and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from lifecycle.cli.render.tty import TtyRenderer

        return TtyRenderer(stream, verbose=verbose)
    from lifecycle.cli.render.plain import PlainRenderer

    return PlainRenderer(stream, verbose=verbose)
