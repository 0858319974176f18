"""Running a test's body on a rung, in a forked child, so that pytest itself stays where it is."""

from __future__ import annotations

import contextlib
import os
import pickle
import pwd
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.archive import Ownership
from lifecycle.errors import PylifeError
from lifecycle.sandbox import kernel
from lifecycle.sandbox.entering import enter
from lifecycle.sandbox.mounts import KernelMounts
from lifecycle.sandbox.probing import probe
from lifecycle.sandbox.rung import Isolation, Rung
from lifecycle.snapshot.base import Snapshotter
from lifecycle.snapshot.copies import CopySnapshots
from lifecycle.snapshot.overlay import OverlaySnapshots

KINDS = ["overlay", "overlay-user", "overlay-subids", "copies"]
Body = Callable[[Snapshotter, Path], Any]
RunOn = Callable[[str, Body], Any]


def make(kind: str, home: Path, rung: Rung) -> Snapshotter | None:
    ownership = Ownership.SELF if rung.ids == "single" else Ownership.KEEP
    if kind == "copies":
        return CopySnapshots(home, ownership)
    if rung.overlay is None:
        return None
    return OverlaySnapshots(home, KernelMounts(rung.overlay == "user"), rung.overlay, ownership)


@pytest.fixture
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="pylife-snap-"))
    place.chmod(0o777)
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def run_on(home: Path) -> RunOn:
    """A function that runs a body with a snapshotter of the named kind, in a child, and returns its result."""

    def run(wanted_kind: str, body: Body) -> Any:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            answer: tuple[str, Any]
            try:
                answer = _answer(wanted_kind, body, home / wanted_kind)
            except PylifeError as error:
                answer = ("error", (type(error).__name__, str(error)))
            except BaseException:
                answer = ("fail", traceback.format_exc())
            with os.fdopen(write, "wb") as out:
                pickle.dump(answer, out)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as got:
            raw = got.read()
        os.waitpid(pid, 0)
        kind, value = pickle.loads(raw)
        if kind == "skip":
            pytest.skip(value)
        if kind == "fail":
            pytest.fail(value, pytrace=False)
        if kind == "error":
            raise AssertionError(f"{value[0]}: {value[1]}")
        return value

    return run


def _answer(kind: str, body: Body, home: Path) -> tuple[str, Any]:
    home.mkdir(exist_ok=True)
    home.chmod(0o777)
    if kind == "overlay-subids" and os.geteuid() == 0:
        lent = _user_with_lent_ids()
        if lent is None:
            return "skip", "no user of this host has lent ids (/etc/subuid, newuidmap)"
        _become(lent)
    if kind == "overlay-user" and os.geteuid() == 0:
        _become(65534)
    rung = probe(Isolation.CHROOT if kind == "copies" and os.geteuid() == 0 else Isolation.AUTO, home)
    enter(rung)
    if kind == "overlay-subids" and rung.ids != "subids":
        return "skip", "; ".join(rung.reasons)
    store = make(kind, home, rung)
    if store is None:
        return "skip", "; ".join(rung.reasons)
    try:
        return "ok", body(store, home)
    finally:
        store.close()


def _user_with_lent_ids() -> int | None:
    if shutil.which("newuidmap") is None:
        return None
    with contextlib.suppress(OSError), open("/etc/subuid", encoding="utf-8") as lines:
        for line in lines:
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(line.split(":")[0]).pw_uid
    return None


def _become(uid: int) -> None:
    gid = uid if uid == 65534 else pwd.getpwuid(uid).pw_gid
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)


@pytest.fixture(params=KINDS)
def on_rung(request: pytest.FixtureRequest, run_on: RunOn) -> Callable[[Body], Any]:
    """The same, on each kind in turn."""
    return lambda body: run_on(request.param, body)
