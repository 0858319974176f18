"""The README's commands: what .ci/run makes of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from lifecycle.cli.table import BY_NAME

ROOT = Path(__file__).resolve().parents[3]


def script() -> str:
    """The shell script that .ci/run makes of the README."""
    command = [sys.executable, ROOT / "scripts" / "readme-commands", "--print"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_every_block_but_make_is_run_and_parses() -> None:
    printed = script()
    assert "pylife build --app samples/python-django" in printed
    assert "BuildRequest" in printed
    assert not [line for line in printed.splitlines() if line.startswith("make ")]
    subprocess.run(["bash", "-n", "-c", printed], check=True)


def test_every_command_named_in_the_readme_exists() -> None:
    named = set(re.findall(r"^pylife ([a-z]+)", script(), re.M))
    assert named
    assert named <= set(BY_NAME)


def test_make_without_a_goal_prints_the_verbs() -> None:
    printed = subprocess.run(["make", "-s", "-C", ROOT], check=True, capture_output=True, text=True).stdout
    for verb in ("setup", "demo", "test", "check", "bench", "docs"):
        assert f"make {verb} " in printed
