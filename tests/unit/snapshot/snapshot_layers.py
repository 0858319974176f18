"""Layers made by hand, shared by the tests of snapshots."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifecycle.oci.digest import Digest
from lifecycle.snapshot.base import Snapshotter

OnRung = Callable[[Callable[[Snapshotter, Path], Any]], Any]


def tar(*rows: tuple[Any, ...]) -> bytes:
    """A layer: (name, bytes) a file, (name, None) a directory, (name, ("->", target)) a link; then mode, owner."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for row in rows:
            name, what = row[0], row[1]
            info = tarfile.TarInfo(name)
            info.mtime = 1000
            info.mode = row[2] if len(row) > 2 else 0o755 if what is None else 0o644
            info.uid = info.gid = row[3] if len(row) > 3 else 0
            if what is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif isinstance(what, tuple):
                info.type = tarfile.SYMTYPE if what[0] == "->" else tarfile.LNKTYPE
                info.linkname = what[1]
                archive.addfile(info)
            else:
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
    return out.getvalue()


def unpack(store: Snapshotter, *layers: bytes) -> list[Digest]:
    digests = [Digest.of(layer) for layer in layers]
    for digest, layer in zip(digests, layers, strict=True):
        store.unpack(digest, lambda layer=layer: io.BytesIO(layer))  # type: ignore[misc]
    return digests


BASE = tar(
    ("etc", None),
    ("etc/a", b"1"),
    ("etc/b", b"2"),
    ("var", None, 0o700),
    ("var/x", b"x"),
    ("old", None),
    ("old/f", b""),
)
