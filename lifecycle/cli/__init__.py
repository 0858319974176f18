"""The command ``pylife``. Importing this loads click and little else: commands and renderers load when used."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from lifecycle.cli.command import Terminated
from lifecycle.cli.program import run

__all__ = ["main", "run"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line of this process, or ``arguments`` in its place, and exit with its code."""
    gc.set_threshold(50_000)  # a command lives briefly: looking for cycles while modules load only costs
    sys.setswitchinterval(0.001)  # a step's system calls must not wait 5 ms each while another thread packs a layer
    signal.signal(signal.SIGTERM, _on_sigterm)
    sys.exit(run(arguments))


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise Terminated
