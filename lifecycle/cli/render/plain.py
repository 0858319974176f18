"""Progress as lines for a log: nothing is overwritten, nothing is coloured but an error on a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TextIO

from lifecycle.cli.text import amount, colours_wanted, ending, error_block, pairs, plain
from lifecycle.errors import PylifeError
from lifecycle.events import Event, Message, Output, Planned, StepEnded, StepProgress, StepStarted, Summary

_SECONDS_BETWEEN_PROGRESS = 5.0


class QuietRenderer:
    """Shows failures and nothing else."""

    _shows_output = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        if isinstance(event, Message) and event.level == "error":
            self._write(f"error: {plain(event.text)}")

    def error(self, error: PylifeError) -> None:
        self._write(error_block(error, colour=colours_wanted(self._stream), output_shown=self._shows_output))

    def note(self, text: str) -> None:
        self._write(text)

    def pause(self) -> None:
        return None

    def close(self) -> None:
        return None

    def _write(self, text: str) -> None:
        # A log that cannot be written must not end the work, nor may a name that the terminal cannot show.
        data = (text + "\n").encode(self._stream.encoding or "utf-8", "backslashreplace")
        with self._lock:
            try:
                self._stream.write(data.decode(self._stream.encoding or "utf-8"))
                self._stream.flush()
            except (OSError, ValueError):
                return


class PlainRenderer(QuietRenderer):
    """One line when a step begins and ends, one per line of output, and progress every few seconds.

    A step that begins while another one is at work (a layer of a push) is told when it ends; with ``verbose`` also
    when it begins.
    """

    _shows_output = True

    def __init__(self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._verbose = verbose
        self._clock = clock
        self._titles: dict[str, str] = {}
        self._told: dict[str, float] = {}

    def emit(self, event: Event) -> None:
        match event:
            case StepStarted(step, title):
                inner = bool(self._titles)
                self._titles[step] = title
                self._told[step] = self._clock()
                if self._verbose or not inner:
                    self._write(f"==> {plain(title)}")
            case StepProgress(step):
                now = self._clock()
                if now - self._told.get(step, 0.0) >= _SECONDS_BETWEEN_PROGRESS:
                    self._told[step] = now
                    self._write(f"    {self._title(step)}: {amount(event)}")
            case StepEnded(step):
                self._write(f"    {self._title(step)}: {plain(ending(event))}")
                self._titles.pop(step, None)
                self._told.pop(step, None)
            case Output(source, line):
                self._write(f"[{source}] {plain(line)}")
            case Message(text, level):
                if level != "debug" or self._verbose:
                    self._write(plain(text) if level == "info" else f"{level}: {plain(text)}")
            case Planned(lines):
                self._write("\n".join(f"    {plain(line)}" for line in lines))
            case Summary(title, rows):
                self._write(f"\n{plain(title)}\n{pairs(rows, '  ')}")

    def _title(self, step: str) -> str:
        return plain(self._titles.get(step, step))
