"""The pylife that is running, as what it takes to put it into an image: its files, and what it depends on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import lifecycle
from lifecycle.builder.files import tree
from lifecycle.builder.share import SHARED, shared
from lifecycle.errors import PylifeError

DISTRIBUTION = "pylife-build"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class UnknownDependencies(PylifeError):
    """It is not known what the running pylife depends on, so it cannot be put into an image."""

    code = "stack.unknown-dependencies"
    fix = "Install pylife into an environment that has pip: python -m pip install pylife-build"


def own_files() -> dict[str, str]:
    """Every file of pylife: its name below a directory of Python packages → its path, sorted by name."""
    package = os.path.dirname(os.path.realpath(lifecycle.__file__))
    files = {f"lifecycle/{name}": path for name, path in _files(package) if not name.startswith("share/")}
    for name in SHARED:
        top = shared(name)
        if top.is_dir():
            files |= {f"lifecycle/share/{name}/{below}": path for below, path in _files(str(top))}
        else:
            files[f"lifecycle/share/{name}"] = str(top)
    return dict(sorted(files.items()))


def _files(top: str) -> Iterator[tuple[str, str]]:
    for name, path in tree(Path(top)).items():
        if path.is_symlink() or not path.is_dir():
            yield name, str(path)


def digest(files: Mapping[str, str]) -> str:
    """A hash of the files' names, of whether they may be executed, and of what they hold."""
    total = hashlib.sha256()
    for name, path in files.items():
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            content = os.fsencode(os.readlink(path))
        else:
            with open(path, "rb", buffering=0) as file:
                content = file.read()
        runs = bool(status.st_mode & 0o111)
        total.update(f"{name}\0{stat.S_IFMT(status.st_mode)}\0{runs}\0{len(content)}\0".encode())
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
    waiting = list(_wanted(map(parse, direct_requirements()), target, ("",)))
    while waiting:
        requirement = waiting.pop()
        name = _normal(requirement.name)
        if name in found:
            continue
        version = _installed(name)
        found[name] = f"{name}{requirement.specifier}" if version is None else f"{name}=={version}"
        if version is not None:
            needs = importlib.metadata.requires(name) or ()
            waiting += _wanted(map(parse, needs), target, ("", *sorted(requirement.extras)))
    return tuple(found[name] for name in sorted(found))


def are_installed(requirements: Sequence[str]) -> bool:
    """True when the pinned ones among ``requirements`` are what is installed here, and the others are not here."""
    return all(_installed(name) == version for name, version in (_pin(item) for item in requirements))


def _pin(requirement: str) -> tuple[str, str | None]:
    """Name and version of ``name==version``; a requirement with a range has no version."""
    found = re.fullmatch(r"([a-z0-9-]+)(?:==([^,*]+))?.*", requirement)
    assert found is not None
    return found[1], found[2]


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def direct_requirements() -> list[str]:
    """pylife's own requirements, written the same way whoever noted them, and sorted.

    The checkout's where it is one: they may be newer than what was noted when it was installed. Raises
    UnknownDependencies.
    """
    noted = [item.replace('"', "'").split(";") for item in _noted()]
    return sorted(
        "; ".join((_normal_specifier(name), *(text.strip() for text in marker)))
        for name, *marker in noted
        if not any("extra ==" in text for text in marker)
    )


def _noted() -> list[str]:
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


def _normal_specifier(text: str) -> str:
    """``backports.zstd >= 1.0`` as ``backports-zstd>=1.0``."""
    name = re.match(r"[A-Za-z0-9._-]*[A-Za-z0-9]", text.strip())
    assert name is not None
    return _normal(name[0]) + re.sub(r"\s", "", text.strip()[name.end() :])


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
