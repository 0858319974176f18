"""The files of a buildpack by their names, whether they lie in one directory or are put together of several."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, Path | bytes]
"""Name below the buildpack's directory → the file, link or directory that it is a copy of; or the content itself."""

CLASSIC = "classic"
"""Where in a wrapped buildpack the classic one is."""
_PROGRAMS = ("bin/build", "bin/detect", "bin/generate")


def tree(top: Path, prefix: str = "") -> dict[str, Path]:
    """Everything below ``top`` that is part of a buildpack: no byte code, no version control, no pipes."""
    found: dict[str, Path] = {}
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.name in ("__pycache__", ".git") or entry.name.endswith(".pyc"):
                continue
            name, is_dir = prefix + entry.name, entry.is_dir(follow_symlinks=False)
            if is_dir or entry.is_symlink() or entry.is_file():
                found[name] = Path(entry.path)
            if is_dir:
                found |= tree(Path(entry.path), f"{name}/")
    return found


def ordered(files: Files) -> list[str]:
    """The names, each directory before what is in it."""
    return sorted(files, key=lambda name: name.split("/"))


def is_program(name: str) -> bool:
    """Whether a file of that name is to be executable, whatever an archive or a copy has made of it."""
    return name in _PROGRAMS or name.rpartition("/")[0] == f"{CLASSIC}/bin"


def write_files(files: Files, into: Path) -> Path:
    """Make the new directory ``into`` of the files; who may run them stays, programs can be run by everybody."""
    into.mkdir(parents=True)
    for name in ordered(files):
        content, place = files[name], into / name
        if isinstance(content, Path) and content.is_dir() and not content.is_symlink():
            place.mkdir(exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copy2(content, place, follow_symlinks=False)
        else:
            place.write_bytes(content)
        if not place.is_symlink():
            runs = place.stat().st_mode & 0o111 or is_program(name)
            place.chmod(0o755 if runs else 0o644)
    return into
