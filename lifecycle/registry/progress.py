"""Telling how far a blob is, without flooding the sink."""

from __future__ import annotations

import time

from lifecycle.events import Outcome, Sink, StepEnded, StepProgress, StepStarted

_INTERVAL = 0.1


class BlobProgress:
    """The step of one blob's transfer: begins at once, advances at most ten times a second, ends once."""

    def __init__(self, sink: Sink, step: str, title: str, total: int) -> None:
        self._sink = sink
        self._step = step
        self._total = total
        self._began = self._shown = time.monotonic()
        self._ended = False
        sink.emit(StepStarted(step, title))

    def advance(self, done: int) -> None:
        """``done`` bytes of the blob got through so far."""
        now = time.monotonic()
        if now - self._shown >= _INTERVAL or done >= self._total:
            self._shown = now
            self._sink.emit(StepProgress(self._step, done, self._total))

    def end(self, *, complete: bool, reused: bool = False, detail: str = "") -> None:
        """The transfer is over; only the first call counts."""
        if not self._ended:
            self._ended = True
            outcome: Outcome = "failed" if not complete else "reused" if reused else "done"
            self._sink.emit(StepEnded(self._step, outcome, time.monotonic() - self._began, detail))
