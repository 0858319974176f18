"""Plans of Dockerfiles in tests: images that are configurations only, contexts that are directories of the test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle.archive.filetree import HostTree
from lifecycle.dockerfile.ast import parse
from lifecycle.dockerfile.copying import Memory
from lifecycle.dockerfile.operations import Workshop
from lifecycle.dockerfile.plan import Plan, Planner, PlanOptions
from lifecycle.dockerfile.stages import read_dockerfile
from lifecycle.graph.packing import Packer
from lifecycle.image import Image
from lifecycle.image.errors import ImageNotFound
from lifecycle.image.layer import BlobLayer
from lifecycle.oci import Descriptor, Dialect, Digest, ImageConfig, Platform
from lifecycle.source.fetch import Fetched
from lifecycle.store import LocalStore, MemoryBlobs

AMD64 = Platform("linux", "amd64")
EMPTY_BASE = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"]}}


def image_of(document: Mapping[str, Any]) -> Image:
    """An image with that configuration, and layers of which only the diffIDs are known."""
    rootfs = {"type": "layers", "diff_ids": []}
    config = ImageConfig.parse(json.dumps({"rootfs": rootfs, **document}).encode())
    media_type = Dialect.OCI.layer("gzip")
    blobs = MemoryBlobs()
    layers = (BlobLayer(Descriptor(media_type, diff_id, 1), diff_id, blobs) for diff_id in config.diff_ids)
    return Image(config, tuple(layers))


@dataclass
class FakeSources:
    """Images by name, one directory as context; every question is noted in ``asked``."""

    directory: Path
    images: dict[str, Image] = field(default_factory=dict)
    contexts: dict[str, Image | HostTree] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def image(self, name: str, platform: Platform) -> Image:
        self.asked.append(f"{name} {platform}")
        if name not in self.images:
            raise ImageNotFound(f"There is no image {name}")
        return self.images[name]

    def named(self, name: str, platform: Platform) -> Image | HostTree | None:
        return self.contexts.get(name)

    def context(self) -> HostTree:
        return HostTree(self.directory)

    def url(self, address: str, checksum: Digest | None) -> Fetched:
        self.asked.append(address)
        place = self.directory / "fetched"
        place.write_bytes(b"fetched")
        return Fetched(place, Digest.of(b"fetched"), 7, None, address.rpartition("/")[2])

    def git(self, address: str, *, keep_git: bool | None, checksum: str) -> tuple[HostTree, str] | None:
        return None


def planner(text: str, sources: FakeSources, options: PlanOptions | None = None) -> Planner:
    """A planner for the Dockerfile ``text``, for linux/amd64 and with the usual epoch unless told otherwise."""
    dockerfile = read_dockerfile(parse(text.encode("utf-8", "surrogateescape")))
    options = options or PlanOptions(platform=AMD64, build_platform=AMD64, epoch=315532801)
    store = LocalStore(sources.directory.parent / f"{sources.directory.name}-store")
    workshop = Workshop(Packer(store, mtime=options.epoch), Memory(None), lambda: sources.directory)
    return Planner(dockerfile, options, sources, workshop)


def plan(text: str, sources: FakeSources, options: PlanOptions | None = None) -> Plan:
    """The plan of the target."""
    return planner(text, sources, options).plan()
