"""Files at the top of an app's source directory, which may hold anything."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lifecycle.source.errors import SourceUnreadable

_LIMIT = 4 << 20


def read_app_file(app: Path, name: str) -> bytes | None:
    """The bytes of the regular file ``name`` in ``app``; None when there is none, or it is something else.

    A link is followed as long as it stays in the app. Raises SourceUnreadable.
    """
    top = os.path.realpath(app)
    place = os.path.realpath(os.path.join(top, name))
    if not place.startswith(f"{top}/"):
        return None
    try:
        fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceUnreadable(f"{name} cannot be read", why=error.strerror, where=name) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > _LIMIT:
            raise SourceUnreadable(f"{name} cannot be read", why=f"it has more than {_LIMIT >> 20} MiB", where=name)
        with open(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)
