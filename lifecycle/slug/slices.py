"""Which directories of a compiled app are slices of their own, so that a change of code sends little."""

from __future__ import annotations

from collections.abc import Collection

RUNTIMES = (
    *(f".heroku/*/{name}" for name in ("runtime", "node", "jre", "nginx")),  # pylife's own buildpacks
    ".heroku/node",
    ".jdk",
    ".jre",
    ".apt",
)
"""Where classic buildpacks put runtimes: they change least."""
DEPENDENCIES = (".heroku", "node_modules", "vendor", ".m2", ".venv", ".python_packages", ".bundle")
"""Where they put what the app depends on."""


def find_slices(names: Collection[str]) -> list[tuple[str, ...]]:
    """The slices of an app at whose top are ``names``: its runtimes, its dependencies. What remains is its own.

    Each is the globs of its directories; what matches the first slice is in no other.
    """
    found = [tuple(glob for glob in group if glob.split("/")[0] in names) for group in (RUNTIMES, DEPENDENCIES)]
    return [group for group in found if group]
