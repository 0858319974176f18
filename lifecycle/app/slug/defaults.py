"""The classic buildpacks that come with pylife, in the order in which they are asked."""

from __future__ import annotations

from pathlib import Path

from lifecycle.builder.files import write_files
from lifecycle.builder.share import shared
from lifecycle.builder.wrap import classic_files
from lifecycle.slug.selection import BuildpackReference

ORDER = ("python", "nodejs", "java", "static", "null")
"""Heroku's order, in which Python comes before Node.js; the slugbuilder's had Node.js first."""

LAST_RESORT = "null"
"""Takes every app and compiles nothing: of use where a Procfile says what to start."""


def default_buildpacks() -> tuple[BuildpackReference, ...]:
    """A reference of kind ``named`` for each."""
    return tuple(BuildpackReference("", name=name, kind="named") for name in ORDER)


def place_default(name: str, into: Path) -> Path:
    """The new directory ``into`` with the buildpack of that name, complete."""
    return write_files(classic_files(shared("buildpacks") / "classic" / name), into)
