"""Cache mounts on disk: directories that outlive builds, found by name, shared or held alone by file locks.

``$PYLIFE_HOME/cache/mounts/<storage key>/<namespace>/<id>/`` holds ``id`` (the name as it is written), and for each
instance N, of which only ``sharing=private`` makes more than one, a directory ``N`` and its lock ``N.lock``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from lifecycle.dockerfile.running.errors import BadCacheArchive
from lifecycle.record import dataclass
from lifecycle.snapshot.places import Lock, remove_tree

if TYPE_CHECKING:
    from lifecycle.archive.entry import Member

Sharing = Literal["shared", "private", "locked"]
_LONGEST = 200
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class CacheDirectory:
    """One cache mount: what it is called, and the directory that holds its instances."""

    storage_key: str
    namespace: str
    id: str
    path: str

    def instance(self, number: int) -> str:
        """Where instance ``number`` is, or would be."""
        return os.path.join(self.path, str(number))

    def instances(self) -> list[int]:
        """The numbers of the instances that are there."""
        try:
            return sorted(int(name) for name in os.listdir(self.path) if name.isdigit())
        except OSError:
            return []

    def used(self) -> float:
        """When it was last used, in seconds since 1970; 0 when never."""
        times = [0.0]
        for number in self.instances():
            with contextlib.suppress(OSError):
                times.append(os.stat(self.instance(number) + ".lock").st_mtime)
        return max(times)

    def size(self) -> int:
        """The bytes that its files take on disk."""
        total = 0
        for number in self.instances():
            for here, directories, files in os.walk(self.instance(number)):
                for name in (*directories, *files):
                    with contextlib.suppress(OSError):
                        total += os.lstat(os.path.join(here, name)).st_blocks * 512
        return total


class HeldCache:
    """An instance of a cache mount that a step may use until ``release``."""

    def __init__(self, path: str, lock: Lock) -> None:
        self.path = path
        self._lock = lock

    def release(self) -> None:
        """Let others have it. Idempotent."""
        self._lock.release()


def cache_directory(home: Path, storage_key: str, id: str, namespace: str = "") -> CacheDirectory:
    """The cache mount ``id`` of ``namespace``, whether it is there or not."""
    space = namespace or _DEFAULT
    path = os.path.join(home, "cache", "mounts", storage_key, _file_name(space), _file_name(id))
    return CacheDirectory(storage_key, space, id, path)


def hold_cache(
    cache: CacheDirectory, sharing: Sharing, make: Callable[[str], None], waiting: Callable[[], None]
) -> HeldCache:
    """An instance of ``cache``, made by ``make`` (given the path of a new, empty directory) when it is not there.

    ``waiting`` is called once before waiting for whoever holds it. Raises OSError and what ``make`` raises.
    """
    os.makedirs(cache.path, mode=0o755, exist_ok=True)
    _note_id(cache)
    number = 0
    while True:
        lock = Lock.take(cache.instance(number) + ".lock", shared=sharing == "shared", wait=False)
        if lock is None and sharing == "private":
            number += 1
            continue
        if lock is None:
            waiting()
            lock = Lock.take(cache.instance(number) + ".lock", shared=sharing == "shared")
            assert lock is not None
        try:
            os.utime(lock.path)
            _see_to(cache, number, make)
        except BaseException:
            lock.release()
            raise
        return HeldCache(cache.instance(number), lock)


def _see_to(cache: CacheDirectory, number: int, make: Callable[[str], None]) -> None:
    place = cache.instance(number)
    if os.path.isdir(place):
        return
    making = Lock.take(os.path.join(cache.path, "new.lock"))
    assert making is not None
    try:
        if os.path.isdir(place):
            return
        partial = place + ".partial"
        remove_tree(partial)
        os.mkdir(partial, 0o755)
        make(partial)
        os.rename(partial, place)
    finally:
        making.release()


def list_caches(home: Path) -> list[CacheDirectory]:
    """Every cache mount that there is, sorted by name."""
    base = os.path.join(home, "cache", "mounts")
    found = []
    for storage_key in _names(base):
        for space in _names(os.path.join(base, storage_key)):
            for name in _names(os.path.join(base, storage_key, space)):
                path = os.path.join(base, storage_key, space, name)
                with contextlib.suppress(OSError), open(os.path.join(path, "id"), encoding="utf-8") as file:
                    namespace, _, id = file.read().partition("\n")
                    found.append(CacheDirectory(storage_key, namespace, id, path))
    return sorted(found, key=lambda cache: (cache.namespace, cache.id, cache.storage_key))


def remove_cache(cache: CacheDirectory) -> bool:
    """Remove a cache mount; False when a step uses it."""
    numbers = cache.instances()
    for number in numbers:
        lock = Lock.take(cache.instance(number) + ".lock", wait=False)
        if lock is None:
            return False
        remove_tree(cache.instance(number))
        lock.release(remove=True)
    remove_tree(cache.path)
    return True


def export_cache(cache: CacheDirectory) -> Iterator[Member]:
    """The content of a cache mount as members of an archive, its root first; nothing when it is not there.

    It is held, shared, for as long as the members are being read.
    """
    from lifecycle.archive.directory import walk

    lock = Lock.take(cache.instance(0) + ".lock", shared=True) if os.path.isdir(cache.path) else None
    try:
        if lock is not None and os.path.isdir(cache.instance(0)):
            yield from walk(cache.instance(0), mtime=None)
    finally:
        if lock is not None:
            lock.release()


def import_cache(cache: CacheDirectory, stream: BinaryIO, *, own: bool = True) -> bool:
    """Fill a cache mount with an uncompressed tar, unless it is there already: False then.

    ``own`` gives files the owners of the archive. Raises BadCacheArchive; what was unpacked so far goes again.
    """
    from lifecycle.archive.extraction import Ownership, extract

    fresh = False

    def make(place: str) -> None:
        nonlocal fresh
        fresh = True
        extract(stream, place, ownership=Ownership.KEEP if own else Ownership.SELF)

    try:
        hold_cache(cache, "locked", make, lambda: None).release()
    except Exception as error:
        if not fresh:
            raise
        remove_tree(cache.instance(0) + ".partial")
        raise BadCacheArchive(f"The cache mount {cache.id!r} cannot be read back", why=str(error)) from error
    return fresh


def _file_name(name: str) -> str:
    """``name`` as one path component: readable where it can be."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"%{c.encode().hex()}" for c in name)
    return kept if 0 < len(kept) <= _LONGEST else "%" + hashlib.sha256(name.encode()).hexdigest()


def _note_id(cache: CacheDirectory) -> None:
    path = os.path.join(cache.path, "id")
    if not os.path.exists(path):
        partial = f"{path}.{os.urandom(4).hex()}"
        with open(partial, "w", encoding="utf-8") as file:
            file.write(f"{cache.namespace}\n{cache.id}")
        os.rename(partial, path)


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
