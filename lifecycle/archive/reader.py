"""Reading tar archives as a stream, in bounded memory."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO, cast
from zlib import adler32

from lifecycle.archive.entry import BLOCK, CHAR, DIR, FIFO, FILE, HARDLINK, SYMLINK, Entry, printable
from lifecycle.archive.errors import BadHeader, LimitExceeded, NotATar, TruncatedArchive, UnsupportedEntry
from lifecycle.archive.limits import Limits
from lifecycle.archive.sparse import Segment
from lifecycle.archive.streams import Section, Source, SparseSection, SupportsRead

_KIND = {
    b"0": FILE,
    b"\0": FILE,
    b"7": FILE,
    b"S": FILE,
    b"1": HARDLINK,
    b"2": SYMLINK,
    b"3": CHAR,
    b"4": BLOCK,
    b"5": DIR,
    b"6": FIFO,
}
_CHUNK = 1 << 20
_WHOLE = 1 << 20
_END = bytes(512)
_SIZE_LIMIT = 1 << 62
_ID_LIMIT = (1 << 32) - 1
_MEMO = 4096
_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."

Records = dict[bytes, bytes]


def read_tar(stream: SupportsRead, limits: Limits | None = None) -> Iterator[tuple[Entry, BinaryIO]]:
    """The entries of an uncompressed archive in order, each with its content.

    The content may be read until the next entry is asked for. Everything up to the end of ``stream`` is read,
    also what follows the end blocks, so that digests over the stream are complete; the stream is not closed.
    Understood: v7, USTAR, PAX (local and global records), GNU long names and base-256 numbers, sparse files (GNU's
    old form and PAX 0.0, 0.1, 1.0). Raises NotATar, BadHeader, TruncatedArchive, UnsupportedEntry, LimitExceeded.
    """
    return _Reader(stream, limits or Limits()).entries()


class _Reader:
    def __init__(self, stream: SupportsRead, limits: Limits) -> None:
        self._source = Source(stream, limits)
        self._limits = limits
        self._globals: Records = {}
        self._ids: dict[bytes, tuple[int, int, int]] = {}
        self._times: dict[bytes, int] = {}

    def entries(self) -> Iterator[tuple[Entry, BinaryIO]]:
        source, limits = self._source, self._limits
        count = unpacked = 0
        while (block := self._header_block(count)) is not None:
            records: list[tuple[bytes, bytes]] = []
            longname = longlink = None
            while (flag := block[156:157]) in (b"x", b"g", b"L", b"K", b"X", b"V"):
                size = self._size(block)
                if flag == b"V":  # a volume's label: no content that matters
                    self._skip_padded(size)
                else:
                    data = self._meta(flag, size)
                    match flag:
                        case b"g":
                            self._globals.update(_parse_records(data, self._where()))
                            if sum(len(k) + len(v) for k, v in self._globals.items()) > limits.pax:
                                raise LimitExceeded("The archive's global extended headers are too large")
                        case b"L":
                            longname = data.split(b"\0", 1)[0]
                        case b"K":
                            longlink = data.split(b"\0", 1)[0]
                        case _:
                            records += _parse_records(data, self._where())
                following = self._header_block(count + 1)
                if following is None:
                    if flag in (b"g", b"V"):
                        break
                    raise TruncatedArchive("The archive ends after an extended header, before its entry")
                block = following
            else:
                count += 1
                if count > limits.entries:
                    raise LimitExceeded(f"The archive has more than {limits.entries} entries")
                entry, stored, segments = self._entry(block, records, longname, longlink)
                unpacked += entry.size
                if unpacked > limits.unpacked:
                    shown = f"The archive is too large once unpacked, at {printable(entry.name)}"
                    raise LimitExceeded(shown, why=f"its files come to more than {limits.unpacked} bytes")
                if stored <= _WHOLE and segments is None:
                    whole = source.take_padded(stored)
                    if whole is None:
                        raise self._cut(entry.name)
                    yield entry, io.BytesIO(whole)
                    continue
                section = Section(source, stored)
                if segments is None:
                    yield entry, cast(BinaryIO, section)
                else:
                    yield entry, cast(BinaryIO, SparseSection(section, segments, entry.size))
                section.drop()
                source.skip(-stored & 511)
                continue
            break
        source.drain()

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _where(self) -> str:
        return f"offset {self._source.position}"

    def _cut(self, name: bytes) -> TruncatedArchive:
        return TruncatedArchive(f"The archive ends in the middle of {printable(name)}", where=self._where())

    def _header_block(self, seen: int) -> bytes | None:
        """The next header with a good checksum; None at the end of the archive.

        The end is a zero block or, as every tool allows, the end of the stream between entries.
        """
        block = self._source.take(512)
        if len(block) < 512:
            if block and seen:
                raise TruncatedArchive("The archive ends in the middle of a header", where=self._where())
            if block or not seen:
                raise NotATar("This is not a tar archive", why=f"it is only {len(block)} bytes long")
            return None
        if block == _END:
            return None
        if not _checksum_holds(block):
            if not seen:
                raise NotATar("This is not a tar archive", why="its first block has no valid tar checksum")
            raise BadHeader("A header of the archive has a wrong checksum", where=self._where())
        return block

    def _meta(self, flag: bytes, size: int) -> bytes:
        """The data of an extended header, refused by its announced size before anything is read."""
        most = self._limits.pax if flag in b"xXg" else self._limits.name + 1
        if size > most:
            what = "extended header" if flag in b"xXg" else "name"
            raise LimitExceeded(
                f"The archive has {'an' if what[0] == 'e' else 'a'} {what} of {size} bytes",
                why=f"at most {most} are accepted",
                where=self._where(),
            )
        data = self._source.take_padded(size)
        if data is None:
            raise TruncatedArchive("The archive ends in the middle of an extended header", where=self._where())
        return data

    def _skip_padded(self, size: int) -> None:
        self._source.skip(size + (-size & 511))

    def _number(self, field: bytes, what: str) -> int:
        """A number in octal digits or, with the top bit set, in base 256."""
        if field[0] & 0x80:
            value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
            if field[0] & 0x40:
                value -= 1 << (8 * len(field) - 1)
            return value
        digits = field.split(b"\0", 1)[0].strip(b" ")
        try:
            return int(digits, 8) if digits.isdigit() or not digits else int(digits.decode("ascii", "replace"), 8)
        except ValueError:
            if not digits:
                return 0
            raise BadHeader(f"The archive has a broken {what}: {printable(digits)}", where=self._where()) from None

    def _size(self, block: bytes) -> int:
        digits = block[124:135]
        if digits.isdigit() and b"8" not in digits and b"9" not in digits and block[135] in b" \0":
            return int(digits, 8)  # as nearly all are
        size = self._number(block[124:136], "size")
        if not 0 <= size < _SIZE_LIMIT:
            raise BadHeader(f"The archive has an entry of {size} bytes", where=self._where())
        return size

    # -- entries ---------------------------------------------------------------------------------------------------

    def _entry(
        self,
        block: bytes,
        local: list[tuple[bytes, bytes]],
        longname: bytes | None,
        longlink: bytes | None,
    ) -> tuple[Entry, int, list[Segment] | None]:
        """The entry, how many bytes of content follow, and for a sparse file where they belong."""
        flag = block[156:157]
        kind = _KIND.get(flag)
        name = block[:100].split(b"\0", 1)[0]
        if block[257:263] == b"ustar\0" and block[345]:
            name = block[345:500].split(b"\0", 1)[0] + b"/" + name
        if kind is None:
            raise UnsupportedEntry(
                f"{printable(name)} is of a type that cannot be unpacked",
                why=f"its type flag is {printable(flag)}",
                where=self._where(),
            )
        mode, uid, gid = self._ids.get(block[100:124]) or self._parse_ids(block[100:124])
        mtime = self._times.get(block[136:148])
        if mtime is None:
            mtime = self._parse_time(block[136:148])
        size = self._size(block)
        link = b""
        if kind is HARDLINK or kind is SYMLINK:
            link = longlink if longlink is not None else block[157:257].split(b"\0", 1)[0]
        if longname is not None:
            name = longname
        xattrs: tuple[tuple[bytes, bytes], ...] = ()
        segments: list[Segment] | None = None
        realsize: int | None = None
        if local or self._globals:
            records = {**self._globals, **dict(local)}
            name = records.get(b"path") or name
            if kind is HARDLINK or kind is SYMLINK:
                link = records.get(b"linkpath") or link
            size = self._decimal(records, b"size", size, _SIZE_LIMIT)
            uid = self._decimal(records, b"uid", uid, _ID_LIMIT)
            gid = self._decimal(records, b"gid", gid, _ID_LIMIT)
            mtime = self._seconds(records, mtime)
            xattrs = self._xattrs(records)
            if kind is FILE and any(key.startswith(_SPARSE) for key in records):
                name, size, realsize, segments = self._pax_sparse(records, local, name, size)
        if flag == b"S":
            realsize, segments = self._old_sparse(block, size)
        elif flag in b"0\0" and realsize is None and name.endswith(b"/"):
            kind = DIR  # as v7 wrote directories
        if kind is not FILE:
            size = 0
        if max(len(name), len(link)) > self._limits.name:
            raise LimitExceeded(f"The archive has a name of more than {self._limits.name} bytes: {printable(name)}")
        major = minor = 0
        if kind is CHAR or kind is BLOCK:
            major, minor = self._number(block[329:337], "device number"), self._number(block[337:345], "device number")
            if not (0 <= major < 1 << 32 and 0 <= minor < 1 << 32):
                raise BadHeader(f"{printable(name)} has an impossible device number", where=self._where())
        elif kind is HARDLINK:
            link = canonical(link)
        shown = size if realsize is None else realsize
        entry = Entry(canonical(name), kind, mode, uid, gid, shown, mtime, link, major, minor, xattrs)
        return entry, size, segments

    def _parse_ids(self, field: bytes) -> tuple[int, int, int]:
        mode, uid, gid = (self._number(field[at : at + 8], what) for at, what in ((0, "mode"), (8, "uid"), (16, "gid")))
        if not (0 <= uid < _ID_LIMIT and 0 <= gid < _ID_LIMIT):
            raise BadHeader(f"The archive has an impossible owner {uid}:{gid}", where=self._where())
        if len(self._ids) >= _MEMO:
            self._ids.clear()
        self._ids[field] = (mode & 0o7777, uid, gid)
        return mode & 0o7777, uid, gid

    def _parse_time(self, field: bytes) -> int:
        if len(self._times) >= _MEMO:
            self._times.clear()
        self._times[field] = mtime = self._number(field, "time")
        return mtime

    def _decimal(self, records: Records, key: bytes, otherwise: int, limit: int) -> int:
        text = records.get(key)
        if not text:
            return otherwise
        if not text.isdigit() or len(text) > 20 or int(text) >= limit:
            raise BadHeader(f"The archive has a broken {key.decode()}: {printable(text)}", where=self._where())
        return int(text)

    def _seconds(self, records: Records, otherwise: int) -> int:
        """The whole seconds of the ``mtime`` record, rounded down."""
        text = records.get(b"mtime")
        if not text:
            return otherwise
        whole, _, fraction = text.partition(b".")
        if not re.fullmatch(rb"-?[0-9]{1,19}", whole) or (fraction and not fraction.isdigit()):
            raise BadHeader(f"The archive has a broken time: {printable(text)}", where=self._where())
        return int(whole) - (whole.startswith(b"-") and bool(fraction.strip(b"0")))

    def _xattrs(self, records: Records) -> tuple[tuple[bytes, bytes], ...]:
        found = [(key[len(_XATTR) :], value) for key, value in records.items() if key.startswith(_XATTR)]
        if found and sum(len(key) + len(value) for key, value in found) > self._limits.xattrs:
            raise LimitExceeded(
                f"The archive has an entry with more than {self._limits.xattrs} bytes of extended attributes",
                where=self._where(),
            )
        return tuple(sorted(found))

    # -- sparse files ----------------------------------------------------------------------------------------------

    def _segments(self, numbers: list[int], real: int, stored: int) -> list[Segment]:
        """Offset and length pairs, checked to be in order, inside the file, and as long as the data stored."""
        pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
        end = 0
        for offset, length in pairs:
            if offset < end or length < 0 or offset + length > real:
                raise BadHeader("The archive has a broken map of a sparse file", where=self._where())
            end = offset + length
        if len(numbers) % 2 or sum(length for _, length in pairs) != stored:
            raise BadHeader("The archive has a broken map of a sparse file", where=self._where())
        return [pair for pair in pairs if pair[1]]

    def _old_sparse(self, block: bytes, stored: int) -> tuple[int, list[Segment]]:
        real = self._number(block[483:495], "size")
        fields, more = block[386:482], block[482]
        numbers: list[int] = []
        while True:
            for at in range(0, len(fields) - 23, 24):
                if not fields[at] and not fields[at + 12]:
                    break
                numbers += (self._number(fields[at + i : at + i + 12], "sparse map") for i in (0, 12))
            if not more:
                break
            if len(numbers) * 12 > self._limits.pax:
                raise LimitExceeded("The archive has a sparse file with too many pieces", where=self._where())
            extension = self._source.take(512)
            if len(extension) < 512:
                raise TruncatedArchive("The archive ends in the middle of a header", where=self._where())
            fields, more = extension[:504], extension[504]
        if not 0 <= real < _SIZE_LIMIT:
            raise BadHeader(f"The archive has an entry of {real} bytes", where=self._where())
        return real, self._segments(numbers, real, stored)

    def _pax_sparse(
        self, records: Records, local: list[tuple[bytes, bytes]], name: bytes, stored: int
    ) -> tuple[bytes, int, int, list[Segment]]:
        name = records.get(b"GNU.sparse.name") or name
        key = b"GNU.sparse.realsize" if b"GNU.sparse.realsize" in records else b"GNU.sparse.size"
        real = self._decimal(records, key, -1, _SIZE_LIMIT)
        if real < 0:
            raise BadHeader(f"{printable(name)} is a sparse file of unknown size", where=self._where())
        if records.get(b"GNU.sparse.major") == b"1":
            table: list[bytes] = []
            rest, wanted, taken = b"", 1, 0
            while len(table) < wanted:
                piece = self._source.take(512)
                taken += 512
                if len(piece) < 512:
                    raise self._cut(name)
                if taken > min(stored, self._limits.pax):
                    raise BadHeader("The archive has a broken map of a sparse file", where=self._where())
                *lines, rest = (rest + piece).split(b"\n")
                table += lines
                if table and wanted == 1:
                    wanted = 1 + 2 * self._count(table[0])
            numbers = [self._count(text) for text in table[1:wanted]]
            stored -= taken
        elif b"GNU.sparse.map" in records:
            text = records[b"GNU.sparse.map"]
            numbers = [self._count(part) for part in text.split(b",")] if text else []
        else:
            keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
            numbers = [self._count(value) for key, value in local if key in keys]
        return name, stored, real, self._segments(numbers, real, stored)

    def _count(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > 19:
            raise BadHeader("The archive has a broken map of a sparse file", where=self._where())
        return int(text)


def canonical(name: bytes) -> bytes:
    """``name`` relative and without empty or "." parts; ``b"."`` for the root. A ".." part is left in place."""
    if name[:2] == b"./":
        name = name[2:]
    name = name.rstrip(b"/")
    if name and name[0] not in b"./" and b"//" not in name and b"/." not in name:
        return name
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b".")) or b"."


def _checksum_holds(block: bytes) -> bool:
    """Whether the header's sum is right: unsigned, or signed as some old writers had it."""
    field = block[148:154]
    if block[154] not in b"\0 " or not field.isdigit():  # git archive writes seven digits
        field = block[148:156].split(b"\0", 1)[0].strip(b" ")
    try:
        announced = int(field, 8)
    except ValueError:
        return False
    # adler32's low half is 1 + the sum of the bytes, modulo 65521: cheap, and right for all but strange names.
    if announced == (adler32(block) & 0xFFFF) + 255 - sum(block[148:156]):
        return True
    rest = block[:148] + block[156:]
    unsigned = 256 + sum(rest)
    return announced in (unsigned, unsigned - 256 * sum(1 for byte in rest if byte >= 0x80))


def _parse_records(data: bytes, where: str) -> list[tuple[bytes, bytes]]:
    """The records of an extended header in order; values may hold any byte."""
    records = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 12)
        if space < 0 or not data[at:space].isdigit():
            if not data[at:].strip(b"\0"):
                break
            raise BadHeader("The archive has a malformed extended header", where=where)
        end = at + int(data[at:space])
        equals = data.find(b"=", space, end)
        if end > len(data) or end <= space or data[end - 1] != 0x0A or equals < 0:
            raise BadHeader("The archive has a malformed extended header", where=where)
        key, value = data[space + 1 : equals], data[equals + 1 : end - 1]
        if key in (b"path", b"linkpath", b"GNU.sparse.name") and b"\0" in value:
            raise BadHeader("The archive has a name with a NUL in it", where=where)
        records.append((key, value))
        at = end
    return records
