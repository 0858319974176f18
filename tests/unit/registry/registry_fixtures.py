"""What the registry tests push: blobs and small images."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import BinaryIO

from lifecycle.oci import Descriptor, Dialect, Digest, ImageConfig, Manifest, Platform, Reference, mediatypes
from lifecycle.registry import RegistryClient


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def layer_of(data: bytes) -> Descriptor:
    return Descriptor(mediatypes.OCI_LAYER_GZIP, Digest.of(data), len(data))


class Source:
    """Opens the same bytes again and again, counting how often and how much was read."""

    def __init__(self, data: bytes, *, seekable: bool = True) -> None:
        self.data = data
        self.opened = 0
        self.closed = 0
        self._seekable = seekable

    def __call__(self) -> BinaryIO:
        self.opened += 1
        outer = self

        class Stream(io.BytesIO):
            def seekable(self) -> bool:
                return outer._seekable

            def close(self) -> None:
                if not self.closed:
                    outer.closed += 1
                super().close()

        return Stream(self.data)


def opener(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(data)


def push_image(client: RegistryClient, ref: Reference, layers: list[bytes]) -> Manifest:
    """Push an image of these layers; its manifest."""
    config = ImageConfig.empty(Platform.parse("linux/amd64"))
    described = Descriptor(mediatypes.OCI_CONFIG, config.digest, len(config.raw))
    client.push_blob(ref, described, opener(config.raw))
    for layer in layers:
        client.push_blob(ref, layer_of(layer), opener(layer))
    manifest = Manifest.build(Dialect.OCI, described, [layer_of(layer) for layer in layers])
    client.put_manifest(ref, manifest.raw, manifest.media_type)
    return manifest
