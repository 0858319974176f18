"""The classic buildpacks that come with pylife, in the order in which they are asked."""

from __future__ import annotations

import shutil
from pathlib import Path

from lifecycle.builder.share import shared
from lifecycle.slug.selection import BuildpackReference

ORDER = ("python", "nodejs", "java", "static", "null")
"""Heroku's order, in which Python comes before Node.js; the slugbuilder's had Node.js first."""

LAST_RESORT = "null"
"""Takes every app and compiles nothing: of use where a Procfile says what to start."""

_NEEDS = "needs"
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def default_buildpacks() -> tuple[BuildpackReference, ...]:
    """A reference of kind ``named`` for each."""
    return tuple(BuildpackReference("", name=name, kind="named") for name in ORDER)


def place_default(name: str, into: Path) -> Path:
    """The new directory ``into`` with the buildpack of that name, complete: the packages that it shares with others,
    which its file ``needs`` names relative to it, are in its own ``lib``."""
    directory = shared("buildpacks") / "classic" / name
    shutil.copytree(directory, into, symlinks=True, ignore=_IGNORED)
    needs = directory / _NEEDS
    for line in needs.read_text().split() if needs.is_file() else ():
        shutil.copytree(directory / line, into / "lib", symlinks=True, ignore=_IGNORED, dirs_exist_ok=True)
    return into
