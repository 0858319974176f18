"""Builds that are ended from outside, by Ctrl-C, a CI system or the kernel: nothing stays, and the next one works."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dockerfile_command import Pylife

from lifecycle.testing.registry import FaultyRegistry, Slow

pytestmark = pytest.mark.functional

SECRET = "hunter2-of-the-interrupted"
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
RUNGS = ["auto", "chroot"] if os.geteuid() == 0 else ["auto"]
_numbers = itertools.count(1)


@pytest.fixture
def seconds() -> str:
    """What the step of this test sleeps, as no other one does."""
    return f"7{os.getpid():07}{next(_numbers)}"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    (tmp_path / "secret").write_text(SECRET)
    return place


def _start(pylife: Pylife, *args: str | Path) -> subprocess.Popen[str]:
    """The command in a session of its own, what it says on both outputs in one pipe."""
    return subprocess.Popen(
        [*pylife.command, *map(str, args)],
        env=pylife.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _read_until(process: subprocess.Popen[str], marker: str) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if marker in line:
            return
    raise AssertionError(f"it ended before it said {marker!r}:\n{''.join(said)}")


def _end(process: subprocess.Popen[str], number: int, *, group: bool = False) -> int:
    """The exit code after the signal, and only once all that shared the outputs have let go of them."""
    (os.killpg if group else os.kill)(process.pid, number)
    said, _ = process.communicate(timeout=30)
    assert "Traceback" not in said and "fault" not in said and SECRET not in said
    return process.returncode


@contextmanager
def _build(pylife: Pylife, context: Path, *args: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = _start(pylife, "build", "--app", context, "-f", context / "Dockerfile", "--progress", "plain", *args)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _wait_until(true: Callable[[], object], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


def _traces(*marks: str) -> list[str]:
    """Processes that have a mark in their words, their variables or, as a mount, in their namespace."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        for kind in ("cmdline", "environ", "mountinfo"):
            try:
                text = Path("/proc", name, kind).read_bytes()
            except OSError:
                continue
            found += [f"{name} {kind} {mark}" for mark in marks if mark.encode() in text]
    return found


def _mounts_of(place: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(place) in line]


def _holders(home: Path, value: str) -> list[str]:
    files = (path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path) for path in files if value.encode() in path.read_bytes()]


def _partial(home: Path) -> list[str]:
    """What is under construction in a home, or was when somebody was killed."""
    yards = [*home.glob("snapshots/*/*/partial"), *home.glob("snapshots/*/*/roots"), home / "scratch"]
    found = [str(path) for yard in yards if yard.is_dir() for path in yard.iterdir()]
    adopted = {os.path.basename(path.readlink()) for path in home.glob("snapshots/*/*/layers/*") if path.is_symlink()}
    found += [str(path) for path in home.glob("snapshots/*/*/diffs/*") if path.name not in adopted]
    return found + [str(path) for path in home.rglob(".pylife-partial-*")]


def _is_packing(store: Path) -> bool:
    return any(name.startswith(".pylife-partial-") for place in (store, store / "blobs") for name in os.listdir(place))


def _nothing_is_left(pylife: Pylife, *marks: str) -> None:
    _wait_until(lambda: not _traces(str(pylife.home), *marks))
    assert _mounts_of(pylife.home) == []
    pylife("gc")
    assert _holders(pylife.home, SECRET) == []
    assert _partial(pylife.home) == []


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("isolation", RUNGS)
def test_a_run_that_is_ended_leaves_nothing(
    busybox: Pylife, context: Path, seconds: str, isolation: str, number: signal.Signals
) -> None:
    mounts = "--mount=type=secret,id=s --mount=type=cache,target=/c,id=c --mount=target=/src,rw"
    script = f"cat /run/secrets/s > /src/x; (setsid sleep {seconds} &); echo it is $(echo up); sleep {seconds}"
    (context / "Dockerfile").write_text(f"FROM base\nRUN echo first > /first\nRUN {mounts} {script}\n")
    with _build(
        busybox, context, "-t", "demo", "--isolation", isolation, "--secret", f"id=s,src={context.parent / 'secret'}"
    ) as process:
        _read_until(process, "it is up")
        assert _traces(f"sleep\0{seconds}")
        assert _end(process, number) == SIGNALS[number]
    assert busybox.run("inspect", "demo").returncode != 0
    _nothing_is_left(busybox, f"sleep\0{seconds}")
    (context / "Dockerfile").write_text(
        "FROM base\nRUN echo first > /first\nRUN echo again >> /first\nCMD cat /first\n"
    )
    busybox.build(context, "-t", "demo", "--isolation", isolation)
    assert busybox("run", "demo") == "first\nagain\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_next_build_on_another_rung_removes_the_secret_of_one_killed_in_chroot(
    busybox: Pylife, context: Path, seconds: str
) -> None:
    (context / "Dockerfile").write_text(
        f"FROM base\nRUN --mount=type=secret,id=s echo it is $(echo up); sleep {seconds}\n"
    )
    (context / "Next").write_text("FROM base\nRUN echo next\n")
    secret = f"id=s,src={context.parent / 'secret'}"
    with _build(busybox, context, "-t", "demo", "--isolation", "chroot", "--secret", secret) as process:
        _read_until(process, "it is up")
        busybox("build", "--app", context, "-f", context / "Next", "-t", "beside", "--isolation", "mountns")
        assert len(_holders(busybox.home, SECRET)) == 1, "a build that goes on keeps its root"
        _end(process, signal.SIGKILL)
    _wait_until(lambda: not _traces(f"sleep\0{seconds}"))
    assert len(_holders(busybox.home, SECRET)) == 1
    args = ("--isolation", "mountns", "--no-cache")
    busybox("build", "--app", context, "-f", context / "Next", "-t", "beside", *args)
    assert _holders(busybox.home, SECRET) == []


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_copy_that_is_ended_leaves_nothing(busybox: Pylife, context: Path, number: signal.Signals) -> None:
    (context / "Dockerfile").write_text("FROM base\nCOPY big /big\nCMD wc -c < /big\n")
    with (context / "big").open("wb") as file:
        file.write(os.urandom(1_000_000))
        file.truncate(250_000_000)
    with _build(busybox, context, "-t", "demo") as process:
        _wait_until(lambda: process.poll() is not None or _is_packing(busybox.home / "store"))
        began = time.monotonic()
        assert _end(process, number) == SIGNALS[number]
        assert time.monotonic() - began < 1, "it went on packing"
    assert busybox.run("inspect", "demo").returncode != 0
    _nothing_is_left(busybox)
    with (context / "big").open("r+b") as file:
        file.truncate(1_000_000)
    busybox.build(context, "-t", "demo")
    busybox("validate", "demo")
    assert busybox("run", "demo").split()[0] == "1000000"


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("way", ["push", "pull"])
def test_a_build_that_is_ended_at_a_slow_registry_leaves_nothing(
    busybox: Pylife, context: Path, way: str, number: signal.Signals
) -> None:
    with FaultyRegistry() as registry:
        base, name = f"{registry.address}/base:1", f"{registry.address}/demo:1"
        (context / "Dockerfile").write_text("FROM base\nRUN echo pushed > /word\nCMD cat /word\n")
        words: tuple[str, ...] = ("-t", name, "--push")
        method, path = "POST", "/demo/blobs/uploads"
        if way == "pull":
            busybox("copy", "base", base)
            busybox("rmi", "base")
            busybox("gc")
            (context / "Dockerfile").write_text(f"FROM {base}\nRUN echo pulled > /word\nCMD cat /word\n")
            words, method, path = ("-t", "demo"), "GET", "/base/blobs/"
            registry.seen.clear()
        registry.fault(Slow(3), method=method, path=path)
        with _build(busybox, context, *words) as process:
            _wait_until(lambda: process.poll() is not None or registry.requests(method, path))
            began = time.monotonic()
            assert _end(process, number) == SIGNALS[number]
            assert time.monotonic() - began < 2.5, "it waited for the registry"
        if way == "pull":
            assert busybox.run("inspect", "demo").returncode != 0
        else:
            assert not [seen for seen in registry.requests("PUT") if "/manifests/" in seen.path]
        _nothing_is_left(busybox)
        busybox.build(context, *words)
        busybox("validate", f"docker://{name}" if way == "push" else "demo")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("isolation", RUNGS)
def test_a_signal_to_the_whole_job_ends_it_as_a_signal_to_pylife_does(
    busybox: Pylife, context: Path, seconds: str, isolation: str, number: signal.Signals
) -> None:
    script = f"echo it is $(echo up); sleep {seconds}"
    with _start(busybox, "run", "--isolation", isolation, "base", "--", "/bin/sh", "-c", script) as process:
        _read_until(process, "it is up")
        assert _end(process, number, group=True) == SIGNALS[number]
    (context / "Dockerfile").write_text(f"FROM base\nRUN {script}\n")
    with _build(busybox, context, "-t", "demo", "--isolation", isolation) as process:
        _read_until(process, "it is up")
        assert _end(process, number, group=True) == SIGNALS[number]
    _nothing_is_left(busybox, f"sleep\0{seconds}")
