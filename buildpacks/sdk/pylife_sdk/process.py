"""Running another program: its lines passed on as they come, and kept for whoever must explain a failure."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence

from pylife_sdk.output import note

Show = Callable[[str], bool]
"""Whether a line (with its end) is worth showing."""


class Ran:
    """How a program ended: ``code`` is negative for a signal, ``output`` all it wrote to stdout and stderr."""

    __slots__ = ("code", "output")

    def __init__(self, code: int, output: str) -> None:
        self.code, self.output = code, output

    @property
    def tail(self) -> str:
        """The last thirty lines."""
        return "\n".join(self.output.strip().splitlines()[-30:])


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    show: Show | None = lambda line: True,
) -> Ran:
    """Runs ``command`` to its end with nothing on stdin: a program that asks finds no answer and cannot hang.

    ``show`` None keeps it silent. A failure is the caller's to explain; raises FileNotFoundError when it is not there.
    """
    seen: list[str] = []
    with subprocess.Popen(
        list(command),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line)
            if show is not None and show(line):
                note(line.rstrip())
    return Ran(process.returncode, "".join(seen))
