"""Where the app's source is: a directory, an archive, or an archive on standard input."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from lifecycle.archive import Entry, Ownership, Whiteouts, decompress, extract
from lifecycle.archive.errors import NotATar
from lifecycle.archive.tree import Tree
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.source.errors import BadArchive, SourceNotFound, SourceUnreadable, SourceUnsupported
from lifecycle.source.zip import MAGIC, extract_zip

_SCHEMES = ("dir", "file", "tar")


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """Source in a directory."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """Source in an archive: tar (plain, gzip or zstd) or zip, told apart by its bytes."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class StdinSource:
    """Source in an archive on standard input."""

    def __str__(self) -> str:
        return "standard input"


SourcePlace = DirectorySource | ArchiveSource | StdinSource


def parse_source(text: str) -> SourcePlace:
    """The place in ``text``: a path, ``-``, or a path behind ``dir://``, ``tar://`` or ``file://``.

    Raises SourceNotFound when nothing is there, SourceUnsupported for another scheme.
    """
    if text == "-":
        return StdinSource()
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in _SCHEMES:
        raise SourceUnsupported(f"The source {text} cannot be used", why=f"{scheme}:// is not a known kind of source")
    if not separator:
        scheme, rest = "", text
    elif scheme == "file":
        rest = unquote(rest.removeprefix("localhost"))
    path = Path(rest).expanduser()
    if not rest or not path.exists():
        raise SourceNotFound(f"The source {text} does not exist", why=f"there is nothing at {path.absolute()}")
    if path.is_dir():
        if scheme == "tar":
            raise SourceNotFound(f"The source {text} cannot be used", why="it is a directory, not an archive")
        return DirectorySource(path)
    if scheme == "dir":
        raise SourceNotFound(f"The source {text} cannot be used", why="it is not a directory")
    return ArchiveSource(path)


@contextmanager
def open_source(place: SourcePlace, scratch: Path, *, stdin: BinaryIO | None = None) -> Iterator[Path]:
    """The directory that holds the source while the context lasts.

    A directory is handed out as it is, never to be written to; an archive is unpacked into a new directory in
    ``scratch``, which is removed afterwards. Raises BadArchive, SourceUnreadable.
    """
    if isinstance(place, DirectorySource):
        yield place.path
        return
    scratch.mkdir(parents=True, exist_ok=True)
    unpacked = Path(tempfile.mkdtemp(prefix="source-", dir=scratch))
    try:
        if isinstance(place, StdinSource):
            if stdin is None:
                raise SourceNotFound("There is no source on standard input", why="standard input is not open")
            unpack(io.BufferedReader(_Unseekable(stdin)), unpacked, str(place))
        else:
            try:
                with open(place.path, "rb") as file:
                    unpack(file, unpacked, str(place))
            except OSError as error:
                raise SourceUnreadable(f"{place} cannot be read", why=error.strerror, where=str(place)) from error
        yield unpacked
    finally:
        remove_tree(unpacked)


def unpack(stream: io.BufferedReader, destination: Path, name: str) -> int | None:
    """Unpack a tar or zip archive, whatever its compression, into the empty directory ``destination``.

    Returns the newest time in it (seconds), None when it holds nothing. ``name`` is the archive, for people. Raises
    BadArchive.
    """
    head = stream.peek(4)[:4]
    if not head:
        raise BadArchive(f"{name} holds no source", why="it is empty")
    if head in MAGIC:
        if stream.seekable():
            extract_zip(stream, destination, name=name)
        else:
            with tempfile.TemporaryFile(dir=destination.parent) as whole:  # a zip's table of contents is at its end
                shutil.copyfileobj(stream, whole, 1 << 20)
                whole.seek(0)
                extract_zip(whole, destination, name=name)
        files = (path.lstat() for path in destination.rglob("*"))  # directories and links got the time of now
        return max((int(status.st_mtime) for status in files if stat.S_ISREG(status.st_mode)), default=None)
    newest: int | None = None

    def look(entry: Entry) -> None:
        nonlocal newest
        newest = entry.mtime if newest is None else max(newest, entry.mtime)

    try:
        with decompress(stream, old=True) as tar:
            extract(tar, destination, ownership=Ownership.SELF, whiteouts=Whiteouts.KEEP, report=look)
    except NotATar as error:
        raise BadArchive(f"{name} is neither a tar nor a zip archive", why=str(error)) from error
    except PylifeError as error:
        raise BadArchive(f"{name} cannot be unpacked", why=str(error), fix=error.fix) from error
    return newest


class _Unseekable(io.RawIOBase):
    """A stream read as it comes; closing it leaves the one below open, which is the caller's."""

    def __init__(self, below: BinaryIO) -> None:
        self._below = below

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._below.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def remove_tree(directory: Path) -> None:
    """Remove a tree however deep it is, and though its directories lack the permission to be emptied."""
    fd = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        tree = Tree(fd)
        tree.remove(tree.root, os.fsencode(directory.name))
    finally:
        os.close(fd)
