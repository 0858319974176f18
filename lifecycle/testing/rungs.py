"""Running a test's body on each rung of the sandbox, in a forked child: the test's own process stays where it is."""

from __future__ import annotations

import os
import pickle
import pwd
import shutil
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from lifecycle.errors import PylifeError
from lifecycle.events import RecordingSink
from lifecycle.sandbox import Isolation, Sandbox, enter, kernel, probe
from lifecycle.sandbox.entering import lent_ranges

RungKind = Literal["mountns", "userns", "subids", "single", "chroot"]
NOBODY = 65534


class RungMissing(Exception):
    """This machine or user cannot have the rung; the text says why."""


def lent_user() -> int | None:
    """An ordinary user to whom /etc/subuid lends ids, None when there is none."""
    for entry in pwd.getpwall():
        if entry.pw_uid and lent_ranges("/etc/subuid", entry.pw_uid) and lent_ranges("/etc/subgid", entry.pw_uid):
            return entry.pw_uid
    return None


def on_rung(kind: RungKind, body: Callable[[Sandbox, Path], Any]) -> Any:
    """What ``body`` returns when it is given a sandbox on that rung and an empty directory of its own.

    ``mountns``, ``userns`` and ``chroot`` are root's; ``subids`` and ``single`` an ordinary user's, whom a child of
    root becomes. ``sandbox.sink`` records. Raises RungMissing, and AssertionError with the traceback of the child.
    """
    root = os.geteuid() == 0
    if kind in ("mountns", "chroot", "userns") and not root:
        raise RungMissing(f"{kind} needs root")
    user = lent_user() if kind == "subids" and root else NOBODY
    if user is None:
        raise RungMissing("no user here is lent subordinate ids: useradd -m makes one")
    place = Path(tempfile.mkdtemp(prefix="pylife-rung-"))
    place.chmod(0o777)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer: tuple[str, Any]
        try:
            os.close(read)
            if root and kind in ("subids", "single"):
                _become(user)
            answer = _inside(kind, place, body)
        except BaseException:
            answer = ("failed", traceback.format_exc())
        with os.fdopen(write, "wb") as out:
            pickle.dump(answer, out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as got:
        raw = got.read()
    os.waitpid(pid, 0)
    shutil.rmtree(place, ignore_errors=True)
    outcome, value = pickle.loads(raw) if raw else ("failed", "the child ended without an answer")
    if outcome == "missing":
        raise RungMissing(value)
    if outcome != "ok":
        raise AssertionError(value)
    return value


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)


def _inside(kind: RungKind, place: Path, body: Callable[[Sandbox, Path], Any]) -> tuple[str, Any]:
    wanted = {"mountns": Isolation.MOUNTNS, "chroot": Isolation.CHROOT}.get(kind, Isolation.USERNS)
    try:
        rung = probe(wanted, place)
    except PylifeError as error:
        return ("missing", str(error))
    if kind in ("subids", "single") and rung.ids != kind:
        return ("missing", f"this user's rung has {rung.ids} ids: {'; '.join(rung.reasons)}")
    enter(rung)
    os.umask(0o022)
    with Sandbox(rung, RecordingSink()) as sandbox:
        return ("ok", body(sandbox, place))
