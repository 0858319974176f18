"""Images where they are: documents and blobs behind one protocol, whatever the place."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import BinaryIO

from lifecycle.image.errors import ImageNotFound, NoPlatform, NotAnImage
from lifecycle.image.image import Image, ImageIndex, Source
from lifecycle.image.layer import BlobLayer, Layer, RemoteLayer
from lifecycle.image.ports import Registry
from lifecycle.oci import (
    BadDocument,
    Descriptor,
    Dialect,
    Digest,
    DigestMismatch,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    Reference,
    mediatypes,
    parse_document,
)
from lifecycle.oci.manifest import SIZE_LIMIT
from lifecycle.record import dataclass
from lifecycle.store import BlobReader, LocalStore

CONFIG_LIMIT = 32 << 20
"""Bytes of the largest image configuration that is read."""


@dataclass(frozen=True, slots=True)
class BlobSource:
    """An image whose bytes all lie in one place of this machine: a layout, an archive, a directory."""

    top: Descriptor
    blobs: BlobReader

    def document(self, descriptor: Descriptor) -> bytes:
        return read_small(self, descriptor, SIZE_LIMIT)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        return self.blobs.open(descriptor.digest)

    def origin(self, descriptor: Descriptor) -> Reference | None:
        return None

    def layer(self, descriptor: Descriptor, diff_id: Digest) -> Layer:
        return BlobLayer(descriptor, diff_id, self.blobs)


@dataclass(frozen=True, slots=True)
class StoreSource:
    """An image of the local store; layers that were left in their registry are fetched from there."""

    top: Descriptor
    store: LocalStore
    registry: Registry | None = None

    def document(self, descriptor: Descriptor) -> bytes:
        return read_small(self, descriptor, SIZE_LIMIT)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        origin = self.origin(descriptor)
        if origin and self.registry and not self.store.blobs.has(descriptor.digest):
            return self.registry.open_blob(origin, descriptor)
        return self.store.blobs.open(descriptor.digest)

    def origin(self, descriptor: Descriptor) -> Reference | None:
        return self.store.origin(descriptor.digest)

    def layer(self, descriptor: Descriptor, diff_id: Digest) -> Layer:
        origin = self.origin(descriptor)
        if origin and self.registry and not self.store.blobs.has(descriptor.digest):
            return RemoteLayer(descriptor, diff_id, origin, self.registry)
        return BlobLayer(descriptor, diff_id, self.store.blobs, origin)


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """An image in a registry; ``raw`` is the document that its reference led to."""

    ref: Reference
    top: Descriptor
    raw: bytes = field(repr=False)
    registry: Registry

    def document(self, descriptor: Descriptor) -> bytes:
        if descriptor.digest == self.top.digest:
            return self.raw
        raw, _, digest = self.registry.manifest(self.ref.with_digest(descriptor.digest))
        if digest != descriptor.digest:
            raise DigestMismatch(f"{self.ref.familiar} answered with another manifest", why=f"it is {digest}")
        return raw

    def open(self, descriptor: Descriptor) -> BinaryIO:
        return self.registry.open_blob(self.ref, descriptor)

    def origin(self, descriptor: Descriptor) -> Reference | None:
        return self.ref

    def layer(self, descriptor: Descriptor, diff_id: Digest) -> Layer:
        return RemoteLayer(descriptor, diff_id, self.ref, self.registry)


class ImageSource:
    """Images in hand, seen as a source: one, or several under a new index."""

    def __init__(self, images: Sequence[Image], index: Index | None = None) -> None:
        self._documents = {image.digest: image.manifest.raw for image in images}
        self._configs = {image.config.digest: image.config.raw for image in images}
        self._layers = {layer.descriptor.digest: layer for image in images for layer in image.layers}
        if index is not None:
            self._documents[index.digest] = index.raw
        self.top = images[0].descriptor if index is None else index.descriptor

    def document(self, descriptor: Descriptor) -> bytes:
        if descriptor.digest not in self._documents:
            raise ImageNotFound(f"The manifest {descriptor.digest} is not among the images in hand")
        return self._documents[descriptor.digest]

    def open(self, descriptor: Descriptor) -> BinaryIO:
        config = self._configs.get(descriptor.digest)
        return self._layers[descriptor.digest].compressed() if config is None else io.BytesIO(config)

    def origin(self, descriptor: Descriptor) -> Reference | None:
        layer = self._layers.get(descriptor.digest)
        return layer.origin if layer else None

    def layer(self, descriptor: Descriptor, diff_id: Digest) -> Layer:
        return self._layers[descriptor.digest]


def source_of(image: Image | ImageIndex) -> Source:
    """Where the bytes of a value are."""
    return image.source if isinstance(image, ImageIndex) else ImageSource([image])


def index_of(
    images: Sequence[Image],
    annotations: Mapping[str, str] | None = None,
    described: Sequence[Mapping[str, str]] | None = None,
) -> ImageIndex:
    """A new index of images, one per platform, in their dialect (OCI when they disagree).

    ``annotations`` are the index's own; ``described`` are those of the images' descriptors in it, one for each.
    """
    dialects = {image.dialect for image in images}
    dialect = dialects.pop() if len(dialects) == 1 else Dialect.OCI
    notes = described or [{}] * len(images)
    members = [replace(image.descriptor, annotations=dict(note)) for image, note in zip(images, notes, strict=True)]
    index = Index.build(dialect, members, annotations)
    return ImageIndex(index, ImageSource(images, index))


def read(source: Source, descriptor: Descriptor | None = None, platform: Platform | None = None) -> Image | ImageIndex:
    """The image or index at ``descriptor`` (the source's own by default); an index gives its image for ``platform``.

    Raises NotAnImage for an artifact, NoPlatform, BadDocument.
    """
    wanted = descriptor or source.top
    document = parse_document(source.document(wanted), wanted.media_type)
    if isinstance(document, Index):
        index = ImageIndex(document, source)
        return select(index, platform) if platform else index
    return read_image(source, document)


def select(index: ImageIndex, wanted: Platform) -> Image:
    """The image for a platform; raises NoPlatform naming those there are."""
    chosen = index.index.select(wanted)
    if chosen is None:
        there = ", ".join(str(item) for item in index.platforms) or "images without a platform"
        raise NoPlatform(f"The index {index.digest} has no image for {wanted}", why=f"it has {there}")
    found = read(index.source, chosen)
    return select(found, wanted) if isinstance(found, ImageIndex) else found


def read_image(source: Source, manifest: Manifest) -> Image:
    """The image of a manifest; raises NotAnImage, or BadDocument when config and manifest disagree."""
    layers = [item for item in manifest.layers if mediatypes.is_layer(item.media_type)]
    if manifest.config.media_type not in mediatypes.CONFIGS or len(layers) != len(manifest.layers):
        kind = manifest.artifact_type or manifest.config.media_type
        raise NotAnImage(f"{manifest.digest} is not an image", why=f"it is {kind}")
    config = ImageConfig.parse(read_small(source, manifest.config, CONFIG_LIMIT))
    diff_ids = config.diff_ids
    if len(diff_ids) != len(layers):
        raise BadDocument(
            f"The image {manifest.digest} is inconsistent",
            why=f"its manifest has {len(layers)} layers, its config {len(diff_ids)} diffIDs",
        )
    return Image(
        config,
        tuple(source.layer(item, diff_id) for item, diff_id in zip(layers, diff_ids, strict=True)),
        manifest.dialect,
        manifest.annotations,
        manifest,
    )


def read_small(source: Source, descriptor: Descriptor, limit: int) -> bytes:
    """A blob as bytes, of the size that was announced and no more than ``limit``."""
    if descriptor.size > limit:
        raise BadDocument(f"The document {descriptor.digest} is larger than {limit >> 20} MiB")
    with source.open(descriptor) as stream:
        raw = stream.read(descriptor.size + 1)
        rest = b"" if len(raw) <= descriptor.size else b"x"
        if len(raw) == descriptor.size:
            rest = stream.read(1)  # the end is where the digest is checked
    if rest or len(raw) != descriptor.size:
        raise DigestMismatch(
            f"The document {descriptor.digest} is damaged", why=f"{descriptor.size} bytes were announced"
        )
    return raw
