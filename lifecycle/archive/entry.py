"""One entry of a tar archive as a value, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import BinaryIO, Protocol

from lifecycle.record import dataclass

EPOCH_1980 = 315532801
"""1980-01-01T00:00:01Z, the time that CNB gives to every file of a layer (seconds)."""


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    DIR = "dir"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"


# Looking up ``Kind.FILE`` runs Python code in CPython 3.11; the loops over entries use these.
FILE, DIR, SYMLINK, HARDLINK = Kind.FILE, Kind.DIR, Kind.SYMLINK, Kind.HARDLINK
CHAR, BLOCK, FIFO = Kind.CHAR, Kind.BLOCK, Kind.FIFO


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an archive, without its content.

    ``name`` is relative, with no slash at either end and never empty; the root of the tree is ``b"."``.
    ``linkname`` of a hard link is a name of the same form; of a symbolic link, the target as it stands.
    ``mode`` holds the permission bits with setuid, setgid and sticky (07777); ``size`` is in bytes of the
    unpacked content and 0 for everything but files; ``mtime`` is in whole seconds.
    """

    name: bytes
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = EPOCH_1980
    linkname: bytes = b""
    dev_major: int = 0
    dev_minor: int = 0
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


Content = bytes | Callable[[], BinaryIO] | None
"""A file's bytes, or how to open them (the writer opens late and closes), or None for an entry without any."""

Member = tuple[Entry, Content]


class SupportsWrite(Protocol):
    """Anything that takes all the bytes it is given."""

    def write(self, data: bytes, /) -> object: ...


def printable(name: bytes) -> str:
    """``name`` for a message: text where it is text, escapes where not, cut when very long."""
    text = name.decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= 300 else f"{shown[:200]}…{shown[-60:]}"
