"""The installed pylife as a value that tests call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PYLIFE = Path(sys.executable).parent / "pylife"


def _default_home() -> Path:
    """Where the user's own pylife keeps its store: ``make demo`` has made the stack and the builder there."""
    if home := os.environ.get("PYLIFE_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pylife"


HOME = _default_home()  # read now: tests do not see the variables of the person who runs them
BUILDER_IMAGES = ("pylife/builder", "pylife/bookworm-run", "pylife/bookworm-build")
SLUG_IMAGES = ("pylife/slug-build", "pylife/slug-run", "pylife/slugbuilder", "pylife/slugrunner")


@dataclass(frozen=True)
class Run:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def raw(self) -> bytes:
        """What was written to standard output, byte by byte."""
        return self.out.encode(errors="surrogateescape")


@dataclass(frozen=True)
class Pylife:
    """The command with one PYLIFE_HOME; ``prefix`` are words that come before it (another user, a container)."""

    home: Path
    prefix: tuple[str, ...] = ()
    program: tuple[str, ...] = field(default=(str(PYLIFE),))

    @property
    def command(self) -> tuple[str, ...]:
        """The words before a command's own."""
        return (*self.prefix, *self.program)

    def __call__(
        self,
        *args: str | Path,
        code: int = 0,
        env: dict[str, str] | None = None,
        timeout: int = 900,
        stdin: bytes = b"",
        cwd: Path | None = None,
    ) -> Run:
        command = [*self.command, *map(str, args)]
        done = subprocess.run(
            command,
            env={**user_environment(self), **(env or {})},
            input=stdin,
            capture_output=True,
            timeout=timeout,
            cwd=cwd,
        )
        out, err = (raw.decode(errors="surrogateescape") for raw in (done.stdout, done.stderr))
        assert done.returncode == code, f"{command}\nexit code {done.returncode}\n{out[-5000:]}\n{err}"
        return Run(done.returncode, out, err)


def copy_images(home: Path, target: Path, names: Iterable[str]) -> Path:
    """Make the home ``target``, with these images of ``home`` and nothing else."""
    (target / "store").mkdir(parents=True)
    for name in names:
        Pylife(home)("copy", name, f"oci:{target / 'store'}:{name}:latest")
    return target


def user_environment(pylife: Pylife) -> dict[str, str]:
    """The variables that the command is started with."""
    return {**os.environ, "PYLIFE_HOME": str(pylife.home)}
