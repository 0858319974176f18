"""What a reader of archives reads from, and what it hands out: streams that are read once, in bounded memory."""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from typing import BinaryIO, Protocol

from lifecycle.archive.errors import LimitExceeded, TruncatedArchive
from lifecycle.archive.limits import Limits
from lifecycle.archive.sparse import Segment

_CHUNK = 1 << 20
_AHEAD = 6  # blocks


class SupportsRead(Protocol):
    """What archives are read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class ReadAhead:
    """A stream read by a thread of its own, a few blocks ahead: decompressing and hashing overlap with unpacking.

    ``read`` gives a block of whatever size is at hand, nothing at the end; an error of the stream is raised where its
    bytes would have been. A context manager: leaving it ends the thread. The stream stays the caller's.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._blocks: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
        self._wanted = True
        if (consumed := getattr(stream, "consumed", None)) is not None:
            self.consumed = consumed
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wanted = False
        with contextlib.suppress(queue.Empty):
            while True:
                self._blocks.get_nowait()  # makes room for one more block, which the thread then ends with
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._wanted:
                block = self._stream.read(_CHUNK)
                self._blocks.put(block)
                if not block:
                    return
        except BaseException as error:
            self._blocks.put(error)

    def read(self, size: int = -1) -> bytes:
        """The next block; empty at the end, and again after it."""
        if not self._wanted:
            return b""
        block = self._blocks.get()
        if isinstance(block, BaseException):
            self._wanted = False
            raise block
        if not block:
            self._wanted = False
        return block


class Source:
    """A stream with a buffer in front, that knows how much was taken from it."""

    def __init__(self, stream: SupportsRead, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._buffer = b""
        self._at = 0
        self._before = 0
        # A decompressor tells how many compressed bytes it has taken; a bomb is known by how much came of them.
        self._consumed = getattr(stream, "consumed", None)

    @property
    def position(self) -> int:
        """How many bytes of the archive were taken."""
        return self._before + self._at

    def _refill(self) -> bool:
        """Read on; everything in the buffer must have been taken."""
        more = self._stream.read(_CHUNK)
        if not more:
            return False
        if self._consumed is not None and self._before > self._limits.ratio_from:
            taken = self._consumed()
            if self._before > self._limits.ratio * taken:
                why = f"{taken} compressed bytes became {self._before}, more than {self._limits.ratio} times as many"
                raise LimitExceeded("The archive grows without measure when it is unpacked", why=why)
        self._before += len(self._buffer)
        self._buffer = more
        self._at = 0
        return True

    def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes, fewer only at the end of the stream."""
        at = self._at
        end = at + count
        if end <= len(self._buffer):
            self._at = end
            return self._buffer[at:end]
        parts = [self._buffer[at:]]
        self._at = len(self._buffer)
        missing = count - len(parts[0])
        while missing and self._refill():
            parts.append(self._buffer[:missing])
            self._at = len(parts[-1])
            missing -= self._at
        return b"".join(parts)

    def take_padded(self, size: int) -> bytes | None:
        """``size`` bytes, passing over the padding to a whole block; None when the stream ends before."""
        at = self._at
        past = at + ((size + 511) & ~511)
        if past <= len(self._buffer):
            self._at = past
            return self._buffer[at : at + size]
        data = self.take(size)
        return data if len(data) == size and len(self.take(-size & 511)) == -size & 511 else None

    def some(self, count: int) -> bytes:
        """Between 1 and ``count`` bytes, none when ``count`` is 0; raises at the end of the stream."""
        if not count:
            return b""
        if self._at >= len(self._buffer) and not self._refill():
            raise TruncatedArchive("The archive ends in the middle of a file", where=f"offset {self.position}")
        data = self._buffer[self._at : self._at + count]
        self._at += len(data)
        return data

    def skip(self, count: int) -> None:
        while count:
            count -= len(self.some(count))

    def drain(self) -> None:
        self._at = len(self._buffer)
        while self._refill():
            self._at = len(self._buffer)


class Section(io.RawIOBase):
    """The content of one large entry: readable until the next entry is asked for."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._left = size

    def readable(self) -> bool:
        return not self.closed

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes, fewer only at the end of what is at hand; all that is left when negative."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        data = self._source.some(min(size, self._left))
        self._left -= len(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def drop(self) -> None:
        """Pass over what was not read, and let no one read on."""
        while self._left:
            self._left -= len(self._source.some(min(self._left, _CHUNK)))
        self.close()


class SparseSection(io.RawIOBase):
    """The content of a file with holes. ``segments`` tells where data lies; ``data`` reads only that."""

    def __init__(self, data: Section, segments: list[Segment], size: int) -> None:
        self.data = data
        self.segments = segments
        self.size = size
        self._at = 0
        self._next = 0

    def readable(self) -> bool:
        return not self.closed

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes of the file, zeros where it has holes."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        while self._next < len(self.segments) and self._at >= sum(self.segments[self._next]):
            self._next += 1
        begin, length = self.segments[self._next] if self._next < len(self.segments) else (self.size, 0)
        if self._at < begin:
            data = bytes(min(size, begin - self._at, _CHUNK))
        else:
            data = self.data.read(min(size, begin + length - self._at))
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def drop(self) -> None:
        self.data.drop()
        self.close()
