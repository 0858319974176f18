"""What buildpacks keep between the builds of one app, and where: a file, a pair of URLs, an object, an OCI image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lifecycle.archive import write_tar
from lifecycle.archive.compress import CompressedSink, Stored
from lifecycle.errors import PylifeError
from lifecycle.events import NullSink, Sink
from lifecycle.record import dataclass
from lifecycle.slug.archive import clear, tree_members, unpack, unpack_archive
from lifecycle.slug.fingerprint import fingerprint
from lifecycle.slug.moments import CacheChecked
from lifecycle.slug.targets import BadTarget, FileTarget, ObjectTarget, Target, UrlTarget, parse_target
from lifecycle.slug.transfer import fetch_slug, locate, put_back, sent, settle, staged
from lifecycle.source.errors import SourceNotFound
from lifecycle.source.fetch import shown_url
from lifecycle.source.remote_errors import RemoteNotFound
from lifecycle.source.remotes import Remotes
from lifecycle.store.errors import disk_errors
from lifecycle.store.partial import Partial, sweep

if TYPE_CHECKING:
    from lifecycle.image import Place
    from lifecycle.image.ports import Ports

CACHE_NAME = "cache.tgz"
"""What the cache is called in a folder, and below CACHE_PATH. Source: deis slugbuilder, restore_cache."""

CACHE_LABEL = "io.pylife.slug.cache"
"""The label of an image that is a cache; its value is the cache's fingerprint."""

_NOBODY = (0, 0)
_PUT_FIX = "Give CACHE_SET_URL (or what follows the comma in --cache) as an http(s) URL that takes PUT."


@dataclass(frozen=True, slots=True)
class Restored:
    """What restoring did. ``why`` is one sentence when a cache was there and could not be used.

    ``fingerprint`` is that of the directory as the build gets it; ``archive`` is a copy of what is stored, for as long
    as the next one does not take its place.
    """

    found: bool
    why: str = ""
    fingerprint: str = ""
    archive: Path | None = field(default=None, compare=False)


class CacheStore(Protocol):
    """A place for one app's cache."""

    @property
    def writable(self) -> bool:
        """False where a cache can only be read."""
        ...

    def restore(self, directory: Path, *, owner: tuple[int, int] | None = None) -> Restored:
        """Make what is kept the content of ``directory``; ``owner`` gets the files (None: whoever unpacks).

        Never fails for what is wrong with the cache or its place: then the directory stays empty, and ``why`` says so.
        """
        ...

    def replaced(self, directory: Path, old: Restored) -> AbstractContextManager[int]:
        """Put the directory's content in place of the ``old`` cache if the block succeeds; gives the bytes kept.

        Raises what writing or sending raises. The old cache stays then; when the block fails it stays or comes back, if
        it was read at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArchiveCache:
    """A cache in an archive: got from ``source`` (what ``fetch_slug`` takes), put to ``target``; either may be none.

    ``scratch`` holds the archive while it is sent.
    """

    source: str
    target: Target | None
    remotes: Remotes
    scratch: Path

    @property
    def writable(self) -> bool:
        return self.target is not None

    def restore(self, directory: Path, *, owner: tuple[int, int] | None = None) -> Restored:
        if not self.source:
            return Restored(False)
        path = None
        try:
            path = locate(parse_target(self.source), self.remotes, optional=True)
            with fetch_slug(str(path), self.remotes) as archive:
                clear(directory)  # a container's may have what an earlier build left
                unpack_archive(archive, directory, "the cache", owner=owner)
            return Restored(True, fingerprint=fingerprint(directory), archive=path)
        except (SourceNotFound, RemoteNotFound):
            return Restored(False)
        except PylifeError as error:
            return Restored(False, str(error), archive=path)

    @contextmanager
    def replaced(self, directory: Path, old: Restored) -> Iterator[int]:
        match self.target:
            case None:
                yield 0
            case FileTarget(path):
                with disk_errors(path.parent):
                    path.parent.mkdir(parents=True, exist_ok=True)
                with staged(path) as out:
                    yield _write(directory, out).size
            case target:
                with disk_errors(self.scratch):
                    self.scratch.mkdir(parents=True, exist_ok=True)
                sweep(self.scratch)
                with Partial(self.scratch) as out:
                    size = _write(directory, out).size
                    with sent(out.path, target, self.remotes, what="The cache", old=old.archive):
                        yield size


@dataclass(frozen=True, slots=True)
class ImageCache:
    """A cache in an OCI image of one layer: in the local store, a registry, a layout."""

    place: Place
    ports: Ports
    sink: Sink = NullSink()

    @property
    def writable(self) -> bool:
        return True

    def restore(self, directory: Path, *, owner: tuple[int, int] | None = None) -> Restored:
        from lifecycle.image import load_image
        from lifecycle.image.errors import ImageNotFound
        from lifecycle.registry.errors import NotFound

        try:
            image = load_image(self.place, self.ports)
            if CACHE_LABEL not in image.config.labels or len(image.layers) != 1:
                return Restored(False, f"{self.place} is an image, but none that holds a cache")
            with image.layers[0].uncompressed() as tar:
                clear(directory)
                unpack(tar, directory, owner=owner)
            return Restored(True, fingerprint=fingerprint(directory))
        except (ImageNotFound, NotFound):
            return Restored(False)
        except PylifeError as error:
            clear(directory)
            path: Path | None = getattr(self.place, "path", None)
            return Restored(False, "" if path is not None and not path.exists() else str(error))

    @contextmanager
    def replaced(self, directory: Path, old: Restored) -> Iterator[int]:
        from lifecycle.image import Image, append, load_image, save, with_labels, write_layer
        from lifecycle.oci import History, ImageConfig, Platform

        with self.ports.store.hold():
            members = tree_members(directory, dotted=False, mtime=None, owner=_NOBODY)
            layer = write_layer(members, self.ports.store, profile=self.ports.profile)
            empty = Image(ImageConfig.empty(Platform.host()), ())
            image = append(empty, [(layer, History(created_by="pylife slug build: cache"))])
            image = with_labels(image, {CACHE_LABEL: fingerprint(directory)})
            before = load_image(self.place, self.ports) if old.found else None
            save(image, self.place, self.ports, self.sink)
            try:
                yield layer.descriptor.size
            except BaseException:
                if before is not None:
                    again = partial(save, before, self.place, self.ports, self.sink)
                    put_back(again, self.place, self.sink, what="The cache")
                raise


def folder_cache(folder: Path, remotes: Remotes) -> ArchiveCache:
    """A cache in ``folder`` (made when it is stored), as the file cache.tgz."""
    path = folder.absolute() / CACHE_NAME
    return ArchiveCache(str(path), FileTarget(path), remotes, folder)


def object_cache(address: str, remotes: Remotes, scratch: Path) -> ArchiveCache:
    """A cache in an object, ``s3://bucket/key``."""
    return ArchiveCache(address, ObjectTarget(address), remotes, scratch)


def url_cache(get_url: str, put_url: str, remotes: Remotes, scratch: Path) -> ArchiveCache:
    """A cache behind a pair of URLs (CACHE_GET_URL, CACHE_SET_URL), either of them empty where there is none.

    Raises BadTarget, BadUrl for one that nothing can be put to: that is to be known before the build.
    """
    if put_url and not isinstance(parse_target(put_url), UrlTarget):
        raise BadTarget(
            "The cache cannot be sent there", why=f"{shown_url(put_url)} is no http(s) address", fix=_PUT_FIX
        )
    return ArchiveCache(get_url, UrlTarget(put_url) if put_url else None, remotes, scratch)


@contextmanager
def kept(cache: CacheStore, directory: Path, restored: Restored) -> Iterator[CacheChecked]:
    """Store the cache if the build changed it and the block succeeds; gives what becomes of it.

    A directory without files does not replace a cache; one that cannot be stored counts as unchanged. Raises what
    ``replaced`` raises.
    """
    now = fingerprint(directory) if directory.is_dir() else ""  # a buildpack may have removed it
    if not now:
        yield CacheChecked("empty")
    elif not cache.writable or (restored.found and now == restored.fingerprint):
        yield CacheChecked("unchanged")
    else:
        with cache.replaced(directory, restored) as size:
            yield CacheChecked("stored", size)


def _write(directory: Path, out: Partial) -> Stored:
    """The archive of a cache: files keep their times, which tools look at, and belong to nobody."""
    with CompressedSink(out) as sink:
        write_tar(tree_members(directory, mtime=None, owner=_NOBODY), sink)
        stored = sink.close()
    settle(out)
    return stored
