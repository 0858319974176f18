"""How much of an archive is too much."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.archive.entry import printable
from lifecycle.archive.errors import LimitExceeded


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader accepts before it refuses an archive as hostile or broken.

    ``name`` bounds names and link targets, ``pax`` one extended header, ``xattrs`` the attributes of one entry,
    ``unpacked`` the sum of all file sizes (holes counted); all in bytes. ``ratio`` bounds unpacked bytes per byte
    read from the (compressed) source, and counts only above ``ratio_from`` unpacked bytes.
    """

    entries: int = 5_000_000
    name: int = 16_384
    pax: int = 1 << 20
    xattrs: int = 512 << 10
    unpacked: int = 256 << 30
    ratio: int = 400
    ratio_from: int = 1 << 30

    def too_many_bytes(self, unpacked: int, read: int, name: bytes) -> LimitExceeded | None:
        """The error to raise when ``unpacked`` bytes out of ``read`` are too many, else None."""
        if unpacked > self.unpacked:
            why = f"its files come to more than {self.unpacked} bytes"
        elif unpacked > self.ratio_from and unpacked > self.ratio * max(read, 1):
            why = f"{read} bytes would become {unpacked}, more than {self.ratio} times as many"
        else:
            return None
        return LimitExceeded(f"The archive is too large once unpacked, at {printable(name)}", why=why)
