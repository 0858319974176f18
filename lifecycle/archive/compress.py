"""Compressing a layer in one pass, and reading compressed layers back."""

from __future__ import annotations

import hashlib
import io
import queue
import struct
import threading
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Literal, Self, cast

from lifecycle.archive.entry import Member, SupportsWrite
from lifecycle.archive.errors import BadCompression, BadProfile
from lifecycle.archive.writer import TarStyle, write_tar
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass

Codec = Literal["gzip", "zstd", "none"]

_BLOCK = 1 << 20
_PIECES = 1024  # of a block: the views of many tiny ones would take more room than the bytes
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\xff\0"
"""Without name and time, as isal's threads write it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A way to compress whose bytes are always the same for the same input: part of cache keys by its ``name``."""

    name: str
    codec: Codec
    level: int

    GZIP_FAST: ClassVar[Profile]
    GZIP_PORTABLE: ClassVar[Profile]
    ZSTD: ClassVar[Profile]
    NONE: ClassVar[Profile]

    @classmethod
    def parse(cls, text: str) -> Profile:
        """The profile called ``text`` exactly, or the usual one of a codec: gzip, zstd, none."""
        if profile := _PROFILES.get(text):
            return profile
        raise BadProfile(f"There is no compression {text!r}", why=f"known are {', '.join(sorted(_PROFILES))}")

    def __str__(self) -> str:
        return self.name


Profile.GZIP_FAST = Profile("gzip:isal2", "gzip", 2)
Profile.GZIP_PORTABLE = Profile("gzip:zlib6", "gzip", 6)
Profile.ZSTD = Profile("zstd:3", "zstd", 3)
Profile.NONE = Profile("none", "none", 0)
_PROFILES = {p.name: p for p in (Profile.GZIP_FAST, Profile.GZIP_PORTABLE, Profile.ZSTD, Profile.NONE)}
_PROFILES |= {"gzip": Profile.GZIP_FAST, "zstd": Profile.ZSTD}


@dataclass(frozen=True, slots=True)
class LayerSums:
    """What is known of a layer once it is written. Sizes in bytes; ``size`` is of the compressed form."""

    diff_id: Digest
    digest: Digest
    size: int
    uncompressed_size: int
    profile: Profile


class _Summed:
    """Writes through to ``out``, and keeps the sha256 and length of what went by; once ``muted``, drops it."""

    def __init__(self, out: SupportsWrite) -> None:
        self._out = out
        self.hash = hashlib.sha256()
        self.size = 0
        self.muted = False

    def write(self, data: Any) -> int:
        if self.muted:
            return len(data)
        data = bytes(data)
        self.hash.update(data)
        self._out.write(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        return None


class _Threaded:
    """A compressor's work in a thread of its own, at most a few blocks behind; a lone block needs none."""

    def __init__(self, compress: Callable[[bytes], bytes], finish: Callable[[], bytes], out: _Summed) -> None:
        self._compress, self._finish, self._out = compress, finish, out
        self._queue: queue.Queue[bytes | None] = queue.Queue(3)
        self._error: BaseException | None = None
        self._first = b""
        self._thread: threading.Thread | None = None

    def _run(self) -> None:
        while (block := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._out.write(self._compress(block))
                except BaseException as error:
                    self._error = error

    def write(self, block: bytes) -> None:
        if self._error is not None:
            raise self._error
        if self._thread is None:
            if not self._first:
                self._first = block
                return
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            self._queue.put(self._first)
        self._queue.put(block)

    def close(self) -> None:
        if self._thread is None:
            if self._first:
                self._out.write(self._compress(self._first))
        else:
            self._queue.put(None)
            self._thread.join()
        if self._error is not None:
            raise self._error
        self._out.write(self._finish())


class _Igzip:
    """isal's two compressing threads, fed whole blocks so that the bytes depend on the content alone.

    They start with the second block: a lone one gets the same bytes here, in less time than threads take to start.
    """

    def __init__(self, level: int, out: _Summed) -> None:
        self._level = level
        self._out = out
        self._first = b""
        self._threaded: Any = None

    def write(self, block: bytes) -> None:
        if self._threaded is not None:
            self._threaded.write(block)
        elif not self._first:
            self._first = block
        else:
            from isal import igzip_threaded

            open_threaded: Any = igzip_threaded.open
            opened = open_threaded(self._out, "wb", compresslevel=self._level, threads=2, block_size=_BLOCK)
            # Without the buffer on top, which would cut blocks where callers happen to cut their writes.
            self._threaded = opened.detach()
            self._threaded.write(self._first)
            self._threaded.write(block)

    def close(self) -> None:
        if self._threaded is not None:
            self._threaded.close()
            return
        from isal import isal_zlib

        first = self._first
        compressor = isal_zlib._ParallelCompress(buffersize=len(first) + max(len(first) // 10, 500), level=self._level)
        packed, crc = compressor.compress_and_crc(first, b"") if first else (b"", 0)
        end = isal_zlib.compress(b"", wbits=-15)
        self._out.write(_GZIP_HEADER + packed + end + struct.pack("<II", crc, len(first)))


class _Plain:
    def __init__(self, out: _Summed) -> None:
        self.write: Callable[[bytes], object] = out.write

    def close(self) -> None:
        return None


def _compressor(profile: Profile, out: _Summed) -> _Threaded | _Igzip | _Plain:
    match profile.name:
        case "none":
            return _Plain(out)
        case "gzip:isal2":
            return _Igzip(profile.level, out)
        case "gzip:zlib6":
            deflate = zlib.compressobj(profile.level, zlib.DEFLATED, 31)
            return _Threaded(deflate.compress, deflate.flush, out)
        case "zstd:3":
            zstd = _zstd()
            packer = zstd.ZstdCompressor(level=profile.level)
            return _Threaded(packer.compress, packer.flush, out)
    raise BadProfile(f"There is no compression {profile.name!r}")


def _zstd() -> Any:
    """The zstd module: the standard library's from Python 3.14 on, its backport before."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from backports import zstd
    return zstd


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of bytes once they are compressed: ``size`` and digest of the compressed form."""

    digest: Digest
    size: int


class CompressedSink:
    """Where bytes go to be compressed, hashed and written to ``out``, in one pass.

    ``out`` is written to from another thread, and not closed. Give it up with ``abort`` (or by leaving the
    ``with`` block with an error): then nothing more is written, and its threads are gone.
    """

    def __init__(self, out: SupportsWrite, profile: Profile = Profile.GZIP_FAST) -> None:
        self._stored = _Summed(out)
        self._pieces: list[memoryview] = []
        self._held = 0
        self._packer = _compressor(profile, self._stored)
        self._done: Stored | None = None
        self._open = True

    def write(self, data: bytes) -> int:
        """Take all of ``data``. Raises what ``out`` raised for earlier data."""
        rest = memoryview(data if isinstance(data, bytes) else bytes(data))
        while len(rest) >= (wanted := _BLOCK - self._held):
            self._packer.write(b"".join((*self._pieces, rest[:wanted])))  # the only copy that is made
            self._pieces, self._held = [], 0
            rest = rest[wanted:]
        if rest:
            self._pieces.append(rest)
            self._held += len(rest)
            if len(self._pieces) > _PIECES:
                self._pieces = [memoryview(b"".join(self._pieces))]
        return len(data)

    def close(self) -> Stored:
        """Finish the stream and return what it became. Calling it again returns the same."""
        if self._done is None:
            if self._pieces:
                self._packer.write(b"".join(self._pieces))
            try:
                self._packer.close()
            finally:
                self._open = False
            self._done = Stored(Digest("sha256", self._stored.hash.hexdigest()), self._stored.size)
        return self._done

    def abort(self) -> None:
        """Drop what is pending and stop; does nothing after ``close``."""
        if self._open:
            self._open = False
            self._stored.muted = True
            with suppress(Exception):
                self._packer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class LayerSink:
    """Where a layer's tar bytes go: hashed, then on into a ``CompressedSink``, with its rules."""

    def __init__(self, out: SupportsWrite, profile: Profile = Profile.GZIP_FAST) -> None:
        self._profile = profile
        self._plain = hashlib.sha256()
        self._size = 0
        self._sink = CompressedSink(out, profile)
        self._sums: LayerSums | None = None

    def write(self, data: bytes) -> int:
        """Take all of ``data``. Raises what ``out`` raised for earlier data."""
        self._plain.update(data)
        self._size += len(data)
        return self._sink.write(data)

    def close(self) -> LayerSums:
        """Finish the stream and return the sums. Calling it again returns the same."""
        if self._sums is None:
            stored = self._sink.close()
            self._sums = LayerSums(
                diff_id=Digest("sha256", self._plain.hexdigest()),
                digest=stored.digest,
                size=stored.size,
                uncompressed_size=self._size,
                profile=self._profile,
            )
        return self._sums

    def abort(self) -> None:
        """Drop what is pending and stop; does nothing after ``close``."""
        self._sink.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._sink.__exit__(kind, error, tb)


def tar_digest(members: Iterable[Member], style: TarStyle) -> Digest:
    """The diffID that these members have as an archive; nothing is compressed or kept."""
    total = hashlib.sha256()

    class _Hash:
        def write(self, data: bytes) -> None:
            total.update(data)

    write_tar(members, _Hash(), style)
    return Digest("sha256", total.hexdigest())


class _Counted(io.RawIOBase):
    """A source seen through: first the bytes already read from it, then the rest; counts what was taken."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if self._head:
            wanted = len(self._head) if size is None or size < 0 else size
            data, self._head = self._head[:wanted], self._head[wanted:]
        else:
            data = self._stream.read(-1 if size is None else size)
        self.count += len(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Decompressed(io.RawIOBase):
    """The uncompressed bytes of a stream. ``consumed()`` tells how many bytes were taken from the stream so far."""

    def __init__(self, source: _Counted, codec: Codec | Literal["bzip2", "xz"]) -> None:
        self._source = source
        self._codec = codec
        self._faults: tuple[Any, ...] = (EOFError,)
        self._inner: Any = source
        if codec == "gzip":
            from isal import igzip, igzip_threaded, isal_zlib

            self._faults = (EOFError, igzip.BadGzipFile, isal_zlib.error)
            open_threaded: Any = igzip_threaded.open
            # Its thread unpacks ahead of the reader, up to two blocks.
            self._inner = open_threaded(source, "rb", block_size=_BLOCK).detach()
        elif codec == "zstd":
            zstd = _zstd()
            self._faults += (zstd.ZstdError,)
            self._inner = zstd.ZstdFile(source, "rb")
        elif codec == "bzip2":
            import bz2

            self._faults += (OSError,)
            self._inner = bz2.BZ2File(cast(BinaryIO, source))
        elif codec == "xz":
            import lzma

            self._faults += (lzma.LZMAError,)
            self._inner = lzma.LZMAFile(cast(BinaryIO, source))  # noqa: SIM115 - closed with this

    def readable(self) -> bool:
        return True

    def consumed(self) -> int:
        return self._source.count

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        try:
            return cast(int, self._inner.readinto(buffer))
        except self._faults as error:
            raise BadCompression(
                f"The {self._codec} stream is damaged after {self._source.count} bytes", why=str(error) or None
            ) from error

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes, none only at the end; everything when negative."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_BLOCK), b""))
        buffer = bytearray(size)
        count = self.readinto(memoryview(buffer))
        del buffer[count:]
        return bytes(buffer)

    def close(self) -> None:
        if not self.closed and self._inner is not self._source:
            self._inner.close()
        super().close()


def decompress(stream: BinaryIO, *, old: bool = False) -> BinaryIO:
    """The uncompressed bytes of a gzip, zstd or plain stream, told apart by its first bytes; with ``old`` also of
    bzip2 and xz, which archives of sources have and layers have not.

    Several gzip members or zstd frames in a row are one stream. Close it, to end its thread; ``stream`` itself is
    read to its end when the result is, and not closed. Reading raises BadCompression.
    """
    head = b""
    while len(head) < 6 and (more := stream.read(6 - len(head))):
        head += more
    codec: Codec | Literal["bzip2", "xz"] = "none"
    if head.startswith(b"\x1f\x8b"):
        codec = "gzip"
    elif head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and b"\x50" <= head[:1] <= b"\x5f"):
        codec = "zstd"
    elif old and head.startswith(b"BZh"):
        codec = "bzip2"
    elif old and head == b"\xfd7zXZ\0":
        codec = "xz"
    return cast(BinaryIO, Decompressed(_Counted(head, stream), codec))
