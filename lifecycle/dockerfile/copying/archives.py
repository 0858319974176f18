"""Archives that ADD spreads out: recognised by their content, laid out beneath the destination."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from lifecycle.archive.compress import decompress
from lifecycle.archive.entry import DIR, FILE, HARDLINK, Content, Entry, printable
from lifecycle.archive.errors import BadLink
from lifecycle.archive.filetree import ROOT, join, resolve
from lifecycle.archive.reader import read_tar
from lifecycle.dockerfile.copying.layout import Layout
from lifecycle.errors import PylifeError

_SMALL = 64 << 10
_CHUNK = 1 << 20


def is_archive(content: Content) -> bool:
    """Whether the file is a tar archive with something in it, plain or compressed by gzip, bzip2, xz or zstd."""
    if content is None:
        return False
    try:
        with _opened(content) as stream:
            return next(read_tar(stream), None) is not None
    except PylifeError:
        return False


def spread(
    content: Content, layout: Layout, destination: bytes, owner: tuple[int, int] | None, scratch: Path | None
) -> None:
    """Lay what the archive holds beneath ``destination``, a real directory of ``layout``.

    As if its root were ``destination``: names with ``..``, absolute names and links end there. An entry replaces what
    has its name, save that directories are joined; the destination itself keeps its owner and mode. All belongs to
    ``owner`` where one is given. Large files wait in an unnamed file in ``scratch`` until they are packed.
    Raises what ``read_tar`` raises, BadLink, NotADirectory, ReservedName.
    """
    below = _Below(layout, destination)
    spool = Spool(scratch)
    with _opened(content) as stream:
        for entry, data in read_tar(stream):
            name = _clamped(entry.name)
            if name == ROOT:
                continue
            above, _, last = name.rpartition(b"/")
            above = resolve(below, above or ROOT)
            layout.directories(join(destination, above), 0o755, owner or (0, 0))
            path = join(destination, join(above, last))
            if entry.kind is HARDLINK:
                target = join(destination, resolve(below, _clamped(entry.linkname), last=False))
                found = layout.lookup(target)
                if found is None or found.kind is DIR:
                    shown = "a directory" if found else "neither in the archive nor there"
                    why = f"{printable(entry.linkname)} is {shown}"
                    raise BadLink(f"{printable(entry.name)} is a hard link to nothing", why=why)
                if target != path:
                    layout.link(path, target)
                continue
            uid, gid = owner or (entry.uid, entry.gid)
            kept = Entry(
                path,
                entry.kind,
                entry.mode,
                uid,
                gid,
                entry.size,
                entry.mtime,
                entry.linkname,
                entry.dev_major,
                entry.dev_minor,
                entry.xattrs,
            )
            layout.replace(kept, spool.take(data, entry.size) if entry.kind is FILE else None)


class _Below:
    """A directory of a layout as the root of a filesystem."""

    def __init__(self, layout: Layout, top: bytes) -> None:
        self._layout = layout
        self._top = top

    def lookup(self, path: bytes) -> Entry | None:
        return self._layout.lookup(join(self._top, path))


class Spool:
    """Contents put aside: small ones in memory, the rest in one unnamed file that is gone when nobody needs it."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._file: _Unnamed | None = None

    def take(self, data: BinaryIO, size: int) -> Content:
        """The ``size`` bytes of ``data``, to be read again later."""
        if size <= _SMALL:
            return data.read(size) if size else b""
        if self._file is None:
            self._file = _Unnamed(self._directory)
        start, left = self._file.size, size
        while left and (block := data.read(min(left, _CHUNK))):
            self._file.append(block)
            left -= len(block)
        return _Slice(self._file, start, size)


class _Unnamed:
    """A file without a name, closed with the last reference."""

    def __init__(self, directory: Path | None) -> None:
        import tempfile

        with tempfile.TemporaryFile(dir=directory) as file:
            self.fd = os.dup(file.fileno())
        self.size = 0

    def append(self, data: bytes) -> None:
        """Write ``data`` at the end."""
        while data:
            done = os.pwrite(self.fd, data, self.size)
            self.size += done
            data = data[done:]

    def __del__(self) -> None:
        os.close(self.fd)


class _Slice:
    """A part of an unnamed file, as content."""

    def __init__(self, file: _Unnamed, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size

    def __call__(self) -> BinaryIO:
        return cast(BinaryIO, _SliceReader(self._file, self._start, self._size))


class _SliceReader(io.RawIOBase):
    def __init__(self, file: _Unnamed, start: int, size: int) -> None:
        self._file, self._at, self._left = file, start, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = os.pread(self._file.fd, min(len(buffer), self._left), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        self._left -= len(data)
        return len(data)


@contextmanager
def _opened(content: Content) -> Iterator[BinaryIO]:
    """The content, unpacked if its first bytes are those of a compressed file."""
    assert content is not None
    with io.BytesIO(content) if isinstance(content, bytes) else content() as raw, decompress(raw, old=True) as stream:
        yield stream


def _clamped(name: bytes) -> bytes:
    """``name`` without ``..``: it goes no higher than the root."""
    if b".." not in name:
        return name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts) or ROOT
