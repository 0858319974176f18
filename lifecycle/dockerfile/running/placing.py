"""Attachments where nothing can be mounted: put into the root itself for the run, and taken out of it afterwards.

The command may have removed or replaced them meanwhile. What is taken back is only what is still ours: a cache that
is no longer a directory is given up, never followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence

from lifecycle.dockerfile.running.furnishing import Attachment
from lifecycle.sandbox import Rung
from lifecycle.sandbox.stubs import Stubs
from lifecycle.snapshot.copying import Copier
from lifecycle.snapshot.places import remove_tree


@contextlib.contextmanager
def placed(root: str, attachments: Sequence[Attachment], rung: Rung) -> Iterator[None]:
    """``attachments`` are in the tree at ``root`` for the length of the block. Raises OSError."""
    stubs = Stubs(root)
    copier = Copier(own=rung.ids != "single")
    kept: list[tuple[str, str]] = []
    try:
        for each in attachments:
            with stubs.vacate(each.target) as place:
                match each.kind:
                    case "keep" if not each.read_only and all(each.source != source for source, _ in kept):
                        _move(each.source, place, copier)
                        kept.append((each.source, place))
                    case "keep" | "show":
                        copier.entry(each.source, place, os.lstat(each.source), {})
                    case "memory":
                        os.mkdir(place)
                        os.chmod(place, each.mode)
                    case "file":
                        _write(place, each)
                    case "socket":
                        os.link(each.source, place)
        yield
    finally:
        for source, place in reversed(kept):
            _take_back(root, source, place, copier)
        stubs.remove()


def _write(place: str, each: Attachment) -> None:
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(each.content)
        os.fchown(fd, each.uid, each.gid)
        os.fchmod(fd, each.mode)


def _move(source: str, target: str, copier: Copier) -> None:
    """Move a directory; across file systems its content is copied, and the source stays until it is replaced."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copier.tree(source, target)


def _take_back(root: str, source: str, place: str, copier: Copier) -> None:
    try:
        # the way to it may have become a link: then what is there is not the cache
        real = os.path.realpath(place) == os.path.join(os.path.realpath(root), os.path.relpath(place, root))
        there = real and stat.S_ISDIR(os.lstat(place).st_mode)
    except OSError:
        there = False
    if not there:
        return
    partial = source + ".partial"
    try:
        remove_tree(partial)
        _move(place, partial, copier)
        remove_tree(source)
        os.rename(partial, source)
    except OSError:
        remove_tree(partial)
