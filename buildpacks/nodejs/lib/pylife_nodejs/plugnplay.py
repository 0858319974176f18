"""Yarn's Plug'n'Play: archives of packages in .yarn/cache, and .pnp.cjs, which says which of them there are."""

from __future__ import annotations

import os
import shutil

from pylife_sdk.context import read_bytes

_MAPS = (".pnp.cjs", ".pnp.data.json")
_FOLDERS = (".yarn/cache", ".yarn/unplugged")


def drop_unnamed(root: str) -> int:
    """Removes what .pnp.cjs does not name any more and returns the bytes: `yarn workspaces focus` leaves the packages
    that only development needed where they are."""
    said = b"".join(read_bytes(path) for name in _MAPS if os.path.isfile(path := os.path.join(root, name)))
    freed = 0
    for folder in _FOLDERS if said else ():
        place = os.path.join(root, folder)
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            if name.startswith(".") or f"{folder}/{name}/".encode() in said:
                continue
            path = os.path.join(place, name)
            if os.path.isdir(path) and not os.path.islink(path):
                freed += sum(
                    os.lstat(os.path.join(at, file)).st_size for at, _, files in os.walk(path) for file in files
                )
                shutil.rmtree(path)
            else:
                freed += os.lstat(path).st_size
                os.unlink(path)
    return freed
