"""Which directories of a compiled app are slices of their own, so that a change of code sends little."""

from __future__ import annotations

from collections.abc import Collection

RUNTIMES = (".heroku", ".jdk", ".jre", ".apt")
"""Directories in which classic buildpacks put runtimes: they change least."""
DEPENDENCIES = ("node_modules", "vendor", ".m2", ".venv", ".python_packages", ".bundle")
"""Directories in which they put what the app depends on."""


def find_slices(names: Collection[str]) -> list[tuple[str, ...]]:
    """The slices of an app at whose top are ``names``: its runtimes, its dependencies. What remains is its own."""
    found = [tuple(name for name in group if name in names) for group in (RUNTIMES, DEPENDENCIES)]
    return [group for group in found if group]
