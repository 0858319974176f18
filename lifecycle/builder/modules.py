"""A layer of Python modules with their byte code, which the Python of the image they are for makes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive import Entry, Kind, Member
from lifecycle.builder.compile import Workshop, opened
from lifecycle.errors import PylifeError
from lifecycle.image import Image, Layer, write_layer

PYTHON = "/usr/bin/python3"
_COMPILE = (PYTHON, "-m", "compileall", "-q", "-j1", "--invalidation-mode=unchecked-hash")
_THERE = {".", "opt", "usr", "usr/bin", "usr/local", "usr/local/bin"}
"""Directories that every image has: the layer says nothing about them."""


class UnusablePython(PylifeError):
    """The image that pylife is to be put into has no Python that it could run with."""

    code = "stack.unusable-python"
    fix = "Add the package python3 to both images in the stack.toml, of a suite with Python 3.11 or newer."


def python_layer(files: Mapping[str, Path | bytes | str], lib: str, image: Image, workshop: Workshop) -> Layer:
    """A layer of the files, by their names in the image, and of the byte code of the modules below ``lib``.

    A file is given as where it is, what it holds, or (a text) the target of a link. The byte code is never stale,
    whatever a file's time is, and the same whoever makes it. Raises UnusablePython.
    """
    from lifecycle.sandbox import RunSpec

    tail: deque[str] = deque(maxlen=20)
    with opened(image, workshop) as root:
        for name, content in files.items():
            _place(root / name, content)
        spec = RunSpec(
            (*_COMPILE, f"/{lib}"),
            str(root),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/tmp", "PYTHONHASHSEED": "0"},
            cwd="/",
            trust_host=False,
            timeout=300,
        )
        result = workshop.sandbox.run(spec, lambda stream, line: tail.append(line))
        if not result.ok:
            raise UnusablePython(
                "pylife's modules could not be compiled in the build image",
                why=tail[-1] if tail else f"python3 ended with exit code {result.exit_code}",
                details="\n".join(tail),
            )
        return write_layer(_members(root, lib, files), workshop.store)


def _place(path: Path, content: Path | bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path) and content.is_symlink():
        content = os.readlink(content)
    if isinstance(content, str):
        path.symlink_to(content)
        return
    path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    runs = content.startswith(b"#!") if isinstance(content, bytes) else content.stat().st_mode & 0o111
    path.chmod(0o755 if runs else 0o644)


def _members(root: Path, lib: str, files: Mapping[str, object]) -> Iterator[Member]:
    """What ``_place`` and the compiler left below ``root``, owned by root and in the order of names."""
    names = {*files, *(str(path.relative_to(root)) for path in (root / lib).rglob("*.pyc"))}
    parents = {str(parent) for name in names for parent in Path(name).parents} - _THERE
    for name in sorted(names | parents, key=lambda item: item.split("/")):
        path, encoded = root / name, os.fsencode(name)
        if path.is_symlink():
            yield Entry(encoded, Kind.SYMLINK, 0o777, linkname=os.fsencode(os.readlink(path))), None
        elif path.is_dir():
            yield Entry(encoded, Kind.DIR, 0o755), None
        else:
            status = path.stat()
            mode = 0o755 if status.st_mode & 0o111 else 0o644
            yield Entry(encoded, Kind.FILE, mode, size=status.st_size), _opener(path)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")
