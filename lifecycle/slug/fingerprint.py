"""What a directory holds, as one short text: whether a build changed its cache is told by it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lifecycle.archive import Entry, Kind, OnDisk, walk

_BATCH = 8 << 20
_CHUNK = 1 << 20
_KINDS = {Kind.FILE: b"file", Kind.DIR: b"dir", Kind.SYMLINK: b"link"}


def fingerprint(directory: Path) -> str:
    """The sha256 (hex) of what is in a directory: paths, kinds, modes, link targets and contents.

    Times and owners do not count, nor the directory's own mode, sockets, devices and FIFOs; a second name of a file is
    a file like any other. Empty for a directory without any file or link. Files are read in several threads. Raises
    Unreadable, FileChanged.
    """
    total, files = hashlib.sha256(), 0
    with ThreadPoolExecutor(os.cpu_count(), "fingerprint") as pool:
        for batch in pool.map(_hash, _batches(directory)):
            for entry, value in batch:
                files += entry.kind is not Kind.DIR
                parts = (_KINDS[entry.kind], b"%o" % entry.mode, entry.name, value)
                total.update(b"\0".join(parts) + b"\0")
    return total.hexdigest() if files else ""


_Seen = tuple[Entry, OnDisk | None]


def _batches(directory: Path) -> Iterator[list[_Seen]]:
    """What is in the directory, in order, cut so that a batch is worth a thread's while."""
    batch: list[_Seen] = []
    size = 0
    for entry, content in walk(directory, hard_links=False, xattrs=False):
        if entry.name == b"." or entry.kind not in _KINDS:
            continue
        batch.append((entry, content if isinstance(content, OnDisk) else None))
        size += entry.size + 4096
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def _hash(batch: list[_Seen]) -> list[tuple[Entry, bytes]]:
    return [(entry, entry.linkname if content is None else _digest(content)) for entry, content in batch]


def _digest(content: OnDisk) -> bytes:
    total = hashlib.sha256()
    with content() as file:
        while data := file.read(_CHUNK):
            total.update(data)
    return total.hexdigest().encode()
