"""The media types of the two dialects, and what they mean.

Source: OCI image-spec v1.1, media-types.md; Docker image manifest v2 schema 2.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
ACCEPT = (OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX)

Codec = Literal["none", "gzip", "zstd"]

_LAYERS: dict[str, Codec] = {
    OCI_LAYER: "none",
    OCI_LAYER_GZIP: "gzip",
    OCI_LAYER_ZSTD: "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "none",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    DOCKER_LAYER: "none",
    DOCKER_LAYER_GZIP: "gzip",
    DOCKER_LAYER_ZSTD: "zstd",
    DOCKER_FOREIGN_LAYER: "gzip",
}


class Dialect(Enum):
    """Which family of media types a manifest speaks; an image keeps its base's."""

    OCI = "oci"
    DOCKER = "docker"

    @property
    def manifest(self) -> str:
        return OCI_MANIFEST if self is Dialect.OCI else DOCKER_MANIFEST

    @property
    def index(self) -> str:
        return OCI_INDEX if self is Dialect.OCI else DOCKER_INDEX

    @property
    def config(self) -> str:
        return OCI_CONFIG if self is Dialect.OCI else DOCKER_CONFIG

    def layer(self, codec: Codec) -> str:
        """The layer media type of this dialect for a codec."""
        oci = {"none": OCI_LAYER, "gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}
        docker = {"none": DOCKER_LAYER, "gzip": DOCKER_LAYER_GZIP, "zstd": DOCKER_LAYER_ZSTD}
        return (oci if self is Dialect.OCI else docker)[codec]

    @classmethod
    def of(cls, media_type: str) -> Dialect:
        """The dialect of a manifest's, index's, config's or layer's media type."""
        return cls.DOCKER if media_type.startswith("application/vnd.docker.") else cls.OCI


def is_layer(media_type: str) -> bool:
    """True for the filesystem layers of both dialects (not for artifacts)."""
    return media_type in _LAYERS


def layer_codec(media_type: str) -> Codec | None:
    """How a layer of this type is compressed; None when the type is no layer."""
    return _LAYERS.get(media_type)
