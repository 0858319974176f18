"""Progress on a terminal: bars for the steps at work, everything else scrolls above them."""

from __future__ import annotations

import threading
import zlib
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from lifecycle.cli.text import amount, colours_wanted, ending, error_block, pairs, plain
from lifecycle.errors import PylifeError
from lifecycle.events import Event, Message, Output, Planned, StepEnded, StepProgress, StepStarted, Summary

_COLOURS = ("cyan", "magenta", "blue", "green", "yellow", "bright_cyan", "bright_magenta", "bright_blue")
_MARKS = {"done": ("✓", "green"), "reused": ("✓", "cyan"), "skipped": ("-", "dim"), "failed": ("✗", "red")}
_LEVELS = {"debug": "dim", "info": "", "warning": "yellow", "error": "red"}


class TtyRenderer:
    """Shows the active steps at the bottom of the terminal and clears them at the end."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._console = Console(
            file=stream, force_terminal=True, no_color=not colours_wanted(stream), highlight=False, soft_wrap=True
        )
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._titles: dict[str, str] = {}
        self._inner: set[str] = set()  # steps that began while another one was at work

    def emit(self, event: Event) -> None:
        with self._lock:
            match event:
                case StepStarted(step, title):
                    if self._titles:
                        self._inner.add(step)
                    self._titles[step] = plain(title)
                    self._task(step)
                case StepProgress(step, done, total) if step in self._titles:
                    self._bars().update(self._task(step), completed=done, total=total, amount=amount(event))
                case StepEnded(step, outcome):
                    if step in self._tasks:
                        self._bars().remove_task(self._tasks.pop(step))
                    title = self._titles.pop(step, step)
                    if step not in self._inner or outcome == "failed" or self._verbose:
                        mark, style = _MARKS[outcome]
                        self._print(Text.assemble((mark, style), f" {title} ", (plain(ending(event)), "dim")))
                    self._inner.discard(step)
                    if not self._tasks:
                        self.pause()
                case Output(source, line):
                    prefix = (f"[{source}] ", _colour(source))
                    self._print(Text.assemble(prefix, Text.from_ansi(line)))
                case Message(text, level) if level != "debug" or self._verbose:
                    shown = plain(text) if level == "info" else f"{level}: {plain(text)}"
                    self._print(Text(shown, style=_LEVELS[level]))
                case Planned(lines):
                    self._print(Text("\n".join(f"  {plain(line)}" for line in lines)))
                case Summary(title, rows):
                    self.pause()
                    self._print(Text.assemble("\n", (plain(title), "bold"), "\n", pairs(rows, "  ")))

    def error(self, error: PylifeError) -> None:
        with self._lock:
            self.pause()
            block = error_block(error, colour=colours_wanted(self._stream), output_shown=True)
            self._stream.write(block + "\n")
            self._stream.flush()

    def note(self, text: str) -> None:
        with self._lock:
            self.pause()
            self._print(Text(text))

    def pause(self) -> None:
        with self._lock:
            if self._progress is not None:
                self._progress.stop()
                self._progress = None
                self._tasks.clear()

    def close(self) -> None:
        self.pause()

    def _bars(self) -> Progress:
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.fields[indent]}"),
                SpinnerColumn(),
                TextColumn("{task.description}", table_column=Column(no_wrap=True, max_width=50)),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[amount]}", style="dim", table_column=Column(no_wrap=True)),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
                refresh_per_second=8,
            )
            self._progress.start()
        return self._progress

    def _task(self, step: str) -> TaskID:
        """The bar of a step at work, shown anew after a pause."""
        if step not in self._tasks:
            indent = "  " if step in self._inner else ""
            self._tasks[step] = self._bars().add_task(self._titles[step], total=None, amount="", indent=indent)
        return self._tasks[step]

    def _print(self, text: Text) -> None:
        self._console.print(text)


def _colour(source: str) -> str:
    """The same colour for the same source in every run."""
    return _COLOURS[zlib.crc32(source.encode(errors="replace")) % len(_COLOURS)]
