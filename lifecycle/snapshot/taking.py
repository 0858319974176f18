"""Putting a finished tree into the layout in which it is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lifecycle.snapshot.base import Tree
from lifecycle.snapshot.copying import Copier
from lifecycle.snapshot.errors import SnapshotFailed
from lifecycle.snapshot.places import remove_tree


def put_in_layout(root: str, at: str, destination: Path, move: Callable[[str], None], copier: Copier) -> Tree:
    """Make ``destination`` a Tree of ``root``'s directory ``at``, moved there by ``move`` (given the new path).

    The directories on the way get the owners and modes that they have in ``root``. Raises SnapshotFailed.
    """
    partial = f"{destination}.{os.urandom(4).hex()}.partial"
    parts = at.strip("/").split("/")
    try:
        if not os.path.isdir(os.path.join(root, *parts)) or os.path.islink(os.path.join(root, *parts)):
            raise NotADirectoryError(20, "there is no such directory in the root", at)
        os.makedirs(partial, mode=0o755)
        for count in range(1, len(parts)):
            source, target = os.path.join(root, *parts[:count]), os.path.join(partial, *parts[:count])
            os.mkdir(target)
            copier.status(source, target, os.stat(source))
        move(os.path.join(partial, *parts))
        os.rename(partial, destination)
    except OSError as error:
        remove_tree(partial)
        raise SnapshotFailed(f"{at} could not be kept", why=f"{error.filename}: {error.strerror}") from error
    except BaseException:
        remove_tree(partial)
        raise
    return Tree(destination, at)
