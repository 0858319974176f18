"""The CPython that runs the tests, packed as standalone builds are: python/bin and python/lib, free to be moved."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import sysconfig
import tarfile
from pathlib import Path

_LEFT_OUT = {"test", "tests", "site-packages", "dist-packages", "__pycache__", "idlelib", "tkinter", "ensurepip"}
_TIME = 1_700_000_000


def pack(path: Path) -> str:
    """Writes the archive; its sha256. The same interpreter gives the same bytes."""
    minor = sysconfig.get_python_version()
    library = Path(sysconfig.get_path("stdlib"))
    program = Path(os.path.realpath(sys.executable))
    files = {f"bin/python{minor}": program, **dict(_walk(library, f"lib/python{minor}"))}
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and (shared := _shared_library()):
        files[f"lib/{shared.name}"] = shared
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, source in sorted(files.items()):
            content = _movable(source.read_bytes())
            info = tarfile.TarInfo(f"python/{name}")
            info.size, info.mode, info.mtime = len(content), source.stat().st_mode & 0o777, _TIME
            tar.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _walk(library: Path, at: str) -> list[tuple[str, Path]]:
    found = []
    for directory, folders, names in os.walk(library):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and not name.startswith("config-"))
        place = os.path.normpath(os.path.join(at, os.path.relpath(directory, library)))
        found += [(f"{place}/{name}", Path(directory, name)) for name in names if Path(directory, name).is_file()]
    return found


def _shared_library() -> Path | None:
    """The interpreter in a library, where it is no part of the system's own."""
    path = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
    return path if path.is_file() and path.parent != Path("/usr/lib") else None


def _movable(content: bytes) -> bytes:
    """An ELF file whose search path for libraries is beside it in place of where it was built."""
    built, beside = os.fsencode(sysconfig.get_config_var("LIBDIR") or ""), b"$ORIGIN/../lib"
    if not content.startswith(b"\x7fELF") or len(built) < len(beside):
        return content
    return content.replace(built + b"\0", beside.ljust(len(built), b"\0") + b"\0")
