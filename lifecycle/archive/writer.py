"""Writing tar archives whose bytes depend on the entries alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from typing import BinaryIO
from zlib import adler32

from lifecycle.archive.entry import (
    BLOCK,
    CHAR,
    DIR,
    FIFO,
    FILE,
    HARDLINK,
    SYMLINK,
    Content,
    Entry,
    Kind,
    Member,
    SupportsWrite,
    printable,
)
from lifecycle.archive.errors import FileChanged, Unreadable, UnwritableEntry
from lifecycle.archive.sparse import Segment, data_segments, render_map

_TYPE = {
    FILE: b"0",
    HARDLINK: b"1",
    SYMLINK: b"2",
    CHAR: b"3",
    BLOCK: b"4",
    DIR: b"5",
    FIFO: b"6",
}
_BATCH = 512 << 10
_CHUNK = 1 << 20
_ID_MAX = 0o7777777
_SIZE_MAX = 0o77777777777
_ZEROS = bytes(512)
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_HEADERS_KEPT = 4096


class TarStyle(Enum):
    """How names are spelled. GENERAL: ``usr/bin/``; CNB: ``/usr/bin``, as the official lifecycle does."""

    GENERAL = "general"
    CNB = "cnb"


class OnDisk:
    """A file's content by its path on this machine; opened without following a symbolic link."""

    __slots__ = ("path", "sparse")

    def __init__(self, path: bytes, sparse: bool = False) -> None:
        self.path = path
        self.sparse = sparse

    def __call__(self) -> BinaryIO:
        return open(self.fd(), "rb", buffering=0)

    def fd(self) -> int:
        """A new file descriptor, for the caller to close."""
        try:
            return os.open(self.path, _OPEN_FLAGS)
        except FileNotFoundError as error:
            raise FileChanged(f"{printable(self.path)} went away while its layer was being written") from error
        except OSError as error:
            raise Unreadable(f"{printable(self.path)} cannot be read", why=error.strerror) from error


class TarWriter:
    """A tar stream being written: ``add`` entries in the order wanted, then ``finish``.

    The bytes are those of Go's archive/tar given the same names: USTAR where the entry fits, else one PAX header;
    two zero blocks at the end and no padding to a record. Memory is bounded whatever the size of a file. With
    ``sparse`` (GENERAL only) files that have holes on disk are written with a map of them, in GNU's format 1.0:
    smaller, but then the bytes depend on where the file system put the holes. With
    ``mtime`` all entries have that time.
    Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header".
    """

    def __init__(
        self,
        out: SupportsWrite,
        style: TarStyle = TarStyle.GENERAL,
        *,
        sparse: bool = False,
        mtime: int | None = None,
    ) -> None:
        self._write = out.write
        self._mtime = mtime
        self._cnb = style is TarStyle.CNB
        self._sparse = sparse and not self._cnb
        self._batch: list[bytes] = []
        self._batched = 0
        self._fields: dict[tuple[int, int, int, int], tuple[bytes, bytes] | None] = {}

    def add(self, entry: Entry, content: Content = None) -> None:
        """Write one entry and, for a file, exactly ``entry.size`` bytes of its content.

        Content that is longer is cut there. Raises FileChanged when it is shorter.
        """
        kind = entry.kind
        if kind is FILE:
            size = entry.size
            if not size:
                self._push(self._header(entry, 0))
            elif isinstance(content, OnDisk):
                self._add_on_disk(entry, content)
            elif isinstance(content, bytes):
                if len(content) < size:
                    raise _shrank(entry, len(content))
                self._push(self._header(entry, size))
                self._push_padded(content if len(content) == size else content[:size], size)
            elif content is not None:
                with content() as stream:
                    self._push(self._header(entry, size))
                    self._copy(entry, stream)
            else:
                raise FileChanged(f"{printable(entry.name)} is announced with {size} bytes and comes with none")
        else:
            self._push(self._header(entry, 0))

    def finish(self) -> None:
        """Write the end of the archive. Nothing may be added afterwards."""
        self._batch.append(bytes(1024))
        self._flush()

    # -- content ---------------------------------------------------------------------------------------------------

    def _push(self, data: bytes) -> None:
        self._batch.append(data)
        self._batched += len(data)
        if self._batched >= _BATCH:
            self._flush()

    def _push_padded(self, data: bytes, size: int) -> None:
        self._batch.append(data)
        self._batched += size
        if padding := -size & 511:
            self._batch.append(_ZEROS[:padding])
            self._batched += padding
        if self._batched >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._write(b"".join(self._batch))
            self._batch.clear()
            self._batched = 0

    def _add_on_disk(self, entry: Entry, content: OnDisk) -> None:
        size = entry.size
        fd = content.fd()
        try:
            if self._sparse and content.sparse and (segments := data_segments(fd, size)) is not None:
                self._add_sparse(entry, fd, segments)
                return
            if size <= _BATCH:
                try:
                    data = os.read(fd, size)
                except OSError as error:
                    raise Unreadable(f"{printable(content.path)} cannot be read", why=error.strerror) from error
                if len(data) == size:
                    self._push(self._header(entry, size))
                    self._push_padded(data, size)
                    return
                os.lseek(fd, 0, os.SEEK_SET)
            self._push(self._header(entry, size))
            self._copy_fd(entry, fd, size)
            self._push(_ZEROS[: -size & 511])
        finally:
            os.close(fd)

    def _copy_fd(self, entry: Entry, fd: int, count: int) -> None:
        left = count
        while left:
            try:
                data = os.read(fd, min(left, _CHUNK))
            except OSError as error:
                raise Unreadable(f"{printable(entry.name)} cannot be read", why=error.strerror) from error
            if not data:
                raise _shrank(entry, entry.size - left)
            left -= len(data)
            self._push(data)

    def _copy(self, entry: Entry, stream: BinaryIO) -> None:
        left = entry.size
        while left:
            data = stream.read(min(left, _CHUNK))
            if not data:
                raise _shrank(entry, entry.size - left)
            left -= len(data)
            self._push(data)
        self._push(_ZEROS[: -entry.size & 511])

    def _add_sparse(self, entry: Entry, fd: int, segments: list[Segment]) -> None:
        table = render_map(segments, entry.size)
        stored = len(table) + sum(length for _, length in segments)
        directory, _, base = entry.name.rpartition(b"/")
        name = (directory + b"/" if directory else b"") + b"GNUSparseFile.0/" + base
        records = {
            b"GNU.sparse.major": b"1",
            b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": entry.name,
            b"GNU.sparse.realsize": b"%d" % entry.size,
        }
        self._push(self._slow_header(entry, stored, name, records))
        self._push(table)
        for offset, length in segments:
            os.lseek(fd, offset, os.SEEK_SET)
            self._copy_fd(entry, fd, length)
        self._push(_ZEROS[: -stored & 511])

    # -- headers ---------------------------------------------------------------------------------------------------

    def _header(self, entry: Entry, size: int) -> bytes:
        """The header blocks of ``entry``: one block for nearly all entries, three or more with PAX records."""
        kind = entry.kind
        name = entry.name
        if self._cnb:
            name = b"/" + name if name != b"." else b"/"
        elif kind is DIR:
            name += b"/"
        link = entry.linkname
        if len(name) <= 100 and len(link) < 100 and size <= _SIZE_MAX and not entry.xattrs:
            flag = 0 if kind is FILE else 1 if kind is DIR else 2 if kind is SYMLINK else 3
            mtime = entry.mtime if self._mtime is None else self._mtime
            key = (entry.mode | flag << 16, entry.uid, entry.gid, mtime)
            try:
                fields = self._fields[key]
            except KeyError:
                fields = self._remember(key, kind)
            if fields is not None and flag != 3 and name.isascii() and b"\0" not in name:
                if not link:
                    block = b"%b%b%011o%b" % (name.ljust(100, b"\0"), fields[0], size, fields[1])
                    return _checked(block)
                if flag == 2 and link.isascii() and b"\0" not in link:
                    block = b"%b%b%011o%b%b%b" % (
                        name.ljust(100, b"\0"),
                        fields[0],
                        size,
                        fields[1][:22],
                        link.ljust(100, b"\0"),
                        fields[1][122:],
                    )
                    return _checked(block)
        return self._slow_header(entry, size, name, {})

    def _remember(self, key: tuple[int, int, int, int], kind: Kind) -> tuple[bytes, bytes] | None:
        """The parts of a plain block that entries of one kind, mode, owner and time share; None if they do not fit."""
        mode, uid, gid, mtime = key
        fields = None
        if 0 <= uid <= _ID_MAX and 0 <= gid <= _ID_MAX and 0 <= mtime <= _SIZE_MAX:
            fields = (
                b"%07o\0%07o\0%07o\0" % (mode & 0o7777, uid, gid),
                b"\0%011o\0        %b%b%b" % (mtime, _TYPE[kind], bytes(100), _tail(0, 0, b"")),
            )
        if len(self._fields) >= _HEADERS_KEPT:
            self._fields.clear()
        self._fields[key] = fields
        return fields

    def _slow_header(self, entry: Entry, size: int, name: bytes, extra: dict[bytes, bytes]) -> bytes:
        """The header blocks of any entry. ``extra`` are PAX records that force the PAX form."""
        if self._mtime is not None:
            entry = replace(entry, mtime=self._mtime)
        kind, link = entry.kind, entry.linkname
        if kind is HARDLINK and self._cnb:
            link = b"/" + link
        if b"\0" in name or b"\0" in link:
            raise UnwritableEntry(f"{printable(name)} cannot be written to a tar archive", why="its name holds a NUL")
        if not (0 <= entry.dev_major <= _ID_MAX and 0 <= entry.dev_minor <= _ID_MAX):
            raise UnwritableEntry(f"{printable(name)} cannot be written to a tar archive", why="bad device number")
        records = dict(extra)
        split = _split(name) if len(name) > 100 and name.isascii() else None
        needs_pax = bool(extra)
        if (len(name) > 100 or not name.isascii()) and b"GNU.sparse.name" not in extra:
            records[b"path"] = name
            needs_pax = needs_pax or split is None
        numbers = ((b"uid", entry.uid, _ID_MAX), (b"gid", entry.gid, _ID_MAX), (b"size", size, _SIZE_MAX))
        for key, number, most in (*numbers, (b"mtime", entry.mtime, _SIZE_MAX)):
            if not 0 <= number <= most:
                records[key] = b"%d" % number
                needs_pax = True
        if len(link) > 100 or not link.isascii():
            records[b"linkpath"] = link
            needs_pax = True
        for attribute, value in entry.xattrs if not self._cnb else ():
            if b"=" in attribute or b"\0" in attribute:
                shown = f"the extended attribute {printable(attribute)} has '=' in its name"
                raise UnwritableEntry(f"{printable(name)} cannot be written to a tar archive", why=shown)
            records[b"SCHILY.xattr." + attribute] = value
            needs_pax = True
        if not needs_pax:
            prefix, base = split or (b"", name)
            return self._block(entry, base, prefix, link, size)
        directory, _, base = name.rpartition(b"/")
        inner = b"/".join(part for part in (directory, b"PaxHeaders.0", base) if part)
        if name.startswith(b"/") and not inner.startswith(b"/"):
            inner = b"/" + inner
        inner = _ascii(inner)[:100].rstrip(b"/")
        data = b"".join(_record(key, records[key]) for key in sorted(records))
        head = b"%b0000000\0000000000\0000000000\0%011o\00000000000000\0        x%b" % (
            inner.ljust(100, b"\0"),
            len(data),
            bytes(100) + b"ustar\00000" + bytes(247),
        )
        block = self._block(entry, _cut(_ascii(name)), b"", _cut(_ascii(link)), size)
        return b"".join((_checked(head), data, _ZEROS[: -len(data) & 511], block))

    def _block(self, entry: Entry, name: bytes, prefix: bytes, link: bytes, size: int) -> bytes:
        def fit(number: int, most: int) -> int:
            return number if 0 <= number <= most else 0

        ids = (entry.mode & 0o7777, fit(entry.uid, _ID_MAX), fit(entry.gid, _ID_MAX))
        device = entry.kind in (CHAR, BLOCK)
        tail = _tail(entry.dev_major, entry.dev_minor, prefix) if device else _tail(0, 0, prefix)
        return _checked(
            b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%b%b"
            % (
                name.ljust(100, b"\0"),
                *ids,
                fit(size, _SIZE_MAX),
                fit(entry.mtime, _SIZE_MAX),
                _TYPE[entry.kind],
                link.ljust(100, b"\0"),
                tail,
            )
        )


def write_tar(
    members: Iterable[Member],
    out: SupportsWrite,
    style: TarStyle = TarStyle.GENERAL,
    *,
    mtime: int | None = None,
) -> None:
    """Write a whole archive, end blocks included; with ``mtime`` all entries have that time."""
    writer = TarWriter(out, style, mtime=mtime)
    for entry, content in members:
        writer.add(entry, content)
    writer.finish()


def _checked(block: bytes) -> bytes:
    """``block`` with its checksum put in; the field must hold spaces.

    The low half of adler32 is one more than the sum of the bytes modulo 65521, and a header of ASCII bytes
    never sums to that much: one call in C instead of 512 additions.
    """
    return b"%b%06o\0%b" % (block[:148], (adler32(block) & 0xFFFF) - 1, block[155:])


def _tail(major: int, minor: int, prefix: bytes) -> bytes:
    return b"ustar\00000%b%07o\0%07o\0%b" % (bytes(64), major, minor, prefix.ljust(167, b"\0"))


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """``name`` as the two fields of a USTAR header, or None when no slash divides it so."""
    length = len(name)
    if length > 156:
        length = 156
    elif name.endswith(b"/"):
        length -= 1
    at = name.rfind(b"/", 0, length)
    rest = len(name) - at - 1
    if at <= 0 or at > 155 or not 0 < rest <= 100:
        return None
    return name[:at], name[at + 1 :]


def _cut(name: bytes) -> bytes:
    """``name`` cut to its field. One that would end in a slash loses it, lest a file be read as a directory."""
    if len(name) <= 100:
        return name
    return name[:99].rstrip(b"/") if name[99:100] == b"/" else name[:100]


def _ascii(name: bytes) -> bytes:
    return name if name.isascii() else bytes(byte for byte in name if byte < 0x80)


def _record(key: bytes, value: bytes) -> bytes:
    """One PAX record; its decimal length counts itself."""
    body = len(key) + len(value) + 3
    length = body + len(str(body))
    if len(str(length)) != len(str(body)):
        length = body + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _shrank(entry: Entry, found: int) -> FileChanged:
    return FileChanged(
        f"{printable(entry.name)} became shorter while its layer was being written",
        why=f"{entry.size} bytes were announced, {found} could be read",
    )
