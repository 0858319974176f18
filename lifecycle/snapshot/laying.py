"""Laying unpacked layers over each other as ordinary files, where nothing can be mounted."""

from __future__ import annotations

import os
import stat

from lifecycle.snapshot.copying import Copier, attributes
from lifecycle.snapshot.places import remove_tree
from lifecycle.snapshot.stratum import Stratum

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


def lay_over(stratum: Stratum, target: str, copier: Copier) -> None:
    """Lay one unpacked layer over ``target``: its whiteouts remove, its files replace, its directories join.

    Nothing that is there is written into. Raises OSError.
    """
    seen: dict[tuple[int, int], str] = {}
    finished: list[tuple[str, str]] = []
    pending = [""]
    while pending:
        path = pending.pop()
        pending += _lay_directory(stratum, path, target, copier, seen)
        finished.append((os.path.join(stratum.path, path), path))
    for source, path in reversed(finished):  # a read-only directory could not be filled
        if (path or ".") not in stratum.implied:
            wanted = attributes(source)
            for name in attributes(os.path.join(target, path)):
                if name.startswith("user.") and name not in wanted:
                    os.removexattr(os.path.join(target, path), name)
            copier.status(source, os.path.join(target, path), os.stat(source))


def _lay_directory(
    stratum: Stratum, path: str, target: str, copier: Copier, seen: dict[tuple[int, int], str]
) -> list[str]:
    """Lay what is in one directory; the directories in it, which are made but not filled."""
    source = os.path.join(stratum.path, path)
    there = os.path.join(target, path)
    with os.scandir(source) as entries:
        found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    if _OPAQUE in found:
        for name in os.listdir(there):
            remove_tree(os.path.join(there, name))
    for name in found:
        if name.startswith(_WHITEOUT) and not name.startswith(".wh..wh."):
            remove_tree(os.path.join(there, name.removeprefix(_WHITEOUT)))
    below = []
    for name, status in found.items():
        if name.startswith(_WHITEOUT):
            continue
        goal = os.path.join(there, name)
        if stat.S_ISDIR(status.st_mode):
            if os.path.islink(goal) or not os.path.isdir(goal):
                remove_tree(goal)
                os.mkdir(goal, 0o755)
                copier.status(os.path.join(source, name), goal, status)
            below.append(os.path.join(path, name))
        else:
            remove_tree(goal)
            copier.entry(os.path.join(source, name), goal, status, seen)
    return below
