"""The installed pylife as a value that the tests of Dockerfiles call."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PYLIFE = Path(sys.executable).parent / "pylife"
REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Pylife:
    """The installed command with one PYLIFE_HOME: called with words, returns what it prints on stdout."""

    home: Path
    prefix: tuple[str, ...] = ()
    program: tuple[str, ...] = (str(PYLIFE),)

    @property
    def command(self) -> tuple[str, ...]:
        """The words before a command's own: ``prefix`` leads to another user or into a container."""
        return (*self.prefix, *self.program)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the command is started with."""
        return {**os.environ, "PYLIFE_HOME": str(self.home)}

    def __call__(self, *args: str | Path, env: dict[str, str] | None = None) -> str:
        done = self.run(*args, env=env)
        assert done.returncode == 0, f"{args}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(
        self, *args: str | Path, env: dict[str, str] | None = None, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The command, however it ends."""
        words = [*self.command, *map(str, args)]
        environ = {**self.environment, **(env or {})}
        done = subprocess.run(words, input=stdin or b"", capture_output=True, env=environ, timeout=900)
        out, err = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(words, done.returncode, out, err)

    def build(self, context: Path, *args: str | Path, env: dict[str, str] | None = None) -> str:
        """``pylife build`` of the Dockerfile in ``context``."""
        return self("build", "--app", context, "--dockerfile", context / "Dockerfile", *args, env=env)
