"""Images and indexes as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import BinaryIO, Protocol

from lifecycle.image.layer import Layer
from lifecycle.oci import Descriptor, Dialect, Digest, ImageConfig, Index, Manifest, Platform, Reference
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Image:
    """A configuration and its layers, bottom first. Immutable: the functions of ``edit`` return new images.

    ``loaded`` is the manifest that the image was read from. While the image still says the same, that manifest's very
    bytes are the image's, and so is its digest; after an edit a manifest is encoded anew.
    """

    config: ImageConfig
    layers: tuple[Layer, ...]
    dialect: Dialect = Dialect.OCI
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    loaded: Manifest | None = field(default=None, repr=False, compare=False)

    @property
    def manifest(self) -> Manifest:
        descriptors = [layer.descriptor for layer in self.layers]
        loaded = self.loaded
        if (
            loaded is not None
            and loaded.config.digest == self.config.digest
            and list(loaded.layers) == descriptors
            and loaded.dialect is self.dialect
            and dict(loaded.annotations) == dict(self.annotations)
        ):
            return loaded
        config = Descriptor(self.dialect.config, self.config.digest, len(self.config.raw))
        return Manifest.build(self.dialect, config, descriptors, self.annotations)

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return self.manifest.digest

    @property
    def descriptor(self) -> Descriptor:
        """The manifest's descriptor, with the platform."""
        found = self.manifest.descriptor
        return Descriptor(found.media_type, found.digest, found.size, platform=self.platform)

    @property
    def platform(self) -> Platform:
        return self.config.platform

    @property
    def size(self) -> int:
        """Bytes that the image takes where it is stored: manifest, config and layers."""
        manifest = self.manifest
        return len(manifest.raw) + manifest.config.size + sum(item.size for item in manifest.layers)


class Source(Protocol):
    """One image or index in its place. Everything read from it is verified at its end."""

    @property
    def top(self) -> Descriptor:
        """The manifest or index that the place names."""
        ...

    def document(self, descriptor: Descriptor) -> bytes:
        """A manifest or index, by its descriptor."""
        ...

    def open(self, descriptor: Descriptor) -> BinaryIO: ...

    def origin(self, descriptor: Descriptor) -> Reference | None:
        """A repository that is known to have the blob."""
        ...

    def layer(self, descriptor: Descriptor, diff_id: Digest) -> Layer: ...


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """Several images under one name, usually one per platform; ``source`` is where their bytes are."""

    index: Index
    source: Source = field(repr=False, compare=False)

    @property
    def digest(self) -> Digest:
        return self.index.digest

    @property
    def descriptor(self) -> Descriptor:
        return self.index.descriptor

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms that can be chosen, in the index's order; attestations are none."""
        found = (item.platform for item in self.index.manifests)
        return tuple(item for item in found if item is not None and item.os not in ("", "unknown"))
