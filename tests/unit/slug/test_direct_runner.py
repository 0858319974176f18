"""Processes of this very container, as the unprivileged user of a build."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from classic import World

from lifecycle.sandbox.errors import ExecFailed, TimedOut
from lifecycle.slug.direct import DirectRunner

NOBODY = (65534, 65534)


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that any user may enter: pytest's own are for its user alone."""
    place = Path(tempfile.mkdtemp(prefix="pylife-direct-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def run(runner: DirectRunner, script: str, env: dict[str, str] | None = None) -> tuple[int, list[tuple[str, str]]]:
    lines: list[tuple[str, str]] = []
    code = runner.run(
        ("/bin/bash", "-c", script), env or {"PATH": os.environ["PATH"]}, "/", lambda *line: lines.append(line)
    )
    return code, lines


def test_exit_codes_and_streams_are_passed_on() -> None:
    code, lines = run(DirectRunner(), "echo out; echo err >&2; exit 5")
    assert code == 5
    assert sorted(lines) == [("stderr", "err"), ("stdout", "out")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_open_its_output_by_name() -> None:
    code, lines = run(DirectRunner(NOBODY), "echo out > /dev/stdout; echo err > /dev/stderr")
    assert (code, sorted(lines)) == (0, [("stderr", "err"), ("stdout", "out")])


def test_a_line_is_what_a_terminal_would_leave_of_it() -> None:
    _, lines = run(DirectRunner(), r"printf 'Fetching\r 10%%\r 100%%\nwindows\r\n\r\nlast\r'")
    assert [line for _, line in lines] == [" 100%", "windows", "", "last"]


def test_death_by_a_signal_is_128_and_its_number() -> None:
    assert run(DirectRunner(), "kill -15 $$")[0] == 143


def test_environment_is_exactly_what_was_given() -> None:
    _, lines = run(DirectRunner(), "exec /usr/bin/env", {"ONLY": "this"})
    assert {line for _, line in lines if not line.startswith(("_=", "PWD=", "SHLVL=", "OLDPWD="))} == {"ONLY=this"}


def test_missing_program_and_missing_directory_are_told_apart() -> None:
    with pytest.raises(ExecFailed, match="/no/such cannot be started: No such file") as caught:
        DirectRunner().run(("/no/such",), {}, "/", lambda *_: None)
    assert caught.value.exit_code == 127
    with pytest.raises(ExecFailed, match="cannot be started in /no/where"):
        DirectRunner().run(("/bin/true",), {}, "/no/where", lambda *_: None)


def test_timeout_stops_the_process_and_what_it_started(tmp_path: Path) -> None:
    runner = DirectRunner(timeout=0.5)
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"timeout of 0\.5 s"):
        run(runner, f"setsid sleep 60 & echo $! >{tmp_path}/pid; sleep 60")
    assert time.monotonic() - began < 20
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_timeout_is_for_all_runs_together() -> None:
    runner = DirectRunner(timeout=1)
    assert run(runner, "sleep 0.8")[0] == 0
    with pytest.raises(TimedOut):
        run(runner, "sleep 0.8")


def test_children_of_before_are_left_alone() -> None:
    import subprocess

    with subprocess.Popen(["sleep", "60"]) as mine:
        run(DirectRunner(), "sleep 60 & true")
        assert mine.poll() is None
        mine.kill()


def test_error_of_whoever_takes_lines_ends_the_process() -> None:
    def refuse(stream: str, line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError, match="first"):
        DirectRunner().run(("/bin/bash", "-c", "echo first; exec sleep 60"), {"PATH": os.environ["PATH"]}, "/", refuse)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_whole_build_runs_as_the_builds_user_and_gives_it_the_app(public: Path) -> None:
    from lifecycle.slug import pipeline

    world = World(public / "world")
    world.source({"main.py": ""})
    world.buildpack("one", compile='id -u; id -G; stat -c %u "$3/KEY"; cat "$3/KEY"; umask; touch "$1/made" "$2/kept"')
    for place in [world.top, *(world.top / name for name in ("app", "build", "cache", "env"))]:
        os.chown(place, *NOBODY)
    compiled = pipeline.compile_slug(
        world.inputs(config_vars={"KEY": "secret\n"}), world.root, DirectRunner(NOBODY), world.paths, NOBODY, world
    )
    assert compiled.used[0][1] == "One"
    assert world.lines == ["65534", "65534", "65534", "secret", "0022"]
    assert (world.top / "app/made").stat().st_uid == 65534
    assert (world.top / "app/.release").stat().st_uid == 65534
