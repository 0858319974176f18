"""Bytes kept under the digest of what they are."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from lifecycle.oci import BadDigest, Digest, DigestMismatch
from lifecycle.store.errors import MissingBlob, disk_errors, of_oserror
from lifecycle.store.partial import Partial, sweep

_CHUNK = 1 << 20


class BlobReader(Protocol):
    """Where blobs can be read."""

    def has(self, digest: Digest) -> bool: ...

    def size(self, digest: Digest) -> int | None:
        """Bytes of the stored form; None when the blob is not there."""
        ...

    def open(self, digest: Digest, *, verify: bool = True) -> BinaryIO:
        """The blob's bytes; with ``verify``, who has read the last byte knows that the digest was right.

        Raises MissingBlob here, DigestMismatch while reading. Pass ``verify=False`` only where what the bytes turn
        into is checked by another digest.
        """
        ...


class BlobWriter(Protocol):
    """A blob being written: committed, or gone as if it had never been."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...

    def commit(self, expected: Digest | None = None) -> Digest:
        """Keep the blob; raises DigestMismatch, and keeps nothing, when it is not ``expected``. Idempotent put."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class BlobStore(BlobReader, Protocol):
    """Where blobs can be read, added and removed."""

    def writer(self, algorithm: str | None = "sha256") -> BlobWriter:
        """A new blob, hashed with ``algorithm`` on its way; None when the caller hashes and commits what it knows."""
        ...

    def delete(self, digest: Digest) -> int:
        """Remove the blob; returns the bytes freed, 0 when it was not there."""
        ...


class VerifyingReader(io.RawIOBase):
    """Reads ``stream`` through; its end is reached only when all bytes have the digest and the size expected."""

    def __init__(self, stream: BinaryIO, digest: Digest, size: int | None = None, where: str = "") -> None:
        self._stream = stream
        self._digest = digest
        self._size = size
        self._where = where
        self._hash = digest.hasher()
        self._count = 0
        self._checked = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        count = len(data)
        buffer[:count] = data
        self._hash.update(data)
        self._count += count
        if self._size is not None and self._count > self._size:
            self._fail(f"more than its {self._size} bytes came")
        if not self._checked and (not data or self._count == self._size):
            self._check()
        return count

    def _check(self) -> None:
        if self._size is not None and self._count != self._size:
            self._fail(f"{self._count} of its {self._size} bytes came")
        if self._hash.hexdigest() != self._digest.hex:
            self._fail(f"the bytes have {self._digest.algorithm}:{self._hash.hexdigest()}")
        self._checked = True

    def _fail(self, why: str) -> None:
        raise DigestMismatch(f"The blob {self._digest} is damaged", why=why, where=self._where or None)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def verifying(stream: BinaryIO, digest: Digest, size: int | None = None, where: str = "") -> BinaryIO:
    """``stream``, raising DigestMismatch instead of ending when its bytes are not those of ``digest``."""
    return io.BufferedReader(VerifyingReader(stream, digest, size, where), _CHUNK)


def check_expected(found: Digest, expected: Digest | None) -> None:
    """Raises DigestMismatch when ``found`` is not ``expected``."""
    if expected is not None and found != expected:
        raise DigestMismatch(f"The blob {expected} did not arrive as announced", why=f"the bytes have {found}")


class DiskBlobs:
    """Blobs in the files ``blobs/<algorithm>/<hex>`` of ``root``, as an OCI image layout has them.

    Many processes may read and write at once: a blob appears complete, by a rename, or not at all.
    Source: OCI image-spec v1.1, image-layout.md, "Blobs".
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: Digest) -> Path:
        """Where the blob is, or would be; whoever reads it there reads it unverified."""
        return self.root / "blobs" / digest.algorithm / digest.hex

    def has(self, digest: Digest) -> bool:
        return self.path(digest).is_file()

    def size(self, digest: Digest) -> int | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            return self.path(digest).stat().st_size
        return None

    def open(self, digest: Digest, *, verify: bool = True) -> BinaryIO:
        path = self.path(digest)
        try:
            stream = path.open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingBlob(f"The blob {digest} is missing", where=str(self.root)) from error
        except OSError as error:
            raise of_oserror(error, path) from error
        if not verify:
            return stream
        return verifying(stream, digest, os.fstat(stream.fileno()).st_size, str(path))

    def writer(self, algorithm: str | None = "sha256") -> DiskBlobWriter:
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        return DiskBlobWriter(self, algorithm)

    def delete(self, digest: Digest) -> int:
        size = self.size(digest)
        if size is None:
            return 0
        with disk_errors(self.path(digest)):
            self.path(digest).unlink(missing_ok=True)
        return size

    def digests(self) -> list[Digest]:
        """Every blob that is there, sorted."""
        found = []
        for path in (self.root / "blobs").glob("*/*"):
            with suppress(BadDigest):
                found.append(Digest.parse(f"{path.parent.name}:{path.name}"))
        return sorted(found)

    def sweep(self) -> tuple[int, int]:
        """Remove what killed writers left; returns (files, bytes freed)."""
        return sweep(self.root)


class DiskBlobWriter:
    """A blob on its way into ``DiskBlobs``."""

    def __init__(self, blobs: DiskBlobs, algorithm: str | None) -> None:
        self._blobs = blobs
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm) if algorithm else None
        self._partial = Partial(blobs.root)

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        if self._hash is not None:
            self._hash.update(data)
        return self._partial.write(data)

    def commit(self, expected: Digest | None = None) -> Digest:
        try:
            digest = _found(self._algorithm, self._hash, expected)
        except BaseException:
            self._partial.discard()
            raise
        path = self._blobs.path(digest)
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._partial.keep(path)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._partial.discard()


class MemoryBlobs:
    """Blobs in memory: for tests, and for the small documents that a reader has to make up."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}

    def has(self, digest: Digest) -> bool:
        return digest in self._blobs

    def size(self, digest: Digest) -> int | None:
        blob = self._blobs.get(digest)
        return None if blob is None else len(blob)

    def open(self, digest: Digest, *, verify: bool = True) -> BinaryIO:
        blob = self._blobs.get(digest)
        if blob is None:
            raise MissingBlob(f"The blob {digest} is missing")
        return verifying(io.BytesIO(blob), digest, len(blob)) if verify else io.BytesIO(blob)

    def put(self, data: bytes) -> Digest:
        """Keep ``data``; returns its digest."""
        digest = Digest.of(data)
        self._blobs[digest] = data
        return digest

    def writer(self, algorithm: str | None = "sha256") -> MemoryBlobWriter:
        return MemoryBlobWriter(self._blobs, algorithm)

    def delete(self, digest: Digest) -> int:
        return len(self._blobs.pop(digest, b""))

    def digests(self) -> list[Digest]:
        """Every blob that is there, sorted."""
        return sorted(self._blobs)


class MemoryBlobWriter:
    """A blob on its way into ``MemoryBlobs``."""

    def __init__(self, blobs: dict[Digest, bytes], algorithm: str | None) -> None:
        self._blobs = blobs
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm) if algorithm else None
        self._data = bytearray()

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        if self._hash is not None:
            self._hash.update(data)
        self._data += data
        return len(data)

    def commit(self, expected: Digest | None = None) -> Digest:
        digest = _found(self._algorithm, self._hash, expected)
        self._blobs[digest] = bytes(self._data)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.clear()


def _found(algorithm: str | None, hasher: hashlib._Hash | None, expected: Digest | None) -> Digest:
    """The digest of what was written; the caller's own when it did the hashing."""
    if hasher is None or algorithm is None:
        if expected is None:
            raise ValueError("a writer that does not hash needs the digest at commit")
        return expected
    found = Digest(algorithm, hasher.hexdigest())
    check_expected(found, expected)
    return found


def put_bytes(blobs: BlobStore, data: bytes) -> Digest:
    """Keep ``data`` in ``blobs`` unless it is there; returns its digest."""
    digest = Digest.of(data)
    if blobs.size(digest) != len(data):
        with blobs.writer(None) as writer:
            writer.write(data)
            writer.commit(digest)
    return digest


def read_bytes(blobs: BlobReader, digest: Digest) -> bytes:
    """The whole blob, verified: for manifests and configs."""
    with blobs.open(digest) as stream:
        return stream.read()


def copy_blob(open_source: BinaryIO, blobs: BlobStore, expected: Digest) -> None:
    """Read ``open_source`` to its end into ``blobs``, verified; closes it."""
    with open_source as stream, blobs.writer(expected.algorithm) as writer:
        while data := stream.read(_CHUNK):
            writer.write(data)
        writer.commit(expected)
