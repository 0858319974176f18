"""Volumes of the host, made the build user's."""

from __future__ import annotations

import os

from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug.place import check_writable
from lifecycle.store.errors import NoAccess

_FIX = "Give the directory on the host to the image's user (chown -R 2000:2000), or run the container as root."


def give(root: BuildRoot, inside: str, owner: tuple[int, int] | None) -> None:
    """Make the directory ``inside``, where it is another's, and all in it ``owner``'s: a mounted folder, or the cache
    of a tool that ran as another user. Links are not followed. Raises NoAccess where the build could not write there.

    Source: herokuish, include/buildpack.bash (buildpack-setup).
    """
    place = root.host(inside)
    try:
        if owner is not None and os.stat(place).st_uid != owner[0]:
            for _, directories, files, fd in os.fwalk(place):
                for name in (*directories, *files):
                    os.chown(name, *owner, dir_fd=fd, follow_symlinks=False)
            os.chown(place, *owner)  # last: until then it is not done
    except OSError as error:
        raise NoAccess(f"{inside} cannot be given to the build's user", why=error.strerror, fix=_FIX) from error
    check_writable(root, inside, fix=_FIX)
