"""A filesystem to read from: a directory of this host, a stage's root filesystem, an unpacked archive.

Paths are entry names: bytes, relative, no slash at either end, ``b"."`` the root. No path handed to a tree runs
through a symbolic link or holds ``..``: ``resolve`` follows links first, beneath the tree's own root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from lifecycle.archive.entry import DIR, SYMLINK, Content, Entry, Member, printable
from lifecycle.errors import PylifeError

ROOT = b"."
_LINKS_FOLLOWED = 255


class TooManyLinks(PylifeError):
    """Symbolic links lead to each other without an end."""

    code = "copy.link-loop"
    fix = "Look where the links point (`ls -l`, `readlink`) and remove the one that closes the circle."


class FileTree(Protocol):
    """A filesystem to read. Reading it twice gives the same, unless somebody changes a host's directory meanwhile."""

    def lookup(self, path: bytes) -> Entry | None:
        """What is at ``path``, itself and not what a link there points to; None when there is nothing.

        The directories on the way must be real ones: below a link or a file there is nothing.
        """
        ...

    def names(self, path: bytes) -> list[bytes]:
        """The names in directory ``path`` in byte order; none when it is no directory."""
        ...

    def content(self, path: bytes) -> Content:
        """How to read the file at ``path``."""
        ...

    def walk(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Member]:
        """``path`` itself, then all below: directories before their content, names in byte order.

        Names are full (from the tree's root). A second name of a file is a HARDLINK to the first name that the
        walk met. ``skip`` gets each full name but ``path``'s and leaves it and all below it out.
        """
        ...


def resolve(tree: FileTree, path: bytes, *, last: bool = True) -> bytes:
    """The real place of ``path`` in ``tree``: links on the way are followed as in a chroot, ``..`` ends at the root.

    With ``last`` a link at the end is followed too. What does not exist is kept as it is written, so that a dangling
    link gives the place it points to. Raises TooManyLinks.
    """
    waiting = _parts(path)[::-1]
    real: list[bytes] = []
    missing = 0  # components of ``real`` known not to exist, so that nothing below is asked for
    links = 0
    while waiting:
        part = waiting.pop()
        if part == b"..":
            if real:
                real.pop()
                missing = max(0, missing - 1)
            continue
        real.append(part)
        if missing:
            missing += 1
            continue
        if not waiting and not last:
            break
        entry = tree.lookup(b"/".join(real))
        if entry is None:
            missing = 1
        elif entry.kind is SYMLINK:
            links += 1
            if links > _LINKS_FOLLOWED:
                raise TooManyLinks(f"{printable(path)} runs through too many symbolic links")
            if entry.linkname.startswith(b"/"):
                real.clear()
            else:
                real.pop()
            waiting += _parts(entry.linkname)[::-1]
        elif entry.kind is not DIR and waiting:
            missing = 1
    return b"/".join(real) or ROOT


def join(directory: bytes, name: bytes) -> bytes:
    """The entry name of ``name`` in ``directory``; either may be the root."""
    if directory == ROOT:
        return name
    return directory if name == ROOT else directory + b"/" + name


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in (b"", b".")]
