"""Reading files for their digests, or not reading them, because they are remembered."""

from __future__ import annotations

import os
from hashlib import sha256

from lifecycle.archive.entry import FILE, Content, Entry, Member, printable
from lifecycle.archive.errors import FileChanged, Unreadable
from lifecycle.archive.filetree import Witnessed
from lifecycle.archive.writer import OnDisk
from lifecycle.dockerfile.copying.memory import Shelf, status_key

_SMALL = 128 << 10
_KEPT = 64 << 20
_LARGE = 4 << 20
_CHUNK = 1 << 20


class Reader:
    """Reads files for their digests. Small ones are kept, up to a bound, so that packing need not read them again."""

    def __init__(self, shelf: Shelf, started: int) -> None:
        self._shelf = shelf
        self._started = started
        self._kept = 0

    def digests(self, listed: list[Member]) -> list[bytes]:
        """The sha256 of each member's content; empty for one without. Puts what it kept into ``listed``."""
        sums = []
        large: list[tuple[int, OnDisk, os.stat_result]] = []
        for number, (entry, content) in enumerate(listed):
            if entry.kind is not FILE or content is None:
                sums.append(b"")
                continue
            if isinstance(content, bytes):
                sums.append(sha256(content).digest())
                continue
            if not isinstance(content, OnDisk):
                sums.append(_of_stream(content, entry))
                continue
            status = content.status if isinstance(content, Witnessed) else _status(content)
            key = status_key(status)
            known = self._shelf.get(key)
            if known is not None:
                sums.append(known)
            elif status.st_size >= _LARGE:
                sums.append(b"")
                large.append((number, content, status))
            else:
                data = _whole(content, status.st_size)
                digest = sha256(data).digest()
                self._shelf.add(key, digest, status.st_ctime_ns, self._started)
                if len(data) <= _SMALL and self._kept + len(data) <= _KEPT:
                    self._kept += len(data)
                    listed[number] = entry, data
                sums.append(digest)
        if large:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(2) as pool:
                found = pool.map(lambda item: _of_file(item[1]), large)
                for (number, _, status), digest in zip(large, found, strict=True):
                    sums[number] = digest
                    self._shelf.add(status_key(status), digest, status.st_ctime_ns, self._started)
        return sums

    def digest(self, content: OnDisk) -> bytes:
        """The sha256 of one file."""
        return self.digests([(Entry(b"x", FILE), content)])[0]


def _status(content: OnDisk) -> os.stat_result:
    try:
        return os.lstat(content.path)
    except OSError as error:
        raise Unreadable(f"{printable(content.path)} cannot be read", why=error.strerror) from error


def _whole(content: OnDisk, size: int) -> bytes:
    fd = content.fd()
    try:
        data = os.read(fd, size) if size else b""
        while len(data) < size and (more := os.read(fd, size - len(data))):
            data += more
    finally:
        os.close(fd)
    if len(data) < size:
        raise FileChanged(f"{printable(content.path)} became shorter while it was being read")
    return data


def _of_file(content: OnDisk) -> bytes:
    total = sha256()
    fd = content.fd()
    try:
        while data := os.read(fd, _CHUNK):
            total.update(data)
    finally:
        os.close(fd)
    return total.digest()


def _of_stream(content: Content, entry: Entry) -> bytes:
    assert callable(content)
    total = sha256()
    with content() as stream:
        left = entry.size
        while left and (data := stream.read(min(left, _CHUNK))):
            left -= len(data)
            total.update(data)
    return total.digest()
