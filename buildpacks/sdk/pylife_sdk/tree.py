"""Content hashes of files and trees: the parts that layer keys are made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Iterable

# ".heroku" is where classic buildpacks put what they made, while the app around it is built.
SKIPPED = frozenset({".git", "__pycache__", ".heroku"})


def digest(parts: Iterable[bytes]) -> str:
    """One sha256 over several byte strings, unambiguous about where one ends."""
    total = hashlib.sha256()
    for part in parts:
        total.update(b"%d:" % len(part))
        total.update(part)
    return total.hexdigest()


def tree_digest(root: str, *, skip: Container[str] = SKIPPED) -> str:
    """The sha256 of a tree's names, modes that matter, links and contents; times and owners do not count.

    ``skip`` are names left out at any depth. Sockets, pipes and devices are left out; what cannot be read counts by
    its name.
    """
    total = hashlib.sha256()
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as entries:
                found = sorted((entry for entry in entries if entry.name not in skip), key=_by_name)
        except OSError as error:
            total.update(f"unreadable:{error.errno}".encode())
            continue
        for entry in found:
            name = os.fsencode(os.path.relpath(entry.path, root))
            if entry.is_symlink():
                total.update(b"l%s\0%s\0" % (name, os.fsencode(os.readlink(entry.path))))
            elif entry.is_dir():
                total.update(b"d%s\0" % name)
                pending.append(entry.path)
            elif entry.is_file():
                _add_file(total, name, entry)
    return total.hexdigest()


def _by_name(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def _add_file(total: hashlib._Hash, name: bytes, entry: os.DirEntry[str]) -> None:
    info = entry.stat()
    total.update(b"f%s\0%d\0%d\0" % (name, info.st_mode & 0o111, info.st_size))
    try:
        with open(entry.path, "rb") as file:
            while chunk := file.read(1 << 20):
                total.update(chunk)
    except OSError as error:
        total.update(f"unreadable:{error.errno}".encode())
