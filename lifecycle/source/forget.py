"""Forgetting downloads and clones that no build has asked for in a while."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

WEEK = 7 * 86400.0


def forget_remotes(cache: Path, *, unused: float = WEEK) -> int:
    """Remove what was not used for ``unused`` seconds from the cache of remote sources; returns how many things.

    What a running build has just fetched or found is young, so that it is safe beside one.
    """
    before = time.time() - unused
    count = 0
    for path in _old([*cache.glob("http/files/*"), *cache.glob("http/urls/*")], before):
        path.unlink(missing_ok=True)
        count += path.parent.name == "files"
    for note in _old(cache.glob("git/*/trees/*.time"), before):
        note.unlink(missing_ok=True)
        shutil.rmtree(note.with_suffix(""), ignore_errors=True)
        count += 1
    for home in cache.glob("git/*"):
        for partial in _old(home.glob("trees/.partial-*"), before):
            shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
        if list(_old([home / "lock"], before)) and not any((home / "trees").glob("*")):
            shutil.rmtree(home, ignore_errors=True)
            count += 1
    return count


def _old(paths: Iterator[Path] | list[Path], before: float) -> Iterator[Path]:
    for path in paths:
        try:
            if os.lstat(path).st_mtime < before:
                yield path
        except FileNotFoundError:
            continue
