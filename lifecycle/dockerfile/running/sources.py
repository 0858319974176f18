"""Directories and files of the host that bind mounts show: found beneath their source, and shielded from writes."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lifecycle.archive.entry import BLOCK, CHAR, DIR, FIFO, HARDLINK, SYMLINK
from lifecycle.dockerfile.running.errors import BadMount
from lifecycle.dockerfile.running.order import ContextTree, RootTree
from lifecycle.sandbox.stubs import resolve_inside
from lifecycle.snapshot.copying import Copier

if TYPE_CHECKING:
    from lifecycle.sandbox import Rung

Scratch = Callable[[], str]
"""Gives a new empty directory, the same file system as the layers', that goes when the step is over."""


def find_source(source: ContextTree | RootTree, path: str, target: str, scratch: Scratch) -> str:
    """The host's file or directory that shows ``path`` of ``source``, links resolved beneath it.

    What ignore rules hide is not shown: then what is left is copied to ``scratch``. Raises BadMount.
    """
    top = os.fspath(source.directory if isinstance(source, ContextTree) else source.path)
    try:
        inside = resolve_inside(top, path)
    except OSError as error:
        raise BadMount(f"The mount at {target} has no source", why=f"{path}: {error.strerror}") from error
    place = os.path.join(top, inside) if inside else top
    if not os.path.lexists(place):
        where = "context" if isinstance(source, ContextTree) else "stage or image"
        raise BadMount(f"The mount at {target} has no source", why=f"{path or '/'} is not in the {where}")
    if not isinstance(source, ContextTree):
        return place
    name = os.fsencode(inside) or b"."
    if source.lookup(name) is None:
        raise BadMount(f"The mount at {target} has no source", why=f"{path} is hidden by the ignore file")
    return _materialise(source, name, scratch()) if source.hides_below(name) else place


def _materialise(tree: ContextTree, top: bytes, scratch: str) -> str:
    """A copy of what ``tree`` shows at and below ``top``."""
    below = os.fsencode(scratch) + b"/shown"
    skip = 0 if top == b"." else len(top)
    modes = []
    for entry, content in tree.walk(top):
        place = below + (b"/" + entry.name[skip:].lstrip(b"/") if entry.name != top else b"")
        if entry.kind == DIR:
            os.mkdir(place)
            modes.append((place, entry.mode))
            continue
        if entry.kind == SYMLINK:
            os.symlink(entry.linkname, place)
            continue
        if entry.kind == HARDLINK:
            os.link(below + b"/" + entry.linkname[skip:].lstrip(b"/"), place)
            continue
        if entry.kind in (CHAR, BLOCK, FIFO):
            kinds = {CHAR: stat.S_IFCHR, BLOCK: stat.S_IFBLK, FIFO: stat.S_IFIFO}
            os.mknod(place, kinds[entry.kind] | entry.mode, os.makedev(entry.dev_major, entry.dev_minor))
        else:
            with open(place, "xb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                elif content is not None:
                    with content() as stream:
                        shutil.copyfileobj(stream, file, 1 << 20)
        os.chmod(place, entry.mode)
    for place, mode in reversed(modes):
        os.chmod(place, mode)
    return os.fsdecode(below)


def discard_writes(place: str, rung: Rung, scratch: Scratch, stack: ExitStack) -> str:
    """Something like the file or directory ``place`` whose changes reach nobody. Raises OSError."""
    if rung.overlay is not None and os.path.isdir(place):
        try:
            return _overlay(place, rung, scratch(), stack)
        except OSError:
            pass  # a file system that overlayfs does not take as a lower one, or one overlay too many: copy
    return copy(place, rung, scratch())


def copy(place: str, rung: Rung, scratch: str) -> str:
    """A copy of the file or directory ``place`` in ``scratch``. Raises OSError."""
    copier = Copier(own=rung.ids != "single")
    target = os.path.join(scratch, "copy")
    copier.entry(place, target, os.lstat(place), {})
    return target


def _overlay(place: str, rung: Rung, scratch: str, stack: ExitStack) -> str:
    merged, upper, work = (os.path.join(scratch, name) for name in ("merged", "upper", "work"))
    for directory in (merged, upper, work):
        os.mkdir(directory)
    status = os.stat(place)
    if rung.ids != "single":
        os.chown(upper, status.st_uid, status.st_gid)
    os.chmod(upper, stat.S_IMODE(status.st_mode))
    os.symlink(os.path.abspath(place), os.path.join(scratch, "0"))
    mounts = rung.mounts()
    mounts.overlay(scratch, ["0"], upper, work, merged)
    stack.callback(mounts.unmount, merged)
    return merged
