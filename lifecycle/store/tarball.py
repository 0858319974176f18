"""Tar files that hold images, read in place: an index of their members, opened by offset.

The standard library finds the members (there are few, and it seeks over their content); layers are never read with it.
"""

from __future__ import annotations

import io
import os
import posixpath
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive.compress import decompress
from lifecycle.oci import BadDigest, Digest, Index
from lifecycle.store.blobs import verifying
from lifecycle.store.errors import BadArchive, MissingBlob, NotALayout, of_oserror
from lifecycle.store.layout import INDEX_FILE, LAYOUT_FILE, check_layout_version, parse_index
from lifecycle.store.partial import Partial

_MEMBER_LIMIT = 100_000
_DOCUMENT_LIMIT = 8 << 20
_LINK_LIMIT = 16
_CHUNK = 1 << 20


class TarFile:
    """The regular files of a tar archive by name, links followed. A compressed archive is unpacked beside itself
    into a file without a name.

    Raises BadArchive when it is no tar file. Names have no leading ``./`` or ``/``; of two members of one name the
    last counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _plain(path) as file:
            self.fd = os.dup(file.fileno())
            weakref.finalize(self, os.close, self.fd)
            self._spans, self._links = _members(path, file)

    def names(self) -> list[str]:
        """The names of the regular files, sorted."""
        return sorted(self._spans)

    def has(self, name: str) -> bool:
        return self._span(name) is not None

    def size(self, name: str) -> int | None:
        span = self._span(name)
        return None if span is None else span[1]

    def resolve(self, name: str) -> str:
        """The name of the regular file that ``name`` leads to; ``name`` itself when it leads nowhere."""
        current = _clean(name)
        for _ in range(_LINK_LIMIT):
            if current in self._spans or current not in self._links:
                return current
            current = self._links[current]
        return current

    def open(self, name: str) -> BinaryIO:
        """The bytes of a member, as often and from as many threads as wanted; raises BadArchive when it is absent."""
        span = self._span(name)
        if span is None:
            raise BadArchive(f"{self.path} has no file {name!r}", why="the archive is incomplete")
        return io.BufferedReader(_Span(self, *span), _CHUNK)

    def document(self, name: str) -> bytes:
        """A small member whole; raises BadArchive when it is absent or unreasonably large."""
        if (self.size(name) or 0) > _DOCUMENT_LIMIT:
            raise BadArchive(f"{name!r} in {self.path} is larger than {_DOCUMENT_LIMIT >> 20} MiB")
        with self.open(name) as stream:
            return stream.read()

    def _span(self, name: str) -> tuple[int, int] | None:
        return self._spans.get(self.resolve(name))


class _Span(io.RawIOBase):
    """``size`` bytes of an archive from ``offset``, by positioned reads; keeps the archive open."""

    def __init__(self, archive: TarFile, offset: int, size: int) -> None:
        self._archive = archive
        self._offset = offset
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = os.preadv(self._archive.fd, [memoryview(buffer)[: self._left]], self._offset) if self._left else 0
        self._offset += count
        self._left -= count
        return count


def _plain(path: Path) -> BinaryIO:
    """The archive without compression, seekable."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise of_oserror(error, path) from error
    head = file.read(4)
    file.seek(0)
    if not head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return file
    writable = os.access(path.parent, os.W_OK)
    with Partial(path.parent if writable else Path(tempfile.gettempdir())) as partial:
        with file, decompress(file) as stream:
            while data := stream.read(_CHUNK):
                partial.write(data)
        return partial.reopen()


def _members(path: Path, file: BinaryIO) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    import tarfile

    spans: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for count, member in enumerate(archive):
                if count > _MEMBER_LIMIT:
                    raise BadArchive(f"{path} has more than {_MEMBER_LIMIT} files", why="no image archive has so many")
                name = _clean(member.name)
                if member.issym():
                    links[name] = _clean(posixpath.join(posixpath.dirname(name), member.linkname))
                elif member.islnk():
                    links[name] = _clean(member.linkname)
                elif member.isreg() and not member.issparse():
                    spans[name] = (member.offset_data, member.size)
    except (tarfile.TarError, ValueError, OSError, OverflowError) as error:
        raise BadArchive(f"{path} is not a tar archive of images", why=str(error)) from error
    return spans, links


def _clean(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


class ArchiveBlobs:
    """The blobs of an OCI layout inside a tar file."""

    def __init__(self, tar: TarFile) -> None:
        self._tar = tar

    def has(self, digest: Digest) -> bool:
        return self._tar.has(_blob_name(digest))

    def size(self, digest: Digest) -> int | None:
        return self._tar.size(_blob_name(digest))

    def open(self, digest: Digest, *, verify: bool = True) -> BinaryIO:
        if not self.has(digest):
            raise MissingBlob(f"The blob {digest} is missing", where=str(self._tar.path))
        stream = self._tar.open(_blob_name(digest))
        return verifying(stream, digest, self.size(digest), str(self._tar.path)) if verify else stream

    def digests(self) -> list[Digest]:
        """Every blob that is there, sorted."""
        found = []
        for name in self._tar.names():
            algorithm, _, hex_ = name.removeprefix("blobs/").partition("/")
            with suppress(BadDigest):
                found.append(Digest.parse(f"{algorithm}:{hex_}"))
        return sorted(found)


def open_oci_archive(path: Path) -> tuple[Index, ArchiveBlobs]:
    """The index and the blobs of an OCI layout in the tar file ``path``; raises BadArchive or NotALayout."""
    import json

    tar = TarFile(path)
    if not tar.has(LAYOUT_FILE):
        raise NotALayout(f"{path} is not an OCI image archive", why="it has no file oci-layout")
    try:
        check_layout_version(json.loads(tar.document(LAYOUT_FILE)), str(path))
    except ValueError as error:
        raise NotALayout(f"{path} is not an OCI image archive", why="oci-layout is not JSON") from error
    return parse_index(tar.document(INDEX_FILE)), ArchiveBlobs(tar)


def _blob_name(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"
