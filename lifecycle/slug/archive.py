"""The slug: an app that was built, as one compressed tar archive whose bytes depend on its content alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive import (
    EPOCH_1980,
    Extracted,
    Limits,
)
from lifecycle.errors import PylifeError
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass

SLUG_OWNER = (2000, 2000)
"""The user ``slug`` of slugrunner images: files added to a child image by an archive belong to who runs the app."""

SIZE_LIMIT = 1 << 30
"""Bytes of the largest slug, compressed, unless SLUG_SIZE_LIMIT says otherwise. Source: Heroku, "Slug size"."""

SIZE_WARNING = 300 << 20
"""Bytes from which on a slug is called large."""

READ_LIMITS = Limits(entries=2_000_000, unpacked=32 << 30, ratio=200, ratio_from=256 << 20)
"""What a slug or a cache may unpack to."""


class SlugTooLarge(PylifeError):
    """The slug is larger, compressed, than it may be."""

    code = "slug.too-large"
    fix = (
        "List what the app needs only for its build in .slugignore, or keep large files elsewhere; "
        "--max-size (SLUG_SIZE_LIMIT) sets another limit, 0 none."
    )


class SlugUnwritable(PylifeError):
    """The slug could not be written: a full disk, a quota, a directory that is not there."""

    code = "slug.unwritable"
    fix = "Free some space (`pylife gc` removes what no image needs), or write to another place."


class SlugOutputClosed(PylifeError):
    """Whoever was to read the slug from standard output stopped reading."""

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
    fix = "Write a number with a unit, for example 500M or 1G; 0 means no limit."


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
    """Bytes in ``text``: a number, with K, M, G (powers of 1024) behind it or not. Raises BadSizeLimit."""
    raise NotImplementedError


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
    is true for. Extended attributes and sockets are left out too. Once more than ``limit`` bytes (0 for no limit) have
    come, no more are written, and SlugTooLarge tells the whole size. Raises SlugUnwritable, SlugOutputClosed, and
    what ``walk`` raises.
    """
    raise NotImplementedError


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
    None: whoever unpacks. setuid and setgid bits are dropped; devices and FIFOs, names that lead out and archives that
    grow without measure are refused. Whatever fails leaves the directory empty. Raises BadSlug, SlugUnwritable.
    """
    raise NotImplementedError
