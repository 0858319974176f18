"""The slug: an app that was built, as one compressed tar archive whose bytes depend on its content alone."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive import (
    EPOCH_1980,
    Entry,
    Extracted,
    Kind,
    Limits,
    Member,
    Ownership,
    Whiteouts,
    decompress,
    extract,
    walk,
    write_tar,
)
from lifecycle.archive.compress import CompressedSink
from lifecycle.archive.entry import printable
from lifecycle.archive.errors import ExtractFailed, NoSpace, NotATar
from lifecycle.archive.tree import Tree
from lifecycle.errors import PylifeError
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass
from lifecycle.source.fetch import is_url, shown_url
from lifecycle.store.errors import of_oserror

SLUG_OWNER = (2000, 2000)
"""The user ``slug`` of slugrunner images: what ADD puts into a child image belongs to who runs the app."""

SIZE_LIMIT = 1 << 30
"""Bytes of the largest slug, compressed, where no other limit is set. Source: Heroku, "Slug size"."""

SIZE_WARNING = 300 << 20
"""Bytes from which on a slug is called large. Source: Heroku, "Slug size"."""

READ_LIMITS = Limits(entries=2_000_000, unpacked=32 << 30, ratio=1100, ratio_from=256 << 20)
"""What a slug or a cache may unpack to: gzip, by which they are compressed here, makes at most 1032 times as much."""

_SPECIAL = (Kind.CHAR, Kind.BLOCK, Kind.FIFO)
_HEROKU = "app"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)


class SlugTooLarge(PylifeError):
    """The slug is larger, compressed, than it may be."""

    code = "slug.too-large"
    fix = (
        "Name in .slugignore what the app does not need, or keep large files elsewhere; "
        "--max-size (SLUG_SIZE_LIMIT) sets another limit, 0 none."
    )


class SlugOutputClosed(PylifeError):
    """Whoever was to read the slug stopped reading."""

    code = "slug.output-closed"
    fix = "Look at the command behind the pipe: it ended before it had the whole slug."


class BadSlug(PylifeError):
    """An archive that should hold a slug is none, is damaged, or tries what a slug may not."""

    code = "slug.bad-archive"
    fix = "Make the slug again, for example with `pylife slug build` or: tar -czf slug.tgz -C APP ."


class BadSizeLimit(PylifeError):
    """The limit of a slug's size is no number of bytes."""

    code = "slug.bad-size-limit"
    exit_code = 2
    fix = "Write a number of bytes, or one with K, M or G behind it: 500M, 1G; 0 means no limit."


@dataclass(frozen=True, slots=True)
class Slug:
    """What is known of a slug once it is written: sizes in bytes, ``size`` of the archive, ``unpacked`` of all files.

    ``files`` counts everything but directories.
    """

    digest: Digest
    size: int
    files: int
    unpacked: int = 0


def parse_size(text: str) -> int:
    """Bytes in ``text``: a number, with K, M or G (powers of 1024) behind it or not. Raises BadSizeLimit."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadSizeLimit(f"{text!r} is no size")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def write_slug(
    directory: Path,
    out: BinaryIO,
    *,
    mtime: int = EPOCH_1980,
    exclude: Collection[str] = (".git",),
    ignore: Callable[[str, bool], bool] | None = None,
    owner: tuple[int, int] = SLUG_OWNER,
    limit: int = SIZE_LIMIT,
) -> Slug:
    """Write what is in ``directory`` as a slug: names ``./…`` in byte order, all with one time and one owner.

    What is called as ``exclude`` has it, at any depth, is left out, and what ``ignore`` (path, whether a directory)
    is true for. Extended attributes, sockets, devices and FIFOs are left out too. Once more than ``limit`` bytes (0
    for no limit) have come, no more are written, and SlugTooLarge tells the whole size. Raises SlugOutputClosed,
    DiskFull, NoAccess, and what ``walk`` raises.
    """
    tally = Tally()
    bounded = _Bounded(out, limit)
    members = tree_members(directory, mtime=mtime, exclude=exclude, ignore=ignore, owner=owner)
    try:
        with CompressedSink(bounded) as sink:
            write_tar(tally.count(members), sink)
            stored = sink.close()
        out.flush()
    except BrokenPipeError as error:
        raise SlugOutputClosed("The slug was not read to its end") from error
    except OSError as error:
        raise of_oserror(error, Path(str(getattr(out, "name", "the slug")))) from error
    if limit and stored.size > limit:
        raise SlugTooLarge(
            f"Compiled slug size: {_short(stored.size)} is too large (max is {_short(limit)})",
            details=f"Largest, before compression:\n{tally.largest()}",
        )
    return Slug(stored.digest, stored.size, tally.files, tally.size)


def read_slug(
    stream: BinaryIO,
    directory: Path,
    name: str,
    *,
    owner: tuple[int, int] | None = None,
    limits: Limits = READ_LIMITS,
) -> Extracted:
    """Unpack a slug (tar: gzip, zstd, xz, bzip2 or plain) into ``directory``, which exists and is empty.

    Heroku's slugs, which hold everything below ``app/``, are unpacked without it. ``owner`` is who gets the files;
    None: whoever unpacks. setuid and setgid bits of files are dropped; devices and FIFOs, names that lead out and
    archives that grow without measure are refused; a link may point out, but nothing is written through it. Whatever
    fails leaves the directory empty. ``name`` is the archive, for people; the secrets of an address are not shown.
    Raises BadSlug, NoSpace, ExtractFailed, NoAccess.
    """
    name = shown_url(name) if is_url(name) else name
    done = unpack_archive(stream, directory, name, owner=owner, limits=limits)
    try:
        if not os.listdir(directory):
            raise BadSlug(f"{name} holds no slug", why="nothing is in it")
        _strip_prefix(directory)
    except OSError as error:
        clear(directory)
        raise of_oserror(error, directory) from error
    return done


def unpack_archive(
    stream: BinaryIO,
    directory: Path,
    name: str,
    *,
    owner: tuple[int, int] | None = None,
    limits: Limits = READ_LIMITS,
) -> Extracted:
    """Unpack an archive into an empty directory, as ``read_slug`` does, but whatever it holds."""
    try:
        with decompress(stream, old=True) as tar:
            return unpack(tar, directory, owner=owner, limits=limits)
    except BaseException as error:
        clear(directory)
        match error:
            case NotATar():
                raise BadSlug(f"{name} is no tar archive", why=str(error)) from error
            case NoSpace() | ExtractFailed():
                raise
            case PylifeError():
                raise BadSlug(f"{name} cannot be unpacked", why=str(error)) from error
            case OSError():
                raise of_oserror(error, directory) from error
            case _:
                raise


def unpack(tar: BinaryIO, directory: Path, *, owner: tuple[int, int] | None, limits: Limits = READ_LIMITS) -> Extracted:
    """Unpack an uncompressed archive for the user of a build, whatever it tries: as ``read_slug`` has it.

    On an error what was unpacked so far remains. Raises BadSlug and what ``extract`` raises.
    """

    foreign = os.geteuid() not in (0, os.stat(directory).st_uid)

    def edit(entry: Entry) -> Entry | None:
        if entry.kind in _SPECIAL:
            raise BadSlug(f"The archive holds {printable(entry.name)}, which is a device or FIFO")
        if foreign and entry.name == b".":
            return None  # a volume that anyone may write to, but only its owner may change
        mode = entry.mode if entry.kind is Kind.DIR else entry.mode & ~0o6000
        if owner is None:
            return entry if mode == entry.mode else replace(entry, mode=mode)
        return replace(entry, mode=mode, uid=owner[0], gid=owner[1])

    ownership = Ownership.SELF if owner is None else Ownership.KEEP
    return extract(tar, directory, ownership=ownership, whiteouts=Whiteouts.KEEP, limits=limits, edit=edit)


def clear(directory: str | Path, *, spare: str = "") -> None:
    """Remove everything in a directory, however deep, whatever its permissions; what is called ``spare`` stays."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        tree = Tree(fd)
        for name in os.listdir(fd):
            if name != spare:
                tree.remove(tree.root, os.fsencode(name))
        tree.close()
    finally:
        os.close(fd)


def tree_members(
    directory: Path,
    *,
    dotted: bool = True,
    mtime: int | None,
    owner: tuple[int, int],
    exclude: Collection[str] = (),
    ignore: Callable[[str, bool], bool] | None = None,
) -> Iterator[Member]:
    """What an archive of a build's directory holds: as ``write_slug`` has it, with ``mtime`` None the files' own.

    ``dotted`` names begin with ``./``, as tar has them; those of layers do not.
    """
    top = os.fsencode(directory)
    names = {os.fsencode(name) for name in exclude}

    def skip(name: bytes) -> bool:
        if name.rpartition(b"/")[2] in names:
            return True
        if ignore is None:
            return False
        with suppress(OSError):  # what went away is told by the walk
            return ignore(os.fsdecode(name), stat.S_ISDIR(os.lstat(top + b"/" + name).st_mode))
        return False

    found = walk(directory, prefix=b"." if dotted else b"", owner=owner, mtime=mtime, xattrs=False, skip=skip)
    return (_as_made_anywhere(member) for member in found if member[0].kind not in _SPECIAL)


def _as_made_anywhere(member: Member) -> Member:
    """The directory itself has the mode of where it was built, a volume say: it is no part of what was built."""
    entry, content = member
    return (replace(entry, mode=0o755), content) if entry.name == b"." else member


class Tally:
    """Counts what goes by: ``files`` (all but directories), ``size`` in bytes."""

    def __init__(self) -> None:
        self.files = 0
        self.size = 0
        self._tops: Counter[bytes] = Counter()

    def count(self, members: Iterator[Member]) -> Iterator[Member]:
        for member in members:
            entry = member[0]
            if entry.kind is not Kind.DIR:
                self.files += 1
                self.size += entry.size
                self._tops[entry.name.split(b"/", 2)[1]] += entry.size
            yield member

    def largest(self) -> str:
        """The largest of what is at the top, a line for each."""
        return "\n".join(f"{_short(size):>8} {printable(name)}" for name, size in self._tops.most_common(5))


class _Bounded:
    """Writes through as long as no more than ``limit`` bytes have come (0: ever); then drops what comes."""

    def __init__(self, out: BinaryIO, limit: int) -> None:
        self._out = out
        self._limit = limit
        self._came = 0

    def write(self, data: bytes) -> int:
        self._came += len(data)
        if not self._limit or self._came <= self._limit:
            self._out.write(data)
        return len(data)


def _strip_prefix(directory: Path) -> None:
    """Move up what lies in ``app/`` when nothing is beside it. Source: Heroku, Platform API "Slug"."""
    if os.listdir(directory) != [_HEROKU]:
        return
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.stat(_HEROKU, dir_fd=top, follow_symlinks=False).st_mode):
            return
        away = f".{_HEROKU}-{os.urandom(8).hex()}"  # its content may hold another "app"
        os.rename(_HEROKU, away, src_dir_fd=top, dst_dir_fd=top)
        below = os.open(away, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
        try:
            os.fchmod(below, 0o700)
            for name in os.listdir(below):
                _move(name, below, top)
        finally:
            os.close(below)
        os.rmdir(away, dir_fd=top)
    finally:
        os.close(top)


def _move(name: str, source: int, destination: int) -> None:
    """Move ``name``; a directory must be writable for that, whatever its mode."""
    mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
    frozen = stat.S_ISDIR(mode) and not mode & stat.S_IWUSR
    if frozen:
        os.chmod(name, mode | stat.S_IWUSR, dir_fd=source)
    os.rename(name, name, src_dir_fd=source, dst_dir_fd=destination)
    if frozen:
        os.chmod(name, mode, dir_fd=destination)


def _short(size: int) -> str:
    """A size as ``du -h`` has it: 83M, 502.5M, 1G."""
    for unit, worth in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= worth:
            return f"{size / worth:.1f}".removesuffix(".0") + unit
    return f"{size}B"
