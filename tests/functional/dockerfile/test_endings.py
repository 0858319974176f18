"""How builds end that cannot succeed: with the right exit code, in words, and with the old image in its place."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfile_command import Pylife

from lifecycle.testing.registry import Drop, DropBody, DropUpload, Fault, FaultyRegistry, failure, html

pytestmark = pytest.mark.functional


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as server:
        yield server


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    return place


def _build(pylife: Pylife, context: Path, text: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    (context / "Dockerfile").write_text(text)
    done = pylife.run("build", "-f", context / "Dockerfile", *args, context)
    assert "Traceback" not in done.stderr and "pylife has a fault" not in done.stderr, done.stderr
    return done


@pytest.fixture
def old(busybox: Pylife, context: Path) -> Iterator[Pylife]:
    """pylife with an image ``demo``, which is the same after the test."""
    assert _build(busybox, context, "FROM base\nRUN echo old > /word\nCMD cat /word\n", "-t", "demo").returncode == 0
    before = busybox("inspect", "demo")
    yield busybox
    assert busybox("inspect", "demo") == before
    assert busybox("run", "demo") == "old\n"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("sh -c 'exit 42'", 42),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("/no/such/thing", 127),
        ("/etc", 126),
    ],
)
def test_a_failing_step_gives_the_build_its_exit_code(old: Pylife, context: Path, command: str, code: int) -> None:
    done = _build(old, context, f"FROM base\nRUN {command}\n", "-t", "demo")
    assert done.returncode == code, done.stderr
    assert "Dockerfile:2" in done.stderr


def test_a_timeout_stops_a_step_and_says_so(old: Pylife, context: Path) -> None:
    begun = time.monotonic()
    done = _build(old, context, "FROM base\nRUN sleep 50 & sleep 51\n", "-t", "demo", "--timeout", "1")
    assert time.monotonic() - begun < 15
    assert done.returncode != 0
    assert "1 s" in done.stderr or "timeout" in done.stderr.lower(), done.stderr
    assert "Dockerfile:2" in done.stderr


def test_a_step_gets_no_more_memory_than_it_may(old: Pylife, context: Path) -> None:
    text = "FROM base\nRUN dd if=/dev/zero of=/dev/null bs=400M count=1\n"
    done = _build(old, context, text, "-t", "demo", "--memory", "100m")
    assert done.returncode != 0
    assert "Dockerfile:2" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_called_one(context: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (context / "data").write_bytes(os.urandom(30_000_000))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", disk], check=True)
    try:
        pylife = Pylife(disk / "home")
        assert _build(pylife, context, "FROM scratch\nCOPY Dockerfile /\n", "-t", "demo").returncode == 0
        before = pylife("inspect", "demo")
        done = _build(pylife, context, "FROM scratch\nCOPY data /\n", "-t", "demo")
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert "fix:" in done.stderr
        assert pylife("inspect", "demo") == before
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a disk that is only read needs root")
def test_a_home_that_cannot_be_written_is_called_so(busybox: Pylife, context: Path) -> None:
    home = busybox.home
    subprocess.run(["mount", "--bind", home, home], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", home], check=True)
        done = _build(busybox, context, "FROM base\nRUN echo new > /word\n", "-t", "demo")
        assert done.returncode != 0
        assert "Read-only" in done.stderr and str(home) in done.stderr
        assert "fix:" in done.stderr
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


@pytest.mark.parametrize(
    ("option", "fault"),
    [
        ("--cache-from", Drop()),
        ("--cache-from", DropBody(1000)),
        ("--cache-from", html()),
        ("--cache-to", html()),
        ("--cache-to", failure(403, "DENIED", "no entry")),
    ],
)
def test_a_broken_cache_is_told_of(
    busybox: Pylife, context: Path, registry: FaultyRegistry, option: str, fault: Fault
) -> None:
    """A cache that cannot be read costs time; one that cannot be written was asked for and is missing."""
    text = "FROM base\nRUN echo new > /word\n"
    place = f"type=registry,ref={registry.address}/cache:1"
    assert _build(busybox, context, text, "-t", "first", "--cache-to", place).returncode == 0
    registry.fault(fault, times=None)
    done = _build(busybox, context, text.replace("new", "newer"), "-t", "demo", option, place)
    if option == "--cache-from":
        assert done.returncode == 0
    else:
        assert registry.address in done.stderr and "fix:" in done.stderr


@pytest.mark.parametrize(
    "fault", [DropUpload(100), html(), failure(403, "DENIED", "no entry")], ids=["cut", "html", "denied"]
)
def test_a_push_that_fails_says_where(old: Pylife, context: Path, registry: FaultyRegistry, fault: Fault) -> None:
    registry.fault(fault, times=None)
    name = f"{registry.address}/demo:1"
    done = _build(old, context, "FROM base\nRUN echo new > /word\n", "-t", name)
    assert done.returncode != 0
    assert registry.address in done.stderr and "fix:" in done.stderr


def test_a_base_that_is_cut_off_says_whose(
    busybox_home: Pylife, pylife_home: Pylife, context: Path, registry: FaultyRegistry
) -> None:
    assert _build(pylife_home, context, "FROM scratch\nCOPY Dockerfile /\n", "-t", "demo").returncode == 0
    before = pylife_home("inspect", "demo")
    busybox_home("copy", "base", f"{registry.address}/base:1")
    registry.fault(DropBody(100), times=None)
    done = _build(pylife_home, context, f"FROM {registry.address}/base:1\nRUN true\n", "-t", "demo")
    assert done.returncode == 1
    assert registry.address in done.stderr and "fix:" in done.stderr
    assert pylife_home("inspect", "demo") == before
