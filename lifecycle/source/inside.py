"""A folder of a source, chosen by its path: one that really lies in it."""

from __future__ import annotations

import os
from pathlib import Path

from lifecycle.source.remote_errors import NoSubdirectory


def subdirectory(root: Path, path: str, name: str) -> Path:
    """The directory ``path`` below ``root``, every link resolved; ``name`` is the source, for people.

    Raises NoSubdirectory when it is none, or is outside.
    """
    top = os.path.realpath(root)
    found = os.path.realpath(os.path.join(top, path.strip("/")))
    if found != top and not found.startswith(f"{top}/"):
        raise NoSubdirectory(f"The folder {path} leads out of {name}")
    if not os.path.isdir(found):
        why = "it is no directory" if os.path.lexists(found) else "it is not there"
        raise NoSubdirectory(f"There is no folder {path} in {name}", why=why)
    return Path(found)
