"""A pylife of the test's own, without a builder: Dockerfiles need none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PYLIFE = Path(sys.executable).parent / "pylife"


@pytest.fixture
def pylife_home(tmp_path: Path) -> Callable[..., str]:
    """``pylife`` with a home of its own: called with words, returns what it prints; a failure fails the test."""

    def call(*args: str | Path, env: dict[str, str] | None = None) -> str:
        words = [str(PYLIFE), *map(str, args)]
        environ = {**os.environ, "PYLIFE_HOME": str(tmp_path / "pylife-home"), **(env or {})}
        done = subprocess.run(words, capture_output=True, text=True, env=environ, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{words}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    return call
