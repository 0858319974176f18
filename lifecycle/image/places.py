"""Every place where an image can be, and moving images between any two of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from lifecycle.errors import PylifeError
from lifecycle.events import Sink, step
from lifecycle.image.destination import (
    ArchiveDestination,
    Destination,
    DirDestination,
    LayoutDestination,
    RegistryDestination,
    StoreDestination,
)
from lifecycle.image.edit import compressed
from lifecycle.image.errors import AmbiguousImage, BadPlace, ImageNotFound, NoDaemon, NoPlatform
from lifecycle.image.image import Image, ImageIndex, Source
from lifecycle.image.ports import Ports
from lifecycle.image.source import BlobSource, RegistrySource, StoreSource, read, source_of
from lifecycle.image.transfer import Transfer, transfer
from lifecycle.oci import BadReference, Descriptor, Index, Platform, Reference
from lifecycle.record import dataclass
from lifecycle.store import Layout, Partial
from lifecycle.store.dir import FlatDirectory
from lifecycle.store.docker_archive import DockerArchive, SavedImage, write_docker_archive
from lifecycle.store.layout import REF_NAME
from lifecycle.store.partial import sweep
from lifecycle.store.tarball import open_oci_archive


@dataclass(frozen=True, slots=True)
class StorePlace:
    """The local store, under a name."""

    ref: Reference

    def __str__(self) -> str:
        return self.ref.familiar


@dataclass(frozen=True, slots=True)
class RegistryPlace:
    """A registry."""

    ref: Reference

    def __str__(self) -> str:
        return self.ref.familiar


@dataclass(frozen=True, slots=True)
class OciPlace:
    """An OCI layout directory; without a tag, its only image."""

    path: Path
    tag: str | None = None

    def __str__(self) -> str:
        return f"oci:{self.path}" + (f":{self.tag}" if self.tag else "")


@dataclass(frozen=True, slots=True)
class OciArchivePlace:
    """An OCI layout in a tar file; without a tag, its only image."""

    path: Path
    tag: str | None = None

    def __str__(self) -> str:
        return f"oci-archive:{self.path}" + (f":{self.tag}" if self.tag else "")


@dataclass(frozen=True, slots=True)
class DockerArchivePlace:
    """A file as ``docker save`` writes it; without a name, its only image."""

    path: Path
    name: Reference | None = None

    def __str__(self) -> str:
        return f"docker-archive:{self.path}" + (f":{self.name.familiar}" if self.name else "")


@dataclass(frozen=True, slots=True)
class DirPlace:
    """A flat directory as ``skopeo copy … dir:`` writes it."""

    path: Path

    def __str__(self) -> str:
        return f"dir:{self.path}"


Found = TypeVar("Found")
Place = StorePlace | RegistryPlace | OciPlace | OciArchivePlace | DockerArchivePlace | DirPlace


def parse_place(text: str) -> Place:
    """The place that ``text`` names: a transport and its path, or an image name.

    A name that says its registry is there (RegistryPlace), a bare one is in the local store (StorePlace); see
    ``locate`` for looking into the store first. ``docker://NAME`` is always a registry. Raises BadPlace, NoDaemon,
    BadReference.
    """
    transport, colon, rest = text.partition(":")
    match transport if colon else "":
        case "docker" if rest.startswith("//"):
            return RegistryPlace(Reference.parse(rest[2:]).with_default_tag())
        case "docker-daemon":
            raise NoDaemon(f"{text!r} is with a Docker daemon", why="pylife talks to no daemon")
        case "oci":
            return OciPlace(*_path_and_tag(text, rest))
        case "oci-archive":
            return OciArchivePlace(*_path_and_tag(text, rest))
        case "docker-archive":
            path, name = _path_and_tag(text, rest)
            return DockerArchivePlace(path, Reference.parse(name).with_default_tag() if name else None)
        case "dir":
            if not rest:
                raise BadPlace(f"{text!r} names no directory")
            return DirPlace(Path(rest))
        case "containers-storage" | "ostree" | "sif" | "tarball" | "docker-storage":
            raise BadPlace(f"{text!r} is not a place that pylife can reach", why=f"it has no transport {transport}:")
        case _:
            ref = Reference.parse(text).with_default_tag()
            return RegistryPlace(ref) if ref.explicit else StorePlace(ref)


def locate(text: str, ports: Ports) -> Place:
    """As ``parse_place``, but an image of that name in the local store is preferred, and a bare name that the store
    does not have is looked for at the default registry."""
    place = parse_place(text)
    if isinstance(place, StorePlace | RegistryPlace) and not text.startswith("docker://"):
        local = ports.store.get(place.ref) is not None
        return StorePlace(place.ref) if local else RegistryPlace(place.ref)
    return place


def _path_and_tag(text: str, rest: str) -> tuple[Path, str | None]:
    path, _, tag = rest.partition(":")
    if not path:
        raise BadPlace(f"{text!r} names no path")
    return Path(path), tag or None


# -- reading -----------------------------------------------------------------------------------------------------


def open_source(place: Place, ports: Ports) -> Source:
    """The image of a place, its bytes still there; raises ImageNotFound, AmbiguousImage, NotALayout, BadArchive."""
    match place:
        case StorePlace(ref):
            top = ports.store.get(ref)
            if top is None:
                raise ImageNotFound(f"The local store has no image {ref.familiar}")
            return StoreSource(top, ports.store, ports.registry)
        case RegistryPlace(ref):
            registry = ports.need_registry(ref)
            try:
                raw, media_type, digest = registry.manifest(ref)
            except PylifeError as error:
                if ref.explicit:
                    raise
                raise ImageNotFound(
                    f"There is no image {ref.familiar} in the local store",
                    why=f"and it could not be had from {ref.registry}: {error}",
                    fix="`pylife images` lists what is here; a name such as localhost:5000/app names a registry.",
                ) from error
            return RegistrySource(ref, Descriptor(media_type, digest, len(raw)), raw, registry)
        case OciPlace(path, tag):
            layout = Layout.open(path)
            return BlobSource(_pick(layout.index(), tag, place), layout.blobs)
        case OciArchivePlace(path, tag):
            index, blobs = open_oci_archive(path)
            return BlobSource(_pick(index, tag, place), blobs)
        case DockerArchivePlace(path, name):
            archive = DockerArchive(path)
            return BlobSource(*archive.manifest(_pick_saved(archive, name, place)))
        case DirPlace(path):
            directory = FlatDirectory.open_existing(path)
            assert directory.top is not None
            return BlobSource(directory.top, directory)


def _pick(index: Index, tag: str | None, place: Place) -> Descriptor:
    found = [item for item in index.manifests if tag is None or item.annotations.get(REF_NAME) == tag]
    names = [item.annotations[REF_NAME] for item in index.manifests if REF_NAME in item.annotations]
    if len({item.digest for item in found}) > 1 and tag is None:
        unnamed = [item for item in found if REF_NAME not in item.annotations]
        found = unnamed if len(unnamed) == 1 else found
    return _only(found, names, place)


def _pick_saved(archive: DockerArchive, name: Reference | None, place: Place) -> SavedImage:
    def tagged(image: SavedImage) -> bool:
        return any(_same_name(tag, str(name)) for tag in image.tags)

    found = [image for image in archive.images if name is None or tagged(image)]
    return _only(found, [tag for image in archive.images for tag in image.tags], place)


def _same_name(tag: str, name: str) -> bool:
    try:
        return str(Reference.parse(tag).with_default_tag()) == name
    except BadReference:  # docker saves an image without a name as <none>:<none>
        return False


def _only(found: list[Found], names: Iterable[str], place: Place) -> Found:
    listed = ", ".join(names) or "images without a name"
    if not found:
        raise ImageNotFound(f"There is no image at {place}", why=f"there are: {listed}")
    if len(found) > 1:
        raise AmbiguousImage(f"There are several images at {place}", why=f"there are: {listed}")
    return found[0]


def load(place: Place, ports: Ports, platform: Platform | None = None) -> Image | ImageIndex:
    """The image or index of a place, layers unread; with ``platform`` an index gives its image for it."""
    return read(open_source(place, ports), platform=platform)


def load_image(place: Place, ports: Ports, platform: Platform | None = None) -> Image:
    """The image of a place; an index gives the one for ``platform`` (the host's by default)."""
    found = load(place, ports, platform or Platform.host())
    assert isinstance(found, Image)
    return found


# -- writing -----------------------------------------------------------------------------------------------------


def open_destination(place: Place, ports: Ports, *, lazy: bool = False) -> Destination:
    """Where to put an image; ``lazy`` lets layers that a registry has stay there (local store only)."""
    match place:
        case StorePlace(ref):
            return StoreDestination(ports.store, ref, lazy=lazy)
        case RegistryPlace(ref):
            return RegistryDestination(ports.need_registry(ref), ref)
        case OciPlace(path, tag):
            return LayoutDestination(path, tag)
        case OciArchivePlace(path, tag):
            return ArchiveDestination(path, tag)
        case DirPlace(path):
            return DirDestination(path)
        case DockerArchivePlace():
            raise TypeError("a docker archive is written from an image, not from blobs")


def _title(place: Place) -> str:
    """What putting an image there is called."""
    match place:
        case RegistryPlace():
            return f"Push {place}"
        case StorePlace():
            return f"Keep {place} in the local store"
        case _:
            return f"Write {place}"


def _step(place: Place) -> str:
    """The step's name: one image may go to the store and to a registry under one name."""
    return f"{type(place).__name__.removesuffix('Place').lower()}/{place}"


def send(image: Image | ImageIndex, place: Place, ports: Ports, sink: Sink, *, lazy: bool = False) -> Transfer:
    """Put an image or a whole index into a place, and tell what that took."""
    if isinstance(place, DockerArchivePlace):
        return _write_docker_archive(image, place, sink)
    with ports.store.hold():
        return transfer(
            source_of(image), open_destination(place, ports, lazy=lazy), sink, name=_step(place), title=_title(place)
        )


def save(image: Image | ImageIndex, place: Place, ports: Ports, sink: Sink, *, lazy: bool = False) -> Descriptor:
    """Put an image or a whole index into a place; returns its descriptor there."""
    return send(image, place, ports, sink, lazy=lazy).descriptor


def copy(
    source: Place,
    destination: Place,
    ports: Ports,
    sink: Sink,
    platform: Platform | None = None,
) -> Transfer:
    """Copy what a place holds to another: byte for byte, an index with all its platforms, artifacts too.

    With ``platform`` only that image of an index is copied. Layers out of a docker archive, which has them
    uncompressed, are compressed on the way to anywhere else.
    """
    with ports.store.hold():
        opened = open_source(source, ports)
        to_archive = isinstance(destination, DockerArchivePlace)
        from_archive = isinstance(source, DockerArchivePlace)
        if platform or to_archive or from_archive:
            image = read(opened, platform=platform)
            if from_archive and not to_archive and isinstance(image, Image):
                image = compressed(image, ports.store, ports.profile)
            return send(image, destination, ports, sink)
        return transfer(
            opened, open_destination(destination, ports), sink, name=_step(destination), title=_title(destination)
        )


def _write_docker_archive(image: Image | ImageIndex, place: DockerArchivePlace, sink: Sink) -> Transfer:
    if isinstance(image, ImageIndex):
        raise NoPlatform(
            f"{place} can hold only one platform",
            why=f"the image has {', '.join(str(item) for item in image.platforms) or 'several manifests'}",
        )
    sweep(place.path.parent)
    with step(sink, f"save/{_step(place)}", _title(place)), Partial(place.path.parent) as out:
        layers = [(layer.diff_id, layer.uncompressed) for layer in image.layers]
        write_docker_archive(out, image.config.raw, layers, [place.name.familiar] if place.name else [])
        out.keep(place.path)
    blobs = tuple({item.digest: item for item in image.manifest.layers}.values())
    return Transfer(image.descriptor, blobs, (), ())
