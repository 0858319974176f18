"""Downloads that the builds of one namespace share: what a package manager has fetched for one app serves the next.

$PYLIFE_HOME/cache/shared/<namespace>/<owner> is shown to bin/build where the rung can mount, and named to it in
$PYLIFE_SHARED_CACHE; each client has a directory of its own in it. Whose builds must not see or spoil each other's
downloads, as on a platform for many, belong into namespaces of their own. No layer depends on what is in there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.app.ports import Ports
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.phases.layout import Owner
    from lifecycle.sandbox import Rung

OFF = "off"
KEPT_SECONDS = 30 * 24 * 3600
KEPT_BYTES = 10_000_000_000


@contextlib.contextmanager
def open_shared(ports: Ports, rung: Rung, owner: Owner) -> Iterator[Path | None]:
    """The directory for builds by ``owner``, kept from ``gc`` as long as the block lasts; None where nothing is shared.

    Ids on disk mean the same only on one kind of rung, so each has a directory of its own.
    """
    namespace = ports.settings.cache_namespace.value
    if namespace == OFF or not rung.can_mount:
        yield None
        return
    top = _top(ports)
    directory = top / namespace / f"{rung.storage_key}-{owner.uid}-{owner.gid}"
    for each in (top, directory.parent):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not directory.is_dir():
        directory.mkdir(mode=0o755, exist_ok=True)
        if owner.chown is not None:
            os.chown(directory, *owner.chown)
    with _locked(directory, fcntl.LOCK_SH):
        yield directory


@dataclass(frozen=True, slots=True)
class _Client:
    """The downloads of one client: when they last served a build, and how much they are."""

    used: float
    bytes: int
    path: Path


def collect_shared(ports: Ports, *, now: float | None = None, limit: int = KEPT_BYTES) -> int:
    """Remove downloads that served no build for a month, and the longest unused ones beyond ``limit`` bytes.

    Returns how many clients' were removed. What a build works with meanwhile stays.
    """
    oldest = (time.time() if now is None else now) - KEPT_SECONDS
    total = count = 0
    with contextlib.ExitStack() as held:
        clients = []
        for directory in sorted(_top(ports).glob("*/*/")):
            with contextlib.suppress(BlockingIOError):
                held.enter_context(_locked(directory, fcntl.LOCK_EX | fcntl.LOCK_NB))
                clients += [_measure(path) for path in directory.iterdir() if path.is_dir() and not path.is_symlink()]
        for client in sorted(clients, key=lambda item: item.used, reverse=True):
            total += client.bytes
            if client.used < oldest or total > limit:
                shutil.rmtree(client.path, ignore_errors=True)
                total -= client.bytes
                count += 1
    return count


def _top(ports: Ports) -> Path:
    return ports.caches / "shared"


@contextlib.contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Holds the lock beside ``directory``; in it would be within the reach of builds."""
    descriptor = os.open(f"{directory}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _measure(path: Path) -> _Client:
    """A client's directory: every use of it gives it a new time."""
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return _Client(path.stat().st_mtime, total, path)
