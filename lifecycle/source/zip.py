"""A zip archive unpacked as a source tree.

Links are made after all files, so that no entry can be written through one.
"""

from __future__ import annotations

import calendar
import os
import shutil
import stat
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive import Limits
from lifecycle.source.errors import BadArchive

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_UTF8 = 0x800
_ENCRYPTED = 0x1
_LINK_LIMIT = 4096


def extract_zip(stream: BinaryIO, destination: Path, *, name: str, limits: Limits | None = None) -> None:
    """Unpack the zip archive in the seekable ``stream`` into the empty directory ``destination``.

    Raises BadArchive, naming the archive as ``name``, for damage and for entries that would leave the destination.
    """
    limits = limits or Limits()
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
            if len(infos) > limits.entries:
                raise BadArchive(f"{name} is too large", why=f"it has more than {limits.entries} entries")
            size = sum(info.file_size for info in infos)
            stored = max(sum(info.compress_size for info in infos), 1)
            if size > limits.unpacked or (size > limits.ratio_from and size > stored * limits.ratio):
                raise BadArchive(f"{name} is too large", why=f"{stored} bytes would become {size}")
            links = [info for info in infos if not _extract_entry(archive, info, destination, name)]
            for info in links:
                _make_link(archive, info, destination, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BadArchive(f"{name} cannot be unpacked", why=str(error) or "it is damaged") from error


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """The name as it is stored: without the UTF-8 flag the bytes are what the packer's system used."""
    return info.orig_filename.encode() if info.flag_bits & _UTF8 else info.orig_filename.encode("cp437")


def _place(info: zipfile.ZipInfo, destination: Path, archive: str) -> bytes:
    raw = _raw_name(info)
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if raw.startswith(b"/") or b".." in parts or b"\0" in raw:
        shown = raw.decode(errors="backslashreplace")
        raise BadArchive(f"{archive} holds an entry that leaves the source directory", why=shown)
    if info.flag_bits & _ENCRYPTED:
        raise BadArchive(f"{archive} cannot be unpacked", why=f"{info.filename} is encrypted")
    return os.path.join(os.fsencode(destination), *parts)


def _extract_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, destination: Path, name: str) -> bool:
    """Make a directory or a file; False for a link, which has to wait."""
    place = _place(info, destination, name)
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return False
    try:
        if info.is_dir():
            os.makedirs(place, exist_ok=True)
            os.chmod(place, (stat.S_IMODE(mode) & 0o777 or 0o755) | 0o700)
            return True
        os.makedirs(os.path.dirname(place), exist_ok=True)
        fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out, archive.open(info) as content:
            shutil.copyfileobj(content, out, 1 << 20)
            os.fchmod(fd, stat.S_IMODE(mode) & 0o777 or 0o644)
        with suppress(ValueError, OverflowError):  # a date that no calendar has
            seconds = calendar.timegm((*info.date_time, 0, 0, 0))
            os.utime(place, (seconds, seconds))
    except FileExistsError as error:
        raise BadArchive(f"{name} holds two entries of one name", why=info.filename) from error
    except NotADirectoryError as error:
        raise BadArchive(f"{name} holds a file where a directory is needed", why=info.filename) from error
    except RuntimeError as error:
        raise BadArchive(f"{name} cannot be unpacked", why=str(error)) from error
    return True


def _make_link(archive: zipfile.ZipFile, info: zipfile.ZipInfo, destination: Path, name: str) -> None:
    place = _place(info, destination, name)
    if info.file_size > _LINK_LIMIT:
        raise BadArchive(f"{name} holds a link with an impossible target", why=info.filename)
    parent = os.path.dirname(place)
    inside = os.path.join(os.path.realpath(os.fsencode(destination)), os.path.relpath(parent, os.fsencode(destination)))
    # Nothing above the link may be a link itself, or this one would land outside.
    if os.path.realpath(parent) != os.path.normpath(inside):
        raise BadArchive(f"{name} holds an entry beneath a link", why=info.filename)
    try:
        os.makedirs(parent, exist_ok=True)
        os.symlink(archive.read(info), place)
    except OSError as error:
        raise BadArchive(
            f"{name} holds a link that cannot be made", why=f"{info.filename}: {error.strerror}"
        ) from error
