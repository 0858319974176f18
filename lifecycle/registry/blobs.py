"""Reading a blob: a stream that verifies itself and goes on after a dropped connection."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lifecycle.oci import Descriptor, DigestMismatch
from lifecycle.registry.errors import BadAnswer, RegistryError, Unreachable
from lifecycle.registry.progress import BlobProgress
from lifecycle.registry.transport import Answer
from lifecycle.transport.errors import RETRYABLE
from lifecycle.transport.retry import Patience, parse_retry_after

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Get = Callable[[dict[str, str]], Answer]


class BlobReader(io.BufferedIOBase):
    """The stored bytes of one blob, read once from front to back.

    Reaching EOF means that size and digest were verified: the last bytes are handed out only after that. ``read(n)``
    gives exactly ``n`` bytes unless the blob ends. ``get`` asks for the blob with some headers (a Range).
    Raises DigestMismatch for other bytes than asked for, Unreachable when the connection keeps breaking.
    """

    def __init__(
        self, descriptor: Descriptor, get: Get, answer: Answer, patience: Patience, progress: BlobProgress, what: str
    ) -> None:
        self._descriptor = descriptor
        self._get = get
        self._patience = patience
        self._progress = progress
        self._what = what
        self._hash = descriptor.digest.hasher()
        self._received = 0
        self._since_failure = 0
        self._rest = memoryview(b"")
        self._verified = False
        self._answer = answer
        self._check_length(answer)
        self._chunks: Iterator[bytes] = answer.chunks()

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = self._descriptor.size + 1
        parts, wanted = [], size
        while wanted and (part := self._take(wanted)):
            parts.append(part)
            wanted -= len(part)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        return bytes(self._take(size if size >= 0 else 1 << 20))

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and (part := self._take(len(view) - done)):
            view[done : done + len(part)] = part
            done += len(part)
        return done

    def close(self) -> None:
        if not self.closed:
            self._answer.close()
            self._progress.end(complete=self._verified)
        super().close()

    def _take(self, limit: int) -> memoryview:
        if self.closed:
            raise ValueError("the blob's stream is closed")
        if not self._rest:
            self._rest = memoryview(self._next_chunk())
        part, self._rest = self._rest[:limit], self._rest[limit:]
        return part

    def _next_chunk(self) -> bytes:
        """The next bytes from the registry, b"" only after they all were verified."""
        while not self._verified:
            try:
                chunk = next(self._chunks, b"")
                if not chunk and self._received < self._descriptor.size:
                    raise _dropped(self._answer)
            except Unreachable as error:
                self._resume(error)
                continue
            self._received += len(chunk)
            self._since_failure += len(chunk)
            self._hash.update(chunk)
            if self._received >= self._descriptor.size:
                self._verify()
            self._progress.advance(self._received)
            if chunk:
                return chunk
        return b""

    def _verify(self) -> None:
        wanted = self._descriptor
        if self._received > wanted.size:
            raise self._mismatch(f"more than the {wanted.size} bytes of its descriptor came")
        if self._hash.hexdigest() != wanted.digest.hex:
            raise self._mismatch(f"the bytes have the digest {wanted.digest.algorithm}:{self._hash.hexdigest()}")
        try:
            surplus = next(self._chunks, b"")  # the end of the body, so that the connection is free again
        except Unreachable:
            surplus = b""
        if surplus:
            raise self._mismatch(f"more than the {wanted.size} bytes of its descriptor came")
        self._answer.close()
        self._verified = True

    def _mismatch(self, why: str) -> DigestMismatch:
        self._answer.close()
        return DigestMismatch(f"{self._what} is not what its digest says", why=why, where=f"GET {self._answer.url}")

    def _check_length(self, answer: Answer) -> None:
        length = answer.header("content-length")
        if length is not None and length.isdigit() and int(length) != self._descriptor.size:
            answer.close()
            raise DigestMismatch(
                f"{self._what} has another size than its descriptor says",
                why=f"the registry has {length} bytes, the descriptor says {self._descriptor.size}",
            )

    def _resume(self, error: RegistryError) -> None:
        """Ask for the bytes that are missing; every failure on the way counts against the same patience."""
        failure, retry_after = error, None
        while True:
            self._answer.close()
            self._patience.progressed(self._since_failure)
            self._since_failure = 0
            self._patience.wait(failure, retry_after)
            retry_after = None
            at = self._received
            try:
                answer = self._get({"Range": f"bytes={at}-{self._descriptor.size - 1}"} if at else {})
                if answer.status in RETRYABLE:
                    retry_after = parse_retry_after(answer.header("retry-after"))
                    failure = answer.error(self._what)
                    continue
                if answer.status == 200:
                    self._check_length(answer)
                    chunks = self._skip(answer, answer.chunks())
                elif answer.status == 206:
                    self._check_range(answer)
                    chunks = answer.chunks()
                else:
                    raise answer.error(f"{self._what} cannot be read on from byte {at}")
            except Unreachable as again:
                failure = again
                continue
            self._answer, self._chunks = answer, chunks
            return

    def _check_range(self, answer: Answer) -> None:
        text = answer.header("content-range") or ""
        match = _CONTENT_RANGE.fullmatch(text)
        size = self._descriptor.size
        if not match or int(match[1]) != self._received or match[3] not in ("*", str(size)):
            answer.close()
            raise BadAnswer(
                f"{self._what} cannot be read on from byte {self._received}",
                why=f"the registry sent the range {text!r}",
                **answer.place,
            )

    def _skip(self, answer: Answer, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """What comes after the bytes that are there already, when the registry ignores Range.

        Those bytes must be the same as before.
        """
        again = self._descriptor.digest.hasher()
        left = self._received
        rest = b""
        while left:
            chunk = next(chunks, b"")
            if not chunk:
                raise _dropped(answer)
            again.update(chunk[:left])
            rest = chunk[left:]
            left -= min(left, len(chunk))
        if again.digest() != self._hash.digest():
            raise self._mismatch("after a dropped connection other bytes came")
        return itertools.chain([rest] if rest else [], chunks)


def _dropped(answer: Answer) -> Unreachable:
    error = Unreachable("The answer broke off", why="the blob is not complete", method=answer.method, url=answer.url)
    error.connected = True
    return error
