"""What can go wrong where blobs and layouts are kept on disk."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.errors import PylifeError


class DiskFull(PylifeError):
    """There is no room left (or no quota, or a file size limit) for what is being written."""

    code = "store.disk-full"
    fix = "Free some space (`pylife gc` removes what no image uses), or set PYLIFE_HOME to a larger file system."


class NoAccess(PylifeError):
    """The operating system refused to read or write a file of a store, layout or archive."""

    code = "store.no-access"
    fix = (
        "Check that the path exists, who owns it and its permissions; PYLIFE_HOME chooses where pylife keeps its state."
    )


class MissingBlob(PylifeError):
    """A blob that a document names is not where it should be."""

    code = "store.missing-blob"
    fix = "Pull or build the image again; `pylife validate NAME` shows everything it lacks."


class NotALayout(PylifeError):
    """A directory or archive is not an OCI image layout."""

    code = "store.not-a-layout"
    fix = "Name a directory that holds the files oci-layout and index.json, as `skopeo copy … oci:DIR` writes them."


class BadArchive(PylifeError):
    """A tar file that should hold images cannot be read as one."""

    code = "store.bad-archive"
    fix = (
        "Make the archive again with `docker save`, `podman save` or `pylife copy`, and check that it was copied whole."
    )


class StoreBusy(PylifeError):
    """The store cannot be cleaned because another pylife is using it."""

    code = "store.busy"
    fix = "Wait until the other pylife has ended, then run `pylife gc` again."


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` of the block into ``DiskFull`` or ``NoAccess``, naming ``path``."""
    try:
        yield
    except OSError as error:
        raise of_oserror(error, path) from error


def of_oserror(error: OSError, path: Path) -> PylifeError:
    """The error a user should see for ``error``, met while working on ``path``."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return DiskFull(f"There is no room to write {path}", why=f"{reason}; {_free(path)} are free there")
    return NoAccess(f"{path} cannot be used", why=reason)


def _free(path: Path) -> str:
    for place in (path, *path.parents):
        if place.exists():
            return f"{shutil.disk_usage(place).free / 1e6:.1f} MB"
    return "0 MB"
