"""/runner/init with nothing to unpack: a command is started all the same, a process of the app is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = "import sys; from lifecycle.compat import main; main(['/runner/init', *sys.argv[1:]])"


def init(tmp_path: Path, *args: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    """What the link does in an image, with an empty directory in place of /app, as the user who runs the tests."""
    app = tmp_path / "app"
    app.mkdir(exist_ok=True)
    own = {"PYLIFE_SLUG_IMAGE": "1", "PYLIFE_HOME": str(tmp_path / "home"), "APP_PATH": str(app)}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *args],
        input=stdin,
        capture_output=True,
        env={**os.environ, **own, "HEROKUISH_SETUIDGUID": "false", **env},
    )


def test_a_command_needs_no_slug(tmp_path: Path) -> None:
    done = init(tmp_path, "bash", "-c", "pwd; env")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0] == str(tmp_path / "app")
    assert f"HOME={tmp_path / 'app'}" in lines
    assert not [line for line in lines if line.startswith(("PYLIFE_HOME=", "PYLIFE_SLUG_IMAGE="))]


@pytest.mark.parametrize("args", [(), ("start", "web")])
def test_a_process_of_the_app_does(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = init(tmp_path, *args)
    assert done.returncode == 2
    assert b"There is no slug to start" in done.stderr
    assert b"slug.missing" in done.stderr


def test_what_comes_on_standard_input_is_a_slug(tmp_path: Path) -> None:
    done = init(tmp_path, "start", "web", stdin=b"no archive")
    assert done.returncode not in (0, 2)
    assert b"slug.bad-archive" in done.stderr
