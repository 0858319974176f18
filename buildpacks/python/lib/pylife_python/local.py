"""Packages that are installed from the app's own directories: what their part of the environment is made from, and
the leftovers of building them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from pylife_sdk.context import read_bytes
from pylife_sdk.tree import SKIPPED, digest, tree_digest

_BACKENDS = ("hatchling", "setuptools", "flit_core", "poetry.core", "pdm.backend", "uv_build", "pdm_backend")
_HOOKS = (("hatch", "build"), ("pdm", "build"), ("poetry", "build"), ("setuptools", "ext-modules"))


class Local:
    """A directory or an archive that is installed from; ``editable`` leaves the code where it is."""

    __slots__ = ("editable", "path")

    def __init__(self, path: str, editable: bool = False) -> None:
        self.path, self.editable = path, editable


def local_digest(local: Local) -> str:
    """What changes when the installed part of it may change. An editable package's code is none of it, as long as
    nothing but its pyproject.toml says what it is: then only the names of its files count."""
    if not os.path.isdir(local.path):
        return digest([read_bytes(local.path)])
    if not local.editable or not _is_declared(local.path):
        return tree_digest(local.path, skip=SKIPPED | {".venv", "venv"})
    parts = []
    for directory, folders, files in os.walk(local.path):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in SKIPPED)
        at_root = directory == local.path
        for name in sorted(files):
            path = os.path.join(directory, name)
            parts.append(os.fsencode(os.path.relpath(path, local.path)))
            if at_root and (name == "pyproject.toml" or name.upper().startswith(("README", "LICEN", "COPYING"))):
                parts.append(read_bytes(path))
    return digest(parts)


def _is_declared(path: str) -> bool:
    import tomllib

    if any(
        os.path.exists(os.path.join(path, name)) for name in ("setup.py", "setup.cfg", "build.py", "hatch_build.py")
    ):
        return False
    try:
        document = tomllib.loads(read_bytes(os.path.join(path, "pyproject.toml")).decode())
    except (OSError, ValueError):
        return False
    system, project, tool = document.get("build-system", {}), document.get("project", {}), document.get("tool", {})
    known = str(system.get("build-backend", "")).startswith(_BACKENDS) and "backend-path" not in system
    hooks = any("hooks" in str(tool.get(name, {}).get(part, "")) or _runs(tool, name, part) for name, part in _HOOKS)
    files = [table for table in (project.get("readme"), project.get("license")) if isinstance(table, dict)]
    elsewhere = any("/" in str(table.get("file", "")) for table in files)
    return known and not hooks and not elsewhere and not project.get("dynamic")


def _runs(tool: dict[str, dict[str, object]], name: str, part: str) -> bool:
    said = tool.get(name, {}).get(part)
    return said is not None and (name != "hatch" or "targets" not in str(said)) and name != "pdm"


def entries(locals: Iterable[Local]) -> dict[str, set[str]]:
    """All that lies in each directory before it is built."""
    return {local.path: set(_walk(local.path)) for local in locals if os.path.isdir(local.path)}


def clean(before: dict[str, set[str]]) -> bool:
    """Removes what building left in the directories. Returns whether other new files are left there."""
    left = False
    for root, known in before.items():
        for path in sorted(set(_walk(root)) - known):
            relative = os.path.relpath(path, root)
            top = next((part for part in relative.split(os.sep) if _is_leftover(part)), None)
            if top is None:
                left = left or not os.path.isdir(path)
            elif os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            elif os.path.lexists(path):
                os.unlink(path)
    return left


def _is_leftover(name: str) -> bool:
    return name in ("build", "__pycache__") or name.endswith(".egg-info")


def _walk(root: str) -> list[str]:
    return [
        os.path.join(directory, name)
        for directory, folders, files in os.walk(root)
        if "/.git" not in directory
        for name in (*folders, *files)
    ]
