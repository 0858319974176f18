"""The classic buildpacks that come with pylife, in the order in which they are asked."""

from __future__ import annotations

from lifecycle.slug.selection import BuildpackReference

ORDER = ("python", "nodejs", "java", "static", "null")
"""Heroku's order, in which Python comes before Node.js; the slugbuilder's had Node.js first."""


def default_buildpacks() -> tuple[BuildpackReference, ...]:
    """A reference of kind ``named`` for each."""
    return tuple(BuildpackReference("", name=name, kind="named") for name in ORDER)
