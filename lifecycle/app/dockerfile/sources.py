"""What a Dockerfile refers to outside itself, found: base images, contexts, URLs and git repositories."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from lifecycle.archive.filetree import HostTree
from lifecycle.errors import PylifeError
from lifecycle.events import Message
from lifecycle.image.errors import ImageNotFound
from lifecycle.image.image import Image
from lifecycle.image.layer import RemoteLayer
from lifecycle.image.places import OciPlace, RegistryPlace, StorePlace, load_image, locate, parse_place
from lifecycle.oci import BadReference, Reference
from lifecycle.store import LocalStore, copy_blob

if TYPE_CHECKING:
    from lifecycle.app.ports import Ports
    from lifecycle.image.places import Place
    from lifecycle.image.ports import Registry
    from lifecycle.oci import Descriptor, Digest, Platform
    from lifecycle.source.context import NamedContext
    from lifecycle.source.fetch import Fetched
    from lifecycle.source.remotes import Remotes


class _Keeping:
    """A registry whose blobs stay in the store once they had to be read."""

    def __init__(self, registry: Registry, store: LocalStore) -> None:
        self._registry = registry
        self._store = store

    def open_blob(self, ref: Reference, descriptor: Descriptor) -> BinaryIO:
        if not self._store.blobs.has(descriptor.digest):
            copy_blob(self._registry.open_blob(ref, descriptor), self._store.blobs, descriptor.digest)
        return self._store.blobs.open(descriptor.digest)

    def __getattr__(self, name: str) -> object:
        return getattr(self._registry, name)


class BuildSources:
    """The sources of one build. Contexts that have to be fetched are, when they are first asked for.

    ``remotes`` gives the way to other hosts, ``scratch`` a directory for what must be unpacked; both are called only
    when they are needed. A context manager: leaving it drops what was opened.
    """

    def __init__(
        self,
        ports: Ports,
        tree: HostTree,
        contexts: Mapping[str, NamedContext],
        *,
        local: bool,
        pull: Literal["always", "newer", "missing", "never"],
        remotes: Callable[[], Remotes],
        scratch: Callable[[], Path],
    ) -> None:
        self._ports = ports
        self._tree = tree
        self._contexts = contexts
        self._pull = pull
        self._remotes = remotes
        self._scratch = scratch
        self._opened: dict[str, HostTree] = {}
        self._times: dict[str, int] = {}
        self.images: list[tuple[str, str]] = []  # names in the store that were used, and what they stood for
        self.local = local  # whether nothing but this machine's store and directories was asked
        self._stack = ExitStack()

    @property
    def names(self) -> Collection[str]:
        """The names that --build-context gave."""
        return self._contexts.keys()

    def context(self) -> HostTree:
        return self._tree

    def image(self, name: str, platform: Platform) -> Image:
        """The image of that name: the store's when it has it (unless a pull is wished), else its place's.

        Raises ImageNotFound, and what its place raises.
        """
        images = self._ports.images()
        place = locate(name, images)
        if isinstance(place, StorePlace) and (top := self._ports.store.get(place.ref)):
            self.images.append((name, str(top.digest)))
        else:
            self.local = False
        if self._pull == "never" and isinstance(place, RegistryPlace):
            from lifecycle.app.local import not_in_store

            error = not_in_store(place.ref, [known.familiar for known, _ in self._ports.store.items()])
            error.fix = f"{error.fix} Or leave --pull=never out: then {place.ref.registry} is asked."
            raise error
        if self._pull in ("always", "newer") and isinstance(place, StorePlace):
            return self._pulled(name, place, platform)
        return self._load(place, platform)

    def _pulled(self, name: str, kept: StorePlace, platform: Platform) -> Image:
        """The registry's image, though the store has one of that name."""
        asked = parse_place(name)
        place = asked if isinstance(asked, RegistryPlace) else RegistryPlace(kept.ref)
        try:
            return self._load(place, platform)
        except PylifeError as error:
            cause = error.__cause__ if isinstance(error.__cause__, PylifeError) else error
            what = f"{kept.ref.familiar} could not be had from {place.ref.registry}"
            if self._pull == "newer":
                self._ports.sink.emit(Message(f"{what}, the local store's is used: {cause}", "warning"))
                return self._load(kept, platform)
            fix = "Leave --pull out: the local store has an image of that name; or write --pull=newer."
            raise ImageNotFound(
                what, why=f"--pull asks the registry though the local store has it: {cause}", fix=fix
            ) from error

    def _load(self, place: Place, platform: Platform) -> Image:
        image = load_image(place, self._ports.images(), platform)
        if not image.platform.satisfies(platform):
            self.local = False  # what is said here is to be said again
            self._ports.sink.emit(Message(f"{place} is for {image.platform}, not for {platform}", "warning"))
        layers = [self._kept(layer) if isinstance(layer, RemoteLayer) else layer for layer in image.layers]
        return replace(image, layers=tuple(layers))

    def _kept(self, layer: RemoteLayer) -> RemoteLayer:
        return replace(layer, registry=cast("Registry", _Keeping(layer.registry, self._ports.store)))

    def named(self, name: str, platform: Platform) -> Image | HostTree | None:
        found = self._contexts.get(name) or self._contexts.get(_familiar(name))
        if found is None:
            return None
        match found.kind:
            case "image":
                return self.image(found.value, platform)
            case "layout":
                return self._layout(found, platform)
            case "context":
                return self._directory(found)

    def _layout(self, found: NamedContext, platform: Platform) -> Image:
        from lifecycle.image.source import BlobSource, read
        from lifecycle.oci import Digest
        from lifecycle.store import Layout

        self.local = False
        if not found.digest:
            return self._load(OciPlace(Path(found.value), found.tag or None), platform)
        layout = Layout.open(Path(found.value))
        wanted = Digest.parse(found.digest)
        top = next((item for item in layout.index().manifests if item.digest == wanted), None)
        if top is None:
            raise ImageNotFound(f"There is no image {wanted} in {found.value}")
        image = read(BlobSource(top, layout.blobs), platform=platform)
        assert isinstance(image, Image)
        return image

    def _directory(self, found: NamedContext) -> HostTree:
        """A named directory, git repository or archive; its own .dockerignore holds there."""
        self.local = self.local and os.path.isdir(found.value)
        if found.name not in self._opened:
            from lifecycle.dockerfile.ignore import NOTHING_IGNORED, load_ignore_rules, without_home
            from lifecycle.source.context import open_context

            opened = self._stack.enter_context(open_context(found.value, self._scratch(), self._remotes()))
            rules = NOTHING_IGNORED
            if opened.ignores:
                rules = load_ignore_rules(opened.directory, opened.directory / "Dockerfile")
            self._opened[found.name] = HostTree(
                opened.directory, without_home(rules, opened.directory, self._ports.home)
            )
            if opened.epoch is not None:
                self._times[found.name] = opened.epoch
        return self._opened[found.name]

    def url(self, address: str, checksum: Digest | None) -> Fetched:
        from lifecycle.source.fetch import fetch_url

        self.local = False
        return fetch_url(address, self._remotes(), checksum=checksum)

    def git(self, address: str, *, keep_git: bool | None, checksum: str) -> tuple[HostTree, str] | None:
        from lifecycle.source.gitref import parse_git_ref

        ref = parse_git_ref(address)
        if ref is None:
            return None
        from lifecycle.source.clone import fetch_git

        self.local = False
        if checksum:
            ref = replace(ref, checksum=checksum)
        tree = fetch_git(ref, self._remotes(), keep_git=bool(keep_git))
        return HostTree(tree.directory), tree.commit

    def time_of_context(self, name: str) -> int | None:
        """The time of a named context in seconds, where it has one; raises KeyError for an unknown name."""
        found = self._contexts[name]
        if found.kind == "context":
            self._directory(found)
        return self._times.get(name)

    def time_of(self, address: str, checksum: str) -> int | None:
        """The commit's time of a git repository, the Last-Modified of a URL, in seconds."""
        from lifecycle.oci import Digest
        from lifecycle.source.gitref import parse_git_ref

        ref = parse_git_ref(address)
        if ref is None:
            return self.url(address, Digest.parse(checksum) if checksum else None).last_modified
        from lifecycle.source.clone import fetch_git

        self.local = False
        return fetch_git(replace(ref, checksum=checksum or ref.checksum), self._remotes()).time

    def close(self) -> None:
        """Drop what was opened; idempotent."""
        self._stack.close()


def _familiar(name: str) -> str:
    """An image's name as --build-context may have it: without registry and tag where those are the usual ones."""
    try:
        return Reference.parse(name).with_default_tag().familiar.removesuffix(":latest")
    except BadReference:
        return name
