"""Running a test's body on a rung, in a forked child, so that pytest itself stays where it is."""

from __future__ import annotations

import os
import pickle
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
from lifecycle.sandbox.enter import enter
from lifecycle.sandbox.mounts import KernelMounts
from lifecycle.sandbox.probe import probe
from lifecycle.sandbox.rung import Isolation, Rung
from lifecycle.snapshot.base import Snapshotter
from lifecycle.snapshot.copies import CopySnapshots
from lifecycle.snapshot.overlay import OverlaySnapshots

KINDS = ["overlay", "overlay-user", "copies"]


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


@pytest.fixture(params=KINDS)
def on_rung(request: pytest.FixtureRequest, home: Path) -> Callable[[Callable[[Snapshotter, Path], Any]], Any]:
    """A function that runs a body with a snapshotter of one kind, in a child, and returns its result."""

    def run(body: Callable[[Snapshotter, Path], Any]) -> Any:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            answer: tuple[str, Any]
            try:
                if request.param == "overlay-user" and os.geteuid() == 0:
                    os.setgroups([])
                    os.setresgid(65534, 65534, 65534)
                    os.setresuid(65534, 65534, 65534)
                    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
                wanted = Isolation.CHROOT if request.param == "copies" and os.geteuid() == 0 else Isolation.AUTO
                rung = probe(wanted, home)
                enter(rung)
                store = make(request.param, home, rung)
                answer = ("skip", "; ".join(rung.reasons)) if store is None else ("ok", body(store, home))
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
