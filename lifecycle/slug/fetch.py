"""Having a buildpack on this host: from git, an archive, or a directory."""

from __future__ import annotations

from pathlib import Path

from lifecycle.slug.selection import BuildpackReference
from lifecycle.source.remotes import Remotes


def fetch_buildpack(reference: BuildpackReference, remotes: Remotes, into: Path, *, local: bool = True) -> Path:
    """The directory ``into``, new, with a copy of the buildpack whose executables are executable.

    ``local`` tells whether paths of this host may be read (only when the user named them).
    """
    raise NotImplementedError
