"""The app's way from where it was compiled to where it runs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from lifecycle.archive.tree import Tree
from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.source.directory import copy_directory
from lifecycle.source.ignore import Filter


def make_inside(root: BuildRoot, top: str, name: str, owner: tuple[int, int] | None) -> str:
    """The inside path of the directory ``name`` in ``top``, made when missing. Raises BadFile for one that is a link:
    it may lead to another's files.
    """
    path = f"{top}/{name}"
    if os.path.islink(root.host(path, follow=False)):
        raise BadFile(f"{path} cannot be written to", why="it is a link", where=path)
    root.make_dirs(path, owner=owner)
    return path


def move_app(root: BuildRoot, build: str, app: str, owner: tuple[int, int] | None) -> None:
    """Make what is in the directory ``build`` the content of ``app``, whatever was there before.

    Both directories stay, since either may be a mount; where they are on different disks, files are copied and given
    to ``owner``.
    """
    source, target = root.host(build), root.host(app)
    if os.path.samefile(source, target):
        return
    empty_directory(target)
    try:
        for name in os.listdir(os.fsencode(source)):
            os.rename(os.path.join(os.fsencode(source), name), os.path.join(os.fsencode(target), name))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise BadFile(f"{app} cannot be written", why=error.strerror, where=app) from error
        copy_directory(Path(source), Path(target), owner=owner, filter=Filter.of(exclude=["!.git"]))
        empty_directory(source)


def empty_directory(place: str) -> None:
    """Remove everything in a directory of the host, however deep, whatever its permissions."""
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        tree = Tree(fd)
        tree.clear(tree.root, None, ())
    finally:
        os.close(fd)
