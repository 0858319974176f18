"""What the files of a Python app tell without running or installing anything: its packages, its process types, how to
add a package. Shared by the buildpacks for Python and for its frameworks; cheap to import."""

from __future__ import annotations

import os
import re

from pylife_sdk.output import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The files that name packages, in the order in which they are looked for; each belongs to one package manager.
LOCKS = {
    "requirements.txt": "pip",
    "uv.lock": "uv",
    "poetry.lock": "poetry",
    "pdm.lock": "pdm",
    "Pipfile.lock": "pipenv",
    "pylock.toml": "pylock",
}
_ADD = {
    "uv.lock": "uv add {}",
    "poetry.lock": "poetry add {}",
    "pdm.lock": "pdm add {}",
    "Pipfile.lock": "pipenv install {}",
    "pyproject.toml": "Add {} to the dependencies in pyproject.toml.",
    "pylock.toml": "uv add {} && uv export -o pylock.toml",
}
_LOCKED = re.compile(r'^name = "([^"]+)"', re.M)


def named_packages(app: str, manager: str, files: tuple[str, ...]) -> frozenset[str]:
    """Normalised names, with those that a lock brings along; what cannot be read names none."""
    if manager == "pip":
        from pylife_sdk.requirements import read_requirements

        found: set[str] = set()
        for name in files:
            try:
                wanted = read_requirements(os.path.join(app, name))
            except (Failure, OSError):
                continue
            found |= wanted.names
            if wanted.local and os.path.isfile(os.path.join(app, "pyproject.toml")):
                found |= _declared(os.path.join(app, "pyproject.toml"))
        return frozenset(found)
    path = os.path.join(app, files[0])
    if manager == "pyproject":
        return frozenset(_declared(path))
    text = _read(path)
    if manager == "pipenv":
        return frozenset(_normal(name) for name in re.findall(r'^        "([^"]+)": \{', text, re.M))
    return frozenset(_normal(name) for name in _LOCKED.findall(text))


def package_files(app: str) -> list[str]:
    """The app's files that name packages; pyproject.toml only where there is no lock."""
    found = [name for name in LOCKS if os.path.isfile(os.path.join(app, name))]
    return found or [name for name in ("pyproject.toml",) if os.path.isfile(os.path.join(app, name))]


def how_to_add(file: str, package: str) -> str:
    """The command that adds a package to what ``file`` names."""
    return _ADD.get(file, f"echo {{}} >> {file}").format(package)


def procfile_types(app: str) -> set[str]:
    """The process types of the app's own Procfile."""
    return set(re.findall(r"^\s*([A-Za-z0-9_-]+)\s*:", _read(os.path.join(app, "Procfile")).lstrip("\ufeff"), re.M))


def installed_packages(venv: str) -> frozenset[str]:
    """The normalised names of what an environment has."""
    library = os.path.join(venv, "lib")
    return frozenset(
        _normal(entry.removesuffix(".dist-info").rpartition("-")[0])
        for python in (os.listdir(library) if os.path.isdir(library) else ())
        for entry in os.listdir(os.path.join(library, python, "site-packages"))
        if entry.endswith(".dist-info")
    )


def table(document: object, *names: str) -> dict[str, Any]:
    """A table within a document that somebody wrote; an empty one where there is something else or nothing."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _declared(path: str) -> set[str]:
    import tomllib

    try:
        document = tomllib.loads(_read(path))
    except ValueError:
        return set()
    found = set(table(document, "tool", "poetry", "dependencies"))
    for text in table(document, "project").get("dependencies", ()):
        if match := re.match(r"\s*([A-Za-z0-9][\w.-]*)", str(text)):
            found.add(match[1])
    return {_normal(name) for name in found}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
