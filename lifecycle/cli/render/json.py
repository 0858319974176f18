"""Progress for programs: one JSON object a line on stderr; the result stays on stdout.

Every object has ``event`` (``step-started``, ``step-progress``, ``step-ended``, ``output``, ``message``,
``planned``, ``summary``, ``error``, ``note``), ``time`` (seconds since 1970) and the fields of that event.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
from typing import TextIO

from lifecycle.errors import PylifeError
from lifecycle.events import Event, Message, StepProgress, Summary

_PROGRESS_SECONDS = 0.5
_CAPITAL = re.compile(r"(?<!^)([A-Z])")


class JsonRenderer:
    """Writes every event as one line; progress of one step at most twice a second."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}

    def emit(self, event: Event) -> None:
        if self._quiet and not (isinstance(event, Message) and event.level == "error"):
            return
        if isinstance(event, StepProgress):
            now = time.monotonic()
            if event.done != event.total and now - self._told.get(event.step, 0.0) < _PROGRESS_SECONDS:
                return
            self._told[event.step] = now
        fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        if isinstance(event, Summary):
            fields["rows"] = [{"label": label, "value": value} for label, value in event.rows]
        self._write(_CAPITAL.sub(r"-\1", type(event).__name__).lower(), fields)

    def error(self, error: PylifeError) -> None:
        self._write("error", error.as_dict())

    def note(self, text: str) -> None:
        self._write("note", {"text": text})

    def pause(self) -> None:
        return None

    def close(self) -> None:
        return None

    def _write(self, kind: str, fields: dict[str, object]) -> None:
        # ASCII only: a lone surrogate (a file name that is not UTF-8) stays an escape and cannot fail to be written.
        line = json.dumps({"event": kind, "time": round(time.time(), 3), **fields}, default=str)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                return
