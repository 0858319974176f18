"""What buildpacks keep between the builds of one app, and where: a file, a pair of URLs, an object, an OCI image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.moments import CacheChecked
from lifecycle.slug.transfer import Target
from lifecycle.source.remotes import Remotes

if TYPE_CHECKING:
    from lifecycle.image import Place
    from lifecycle.image.ports import Ports

CACHE_NAME = "cache.tgz"
"""What the cache is called in a folder, and below CACHE_PATH. Source: deis slugbuilder, restore_cache."""


class CacheUnwritable(PylifeError):
    """The archive of the cache could not be made; the old cache stays."""

    code = "slug.cache-unwritable"
    fix = "Free some space (`pylife gc` removes what no image needs); the next build starts from the old cache."


@dataclass(frozen=True, slots=True)
class Restored:
    """What restoring did. ``why`` is one sentence when a cache was there and could not be used.

    ``fingerprint`` is that of the directory as the build gets it.
    """

    found: bool
    why: str = ""
    fingerprint: str = ""


class CacheStore(Protocol):
    """A place for one app's cache."""

    def restore(self, directory: Path, *, owner: tuple[int, int] | None = None) -> Restored:
        """Fill the empty ``directory``; ``owner`` gets the files (None: whoever unpacks). Never fails for what is
        wrong with the cache or its place: then the directory stays empty and ``why`` is told."""
        ...

    def store(self, directory: Path) -> int:
        """Put the directory's content in place of the old cache; returns the bytes kept. On failure the old one
        stays."""
        ...


@dataclass(frozen=True, slots=True)
class ArchiveCache:
    """A cache in an archive: got from ``source`` (what ``fetch_slug`` takes), put to ``target``. Either may be None.

    ``scratch`` holds the archive while it is sent.
    """

    source: str | None
    target: Target | None
    remotes: Remotes
    scratch: Path

    def restore(self, directory: Path, *, owner: tuple[int, int] | None = None) -> Restored:
        raise NotImplementedError

    def store(self, directory: Path) -> int:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ImageCache:
    """A cache in an OCI image of one layer, in the local store or a registry."""

    place: Place
    ports: Ports

    def restore(self, directory: Path, *, owner: tuple[int, int] | None = None) -> Restored:
        raise NotImplementedError

    def store(self, directory: Path) -> int:
        raise NotImplementedError


def folder_cache(folder: Path, remotes: Remotes) -> ArchiveCache:
    """A cache in ``folder`` (made if missing), as the file cache.tgz."""
    raise NotImplementedError


def object_cache(address: str, remotes: Remotes, scratch: Path) -> ArchiveCache:
    """A cache in an object, ``s3://bucket/key``."""
    raise NotImplementedError


def url_cache(get_url: str, put_url: str, remotes: Remotes, scratch: Path) -> ArchiveCache:
    """A cache behind a pair of URLs, either of them empty when there is none."""
    raise NotImplementedError


def keep(store: CacheStore, directory: Path, restored: Restored) -> CacheChecked:
    """Store the cache if a build changed it; says what became of it."""
    raise NotImplementedError


def fingerprint(directory: Path) -> str:
    """The sha256 (hex) of what is in a directory: paths, kinds, modes, link targets and contents.

    Times and owners do not count, nor the directory's own mode; empty for a directory without any file.
    """
    raise NotImplementedError
