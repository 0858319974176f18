"""The pylife that is running, as what it takes to put it into an image: its files, and what it depends on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import lifecycle
from lifecycle.builder.config import tree_files
from lifecycle.builder.share import SHARED, shared
from lifecycle.errors import PylifeError

DISTRIBUTION = "pylife-build"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class UnknownDependencies(PylifeError):
    """It is not known what the running pylife depends on, so it cannot be put into an image."""

    code = "stack.unknown-dependencies"
    fix = "Install pylife into an environment that has pip: python -m pip install pylife-build"


def own_files() -> dict[str, Path]:
    """Every file of pylife: its name below a directory of Python packages → where it is, sorted by name."""
    package = Path(lifecycle.__file__).resolve().parent
    share = package / "share"
    files = {
        f"lifecycle/{path.relative_to(package)}": path for path in tree_files(package) if share not in path.parents
    }
    for name in SHARED:
        top = shared(name)
        for path in tree_files(top) if top.is_dir() else (top,):
            files[f"lifecycle/share/{name}/{path.relative_to(top)}".removesuffix("/.")] = path
    return dict(sorted(files.items()))


def digest(files: dict[str, Path]) -> str:
    """A hash of the files' names, of whether they may be executed, and of what they hold."""
    total = hashlib.sha256()
    for name, path in files.items():
        link = path.is_symlink()
        content = os.fsencode(os.readlink(path)) if link else path.read_bytes()
        total.update(f"{name}\0{link}\0{os.lstat(path).st_mode & 0o111}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def requirements(python: str, architecture: str) -> tuple[str, ...]:
    """What pip is to install for pylife on that Python (``3.11``) and OCI architecture, sorted.

    Everything is pinned to the version that the running pylife works with; only what another Python needs and this one
    does not (so that it is not installed here) has a range. Raises UnknownDependencies.
    """
    parse = _parser()
    target = {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": _MACHINES.get(architecture, architecture),
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    found: dict[str, str] = {}
    waiting = list(_wanted(map(parse, _direct()), target, ("",)))
    while waiting:
        requirement = waiting.pop()
        name = _normal(requirement.name)
        if name in found:
            continue
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = f"{name}{requirement.specifier}"
            continue
        found[name] = f"{name}=={installed.version}"
        waiting += _wanted(map(parse, installed.requires or ()), target, ("", *sorted(requirement.extras)))
    return tuple(found[name] for name in sorted(found))


def _direct() -> list[str]:
    """pylife's own requirements: the checkout's, which may be newer than what was noted when it was installed."""
    project = Path(lifecycle.__file__).resolve().parent.parent / "pyproject.toml"
    if project.is_file():
        data = tomllib.loads(project.read_text()).get("project", {})
        if data.get("name") == DISTRIBUTION:
            return list(data.get("dependencies", ()))
    try:
        return importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UnknownDependencies(
            "It is not known what this pylife depends on", why=f"no package {DISTRIBUTION} is installed here"
        ) from error


def _wanted(requirements: Iterable[Any], target: dict[str, str], extras: tuple[str, ...]) -> Iterator[Any]:
    for item in requirements:
        if item.marker is None or any(item.marker.evaluate({**target, "extra": extra}) for extra in extras):
            yield item


def _parser() -> Any:
    """pip's reader of requirements: pip is needed to download them anyway."""
    try:
        return import_module("pip._vendor.packaging.requirements").Requirement
    except ImportError as error:
        raise UnknownDependencies(
            "What pylife depends on cannot be downloaded", why="this Python has no pip"
        ) from error


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
