"""Shared libraries that files need beyond glibc: read from their ELF headers, found where the loader would look.

A run image may have glibc and little else. What an interpreter or a compiled package needs on top travels in the
``libs`` directory of its layer. It is not called ``lib``, which a lifecycle puts before everything else: the run
image's own libraries come first where it has them, so that a rebase onto a newer run image mends an old OpenSSL.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterable

from pylife_sdk.layer import Layer

FOLDER = "libs"
# glibc itself must be the run image's own: it belongs to the kernel interface and the loader, not to an app.
_GLIBC: tuple[str, ...] = (
    "ld-linux",
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libresolv.so",
    "libutil.so",
)
_GLIBC += ("libmvec.so", "libanl.so", "libBrokenLocale.so", "libthread_db.so", "libnss_")
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ = 0, 1, 5, 10
_PT_LOAD, _PT_DYNAMIC = 1, 2


def needed(path: str) -> list[str]:
    """The library names that an ELF file asks the loader for; empty for any other file."""
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:4] != b"\x7fELF" or header[4:6] != b"\x02\x01":
            return []
        program_offset, entry_size, entries = (
            *struct.unpack_from("<Q", header, 32),
            *struct.unpack_from("<HH", header, 54),
        )
        file.seek(program_offset)
        table = file.read(entry_size * entries)
        loads, dynamic = [], None
        for index in range(entries):
            kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", table, index * entry_size)
            if kind == _PT_LOAD:
                loads.append((address, offset, size))
            elif kind == _PT_DYNAMIC:
                dynamic = (offset, size)
        if dynamic is None:
            return []
        file.seek(dynamic[0])
        tags: list[tuple[int, int]] = []
        for pair in struct.iter_unpack("<QQ", file.read(dynamic[1] // 16 * 16)):
            if pair[0] == _DT_NULL:
                break
            tags.append(pair)
        values = dict(tags)
        if _DT_STRTAB not in values:
            return []
        at = values[_DT_STRTAB]
        base = next((offset + at - address for address, offset, size in loads if address <= at < address + size), None)
        if base is None:
            return []
        file.seek(base)
        strings = file.read(values[_DT_STRSZ])
    names = [strings[value : strings.index(b"\0", value)] for tag, value in tags if tag == _DT_NEEDED]
    return [os.fsdecode(name) for name in names]


def closure(files: Iterable[str], bundled: Iterable[str] = ()) -> tuple[dict[str, str], list[str]]:
    """The system libraries that ``files`` need, by name with their path, and the names that are nowhere.

    ``bundled`` are names that travel with the files already. glibc's own libraries are left out.
    """
    known, found, absent = set(bundled), dict[str, str](), list[str]()
    pending = list(files)
    while pending:
        for name in needed(pending.pop()):
            # A name with a slash is a place, mostly beside the file itself, and not searched for.
            if name in known or "/" in name or name.startswith(_GLIBC):
                continue
            known.add(name)
            path = _find(name)
            if path is None:
                absent.append(name)
            else:
                found[name] = path
                pending.append(path)
    return dict(sorted(found.items())), sorted(absent)


def copy_libraries(libraries: dict[str, str], layer: Layer) -> None:
    """Copies libraries into a layer under the names that the loader asks for."""
    directory = os.path.join(layer.path, FOLDER)
    os.makedirs(directory, exist_ok=True)
    for name, path in libraries.items():
        target = os.path.join(directory, name)
        shutil.copyfile(path, target)
        os.chmod(target, 0o644)


def add_to_search(layer: Layer) -> None:
    """Lets the loader of a launched process find the layer's libraries after the run image's own."""
    own = [os.path.join(layer.path, FOLDER)]
    layer.set_env("LD_LIBRARY_PATH", ":".join(_system_directories() + own), when="launch", mode="append")
    layer.set_env("LD_LIBRARY_PATH", ":", when="launch", mode="delim")


def elf_files(root: str) -> list[str]:
    """The shared objects below a directory, sorted."""
    return sorted(
        os.path.join(directory, name)
        for directory, _, names in os.walk(root)
        for name in names
        if name.endswith(".so") or ".so." in name
    )


def _find(name: str) -> str | None:
    for directory in ("/usr/local/lib", *_system_directories(), "/lib", "/usr/lib"):
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return os.path.realpath(path)
    return None


def _system_directories() -> list[str]:
    multiarch = f"{os.uname().machine}-linux-gnu"
    return [f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib64", "/usr/lib64"]
