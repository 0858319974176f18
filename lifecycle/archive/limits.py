"""How much of an archive is too much."""

from __future__ import annotations

from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader accepts before it refuses an archive as hostile or broken.

    ``name`` bounds names and link targets, ``pax`` one extended header, ``xattrs`` the attributes of one entry,
    ``unpacked`` the sum of all file sizes (holes counted); all in bytes. ``ratio`` bounds the archive's bytes per
    byte of its compressed form, where the stream is one that ``decompress`` gave, and counts only once more than
    ``ratio_from`` bytes came out.
    """

    entries: int = 5_000_000
    name: int = 16_384
    pax: int = 1 << 20
    xattrs: int = 512 << 10
    unpacked: int = 256 << 30
    ratio: int = 400
    ratio_from: int = 1 << 30
