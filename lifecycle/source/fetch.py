"""A file behind a URL, downloaded once and asked after on every build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lifecycle.oci import Digest
from lifecycle.source.remotes import Remotes


@dataclass(frozen=True, slots=True)
class Fetched:
    """A download. ``path`` lies in the cache and is never to be written to; ``last_modified`` is in seconds.

    ``name`` is the file name that the URL or the server gives it, empty when there is none. ``reused`` is True when
    nothing had to be downloaded.
    """

    path: Path
    digest: Digest
    size: int
    last_modified: int | None
    name: str
    mode: int = 0o600
    reused: bool = False


def fetch_url(url: str, remotes: Remotes, *, checksum: Digest | None = None) -> Fetched:
    """The file at an http or https URL; raises the errors of ``source.remote-*``."""
    raise NotImplementedError
