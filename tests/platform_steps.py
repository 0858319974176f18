"""The steps of a build as BlueKing's platform finds them in its log.

Source: BlueKing, the step sets "default" and "slug-pilot"; patterns are searched for in the first 1,024 characters of a
line, in either case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step as BlueKing's platform knows it: it begins and is done with a line in which a pattern is found."""

    starts: str
    done: str = ""


DEFAULT_STEPS = (
    Step("Downloading app source code", "Restoring cache..."),
    Step("Restoring cache...", "-----> Compiling app..."),
    Step("-----> Compiling app...", "-----> Discovering process types"),
    Step("-----> Discovering process types", "-----> Compiled slug size is"),
    Step("-----> Compiled slug size is", "Checking for changes inside the cache directory..."),
    Step("Checking for changes inside the cache directory...", "Done: Uploaded cache"),
)
PILOT_STEPS = (
    Step("-----> Step setup begin", r"\s+Step setup done"),
    Step("-----> Step detect begin", r"\s+Step detect done"),
    Step("-----> Step analysis begin", r"\s+Step analysis done"),
    Step("-----> Step build begin", r"\s+Step build done"),
    Step("-----> Running pre-compile hook"),
    Step("-----> Running post-compile hook"),
    Step("-----> Step export begin", r"\s+Step export done"),
    Step("-----> Step finish begin", r"\s+Step finish done"),
)


def follow(steps: Sequence[Step], lines: Sequence[str]) -> list[tuple[int, int]]:
    """The numbers of the lines with which each step begins and is done; -1 where none is, as the platform looks."""
    found = []
    for step in steps:
        starts = [n for n, line in enumerate(lines) if re.search(step.starts, line[:1024], re.IGNORECASE)]
        done = [n for n, line in enumerate(lines) if step.done and re.search(step.done, line[:1024], re.IGNORECASE)]
        found.append((starts[0] if starts else -1, done[0] if done else -1))
    return found
