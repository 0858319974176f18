"""What pylife tells while it works: frozen records, and the port that takes them.

Nothing below ``cli`` prints: it emits one of these to a ``Sink``, and a renderer (tty, plain, json) shows it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Literal, Protocol

from lifecycle.record import dataclass

Level = Literal["debug", "info", "warning", "error"]
Outcome = Literal["done", "reused", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A piece of work began. ``step`` is unique in the process (``detect``, ``export/layer/3``); ``title`` is shown."""

    step: str
    title: str


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step is. ``total`` is None while unknown; ``unit`` is ``bytes`` or a plural noun (``files``)."""

    step: str
    done: int
    total: int | None = None
    unit: str = "bytes"


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step is over. ``seconds`` is wall time; ``detail`` is a few words (``3 layers reused``)."""

    step: str
    outcome: Outcome = "done"
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """One line that a process of the build wrote, without its newline. ``source`` is who (``pylife/python``)."""

    source: str
    line: str
    stream: Literal["stdout", "stderr"] = "stdout"


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence for the user. ``code`` is set where a page in docs/errors/ explains it."""

    text: str
    level: Level = "info"
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The last block of a command: ``title`` and ordered (label, value) rows, and ``data`` for the JSON renderer."""

    title: str
    rows: tuple[tuple[str, str], ...] = ()
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a build is going to do, told before it does it: ``lines`` for people, ``data`` for the JSON renderer."""

    lines: tuple[str, ...]
    data: dict[str, object] = field(default_factory=dict)


Event = StepStarted | StepProgress | StepEnded | Output | Message | Planned | Summary


class Sink(Protocol):
    """Takes events; called from any thread, must not raise and must not block for long."""

    def emit(self, event: Event) -> None: ...


class NullSink:
    """A sink that drops everything."""

    def emit(self, event: Event) -> None:
        return None


class RecordingSink:
    """A sink that keeps everything, in order: for tests and for library callers that render later."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


class Step:
    """The handle inside ``step(...)``: report progress, or say how it ended."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self.name = name
        self.outcome: Outcome = "done"
        self.detail = ""

    def progress(self, done: int, total: int | None = None, unit: str = "bytes") -> None:
        self._sink.emit(StepProgress(self.name, done, total, unit))


@contextmanager
def step(sink: Sink, name: str, title: str) -> Iterator[Step]:
    """Emit ``StepStarted`` and, whatever happens inside, ``StepEnded`` with the wall time."""
    began = time.monotonic()
    sink.emit(StepStarted(name, title))
    handle = Step(sink, name)
    try:
        yield handle
    except BaseException:
        sink.emit(StepEnded(name, "failed", time.monotonic() - began, handle.detail))
        raise
    sink.emit(StepEnded(name, handle.outcome, time.monotonic() - began, handle.detail))
