"""A real pylife in a subprocess, the default builder made once for the session, and tiny buildpacks in shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PYLIFE = Path(sys.executable).parent / "pylife"


@dataclass(frozen=True)
class Run:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.out)
        return value


@dataclass(frozen=True)
class Pylife:
    """The installed command with one PYLIFE_HOME."""

    home: Path
    prefix: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The words before a command's own."""
        return (*self.prefix, str(PYLIFE))

    def __call__(self, *args: str | Path, code: int = 0, env: dict[str, str] | None = None, timeout: int = 600) -> Run:
        command = [*self.command, *map(str, args)]
        done = subprocess.run(
            command,
            env={**os.environ, "PYLIFE_HOME": str(self.home), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return Run(done.returncode, done.stdout, done.stderr)


def _default_home() -> Path:
    """Where the user's own pylife keeps its store: ``make demo`` has made the stack and the builder there."""
    if home := os.environ.get("PYLIFE_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pylife"


_HOME = _default_home()


@pytest.fixture(scope="session")
def pylife() -> Pylife:
    """pylife with the session's home, whose default builder is made on first use."""
    command = Pylife(_HOME)
    command("builder", "create", timeout=1800)
    return command


@pytest.fixture
def fresh(pylife: Pylife, tmp_path: Path) -> Pylife:
    """pylife with a home of its own that has the stack and the builder and nothing else: no cache, no app image."""
    home = tmp_path / "home"
    for place in ("store", "snapshots"):
        home.mkdir(exist_ok=True)
        subprocess.run(["cp", "-al", pylife.home / place, home / place], check=True)
    # An index is replaced, never written in place, so the linked copy is safe; blobs are immutable.
    return Pylife(home)


BuildpackMaker = Callable[..., Path]


@pytest.fixture
def buildpack(tmp_path: Path) -> BuildpackMaker:
    """A maker of small buildpacks: ``buildpack("acme/a", build="…shell…")`` gives its directory."""

    def make(
        identifier: str,
        *,
        build: str = "exit 0",
        detect: str = "exit 0",
        version: str = "1.0.0",
        api: str = "0.10",
        extra: str = "",
    ) -> Path:
        directory = tmp_path / "buildpacks" / identifier.replace("/", "_")
        (directory / "bin").mkdir(parents=True)
        (directory / "buildpack.toml").write_text(
            f'api = "{api}"\n[buildpack]\nid = "{identifier}"\nversion = "{version}"\nname = "{identifier}"\n{extra}\n'
        )
        for name, body in (("detect", detect), ("build", build)):
            script = directory / "bin" / name
            script.write_text(f"#!/bin/bash\nset -eu\n{body}\n")
            script.chmod(0o755)
        return directory

    return make


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A tiny app directory."""
    directory = tmp_path / "app"
    directory.mkdir()
    (directory / "hello.txt").write_text("hello\n")
    return directory


@pytest.fixture
def image_name(pylife: Pylife) -> Iterator[str]:
    """A name of its own for the test's image, removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    subprocess.run([PYLIFE, "rmi", name], env={**os.environ, "PYLIFE_HOME": str(pylife.home)}, capture_output=True)
