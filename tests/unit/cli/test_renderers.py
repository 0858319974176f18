"""Renderers: what each makes of the same events."""

from __future__ import annotations

import io
import json
import os
import pty
import threading

import pytest

from lifecycle.cli.render import choose
from lifecycle.cli.render.json import JsonRenderer
from lifecycle.cli.render.plain import PlainRenderer, QuietRenderer
from lifecycle.cli.render.tty import TtyRenderer
from lifecycle.errors import PylifeError
from lifecycle.events import Event, Message, Output, Planned, StepEnded, StepProgress, StepStarted, Summary

EVENTS: list[Event] = [
    StepStarted("build", "Build"),
    Message("hidden", "debug"),
    Output("pylife/python", "\x1b[32mInstalling\x1b[0m"),
    StepStarted("build/layer", "Layer venv"),
    StepProgress("build/layer", 10, 20),
    StepEnded("build/layer", "reused", 0.1),
    StepEnded("build", "done", 2.0, "1 layer reused"),
    Message("something is odd", "warning"),
    Summary("Built demo", (("digest", "sha256:1"), ("size", "3 B")), {"digest": "sha256:1"}),
]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_tells_steps_output_and_summary_in_order() -> None:
    stream = io.StringIO()
    renderer = PlainRenderer(stream)
    for event in EVENTS:
        renderer.emit(event)
    assert stream.getvalue().splitlines() == [
        "==> Build",
        "[pylife/python] Installing",
        "    Layer venv: reused in 0.1 s",
        "    Build: done in 2.0 s (1 layer reused)",
        "warning: something is odd",
        "",
        "Built demo",
        "  digest  sha256:1",
        "  size    3 B",
    ]


@pytest.mark.parametrize("make", [PlainRenderer, TtyRenderer])
def test_plan_is_shown_line_by_line_and_harmless(make: type[PlainRenderer | TtyRenderer]) -> None:
    stream = io.StringIO()
    renderer = make(stream)
    renderer.emit(Planned(("a/python 1.0.0", "  command  \x1b[2Jmake"), {"buildpacks": []}))
    renderer.close()
    assert [line.strip() for line in stream.getvalue().splitlines()] == ["a/python 1.0.0", "command  make"]


def test_json_tells_the_plan_as_data() -> None:
    stream = io.StringIO()
    JsonRenderer(stream).emit(Planned(("a",), {"also_matched": ["b"]}))
    event = json.loads(stream.getvalue())
    assert (event["event"], event["data"]) == ("planned", {"also_matched": ["b"]})


def test_plain_verbose_tells_inner_steps_and_debug_messages() -> None:
    stream = io.StringIO()
    renderer = PlainRenderer(stream, verbose=True)
    for event in EVENTS:
        renderer.emit(event)
    assert "==> Layer venv" in stream.getvalue()
    assert "debug: hidden" in stream.getvalue()


def test_plain_progress_comes_every_few_seconds_only() -> None:
    stream, clock = io.StringIO(), Clock()
    renderer = PlainRenderer(stream, clock=clock)
    renderer.emit(StepStarted("push", "Push"))
    for second in range(12):
        clock.now = float(second)
        renderer.emit(StepProgress("push", second * 1_000_000, 12_000_000))
    assert stream.getvalue().splitlines() == [
        "==> Push",
        "    Push: 5.0 MB of 12.0 MB",
        "    Push: 10.0 MB of 12.0 MB",
    ]


def test_quiet_shows_errors_only() -> None:
    stream = io.StringIO()
    renderer = QuietRenderer(stream)
    for event in EVENTS:
        renderer.emit(event)
    assert stream.getvalue() == ""
    renderer.emit(Message("broken", "error"))
    renderer.error(PylifeError("It failed"))
    assert stream.getvalue().startswith("error: broken\nerror: It failed\n")


def test_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    renderer = JsonRenderer(stream)
    for event in EVENTS:
        renderer.emit(event)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "step-started",
        "message",
        "output",
        "step-started",
        "step-progress",
        "step-ended",
        "step-ended",
        "message",
        "summary",
    ]
    assert lines[-1]["data"] == {"digest": "sha256:1"}
    assert lines[-1]["rows"][0] == {"label": "digest", "value": "sha256:1"}
    assert all(line["time"] > 1e9 for line in lines)


def test_json_carries_names_that_are_not_utf8() -> None:
    stream = io.StringIO()
    JsonRenderer(stream).emit(Output("x", os.fsdecode(b"caf\xe9")))
    assert json.loads(stream.getvalue())["line"] == "caf\udce9"


def test_plain_survives_a_stream_that_cannot_show_the_name() -> None:
    raw = io.BytesIO()
    renderer = PlainRenderer(io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    renderer.emit(Output("x", "café \udce9"))
    assert raw.getvalue() == b"[x] caf\\xe9 \\udce9\n"


@pytest.mark.parametrize("make", [PlainRenderer, JsonRenderer, QuietRenderer])
def test_renderer_survives_a_closed_stream(make: type[PlainRenderer | JsonRenderer | QuietRenderer]) -> None:
    stream = io.StringIO()
    renderer = make(stream)
    stream.close()
    renderer.emit(Message("late", "error"))


@pytest.mark.parametrize("make", [PlainRenderer, JsonRenderer])
def test_lines_of_many_threads_never_mix(make: type[PlainRenderer | JsonRenderer]) -> None:
    stream = io.StringIO()
    renderer = make(stream)

    def work(name: str) -> None:
        for _ in range(50):
            renderer.emit(Output(name, name * 20))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 200
    assert all(any(name * 20 in line for name in "abcd") for line in lines)


def on_terminal(events: list[Event], *, no_color: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a terminal gets for ``events``."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1" if no_color else "")
    controller, terminal = pty.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(controller, 4096):
                chunks.append(data)
        except OSError:
            return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(terminal, "w") as stream:
        renderer = choose("auto", quiet=False, verbose=False, stream=stream)
        assert isinstance(renderer, TtyRenderer)
        for event in events:
            renderer.emit(event)
        renderer.error(PylifeError("It failed"))
        renderer.close()
    reader.join(10)
    os.close(controller)
    return b"".join(chunks).decode()


def test_terminal_shows_bars_output_and_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_terminal(EVENTS, no_color=False, monkeypatch=monkeypatch)
    for text in ("[pylife/python]", "Installing", "Layer venv", "Built demo", "1 layer reused", "error:"):
        assert text in shown
    assert "hidden" not in shown
    assert "\x1b[36m" in shown or "\x1b[3" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") >= 0, "the cursor is shown again"


def test_terminal_without_colours_when_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_terminal(EVENTS, no_color=True, monkeypatch=monkeypatch)
    assert "\x1b[3" not in shown.replace("\x1b[3m", "")
    assert "error: It failed" in shown


class Failed(PylifeError):
    code = "test.failed"
    details_are_output = True


@pytest.mark.parametrize(
    ("make", "times"), [(PlainRenderer, 1), (TtyRenderer, 1), (QuietRenderer, 1), (JsonRenderer, 2)]
)
def test_output_that_was_shown_is_not_shown_again_with_the_error(
    make: type[PlainRenderer | TtyRenderer | QuietRenderer | JsonRenderer], times: int
) -> None:
    stream = io.StringIO()
    renderer = make(stream)
    renderer.emit(Output("a/python", "no such package"))
    renderer.error(Failed("It failed", details="no such package", fix="Correct it."))
    renderer.close()
    assert stream.getvalue().count("no such package") == times
    assert "Correct it." in stream.getvalue()


@pytest.mark.parametrize("make", [PlainRenderer, TtyRenderer, QuietRenderer, JsonRenderer])
def test_details_that_are_no_output_are_always_shown(
    make: type[PlainRenderer | TtyRenderer | QuietRenderer | JsonRenderer],
) -> None:
    stream = io.StringIO()
    renderer = make(stream)
    renderer.error(PylifeError("It failed", details="a listing"))
    renderer.close()
    assert "a listing" in stream.getvalue()


@pytest.mark.parametrize("progress", ["auto", "tty"])
def test_without_a_terminal_progress_is_plain(progress: str) -> None:
    assert type(choose(progress, quiet=False, verbose=False, stream=io.StringIO())) is PlainRenderer
