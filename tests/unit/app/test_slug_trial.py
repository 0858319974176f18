"""The web process that ``herokuish test`` starts: waited for, and ended whatever it does."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.app.ports import open_ports
from lifecycle.app.settings import load_settings
from lifecycle.app.slug import trial
from lifecycle.app.slug.inside import NotInside
from lifecycle.app.slug.order import SlugOrder
from lifecycle.app.slug.site import INSIDE
from lifecycle.slug.moments import Moment


class Quiet:
    def tell(self, moment: Moment) -> None:
        return None


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the image's ``/start``; it writes its pid to the file ``pid`` beside it when it is ready."""
    path = tmp_path / "start"
    monkeypatch.setattr(trial, "START", str(path))
    return path


def write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        monkeypatch.setattr(trial, "PORT", number)
        yield number


def test_a_process_that_does_not_heed_sigterm_is_killed(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "GRACE", 0.3)
    write(program, f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done")
    began = time.monotonic()
    with trial._web({"PATH": os.environ["PATH"]}) as pid:
        while not (tmp_path / "pid").exists():
            time.sleep(0.02)
    assert time.monotonic() - began < 10
    assert subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 1


def test_a_process_that_ends_is_not_waited_for(program: Path) -> None:
    write(program, "exit 3")
    with (
        pytest.raises(trial.TrialFailed, match="ended before it listened"),
        trial._web({"PATH": os.environ["PATH"]}) as pid,
    ):
        trial._await_listener(pid)


def test_a_port_that_another_program_has_is_told_before_anything_is_built(port: int) -> None:
    said: list[str] = []
    with pytest.raises(trial.TrialFailed, match=f"listens on port {port} already") as caught:
        trial.trial("/", "", SlugOrder(), {INSIDE: "1"}, open_ports(load_settings({})), Quiet(), said.append)
    assert said == []
    assert str(port) in caught.value.fix


def test_outside_of_an_image_nothing_is_begun() -> None:
    said: list[str] = []
    with pytest.raises(NotInside, match="test is for slug images"):
        trial.trial("/", "", SlugOrder(), {}, open_ports(load_settings({})), Quiet(), said.append)
    assert said == []
