"""The format of ``docker save``: a tar file with ``manifest.json``, one config per image, one tar per layer.

The older ``repositories`` file and per-layer directories that some writers add are not read.
Source: moby image/spec v1.2, "Combined Image JSON + Filesystem Changeset Format"; containers/image docker-archive.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from lifecycle.oci import BadDocument, Descriptor, Dialect, Digest, ImageConfig, Manifest
from lifecycle.oci.mediatypes import Codec
from lifecycle.record import dataclass
from lifecycle.store.blobs import MemoryBlobs, verifying
from lifecycle.store.errors import BadArchive, MissingBlob
from lifecycle.store.partial import Partial
from lifecycle.store.tarball import TarFile

_CHUNK = 1 << 20
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class SavedImage:
    """One image of a docker archive: its config's and layers' file names, bottom first, and its names."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


class DockerArchive:
    """A docker archive, read in place; raises BadArchive when it is none."""

    def __init__(self, path: Path) -> None:
        self.tar = TarFile(path)
        if not self.tar.has("manifest.json"):
            hint = "it is an OCI archive: use oci-archive:" if self.tar.has("oci-layout") else "it has no manifest.json"
            raise BadArchive(f"{path} is not a docker archive", why=hint)
        try:
            data = json.loads(self.tar.document("manifest.json"))
            self.images = _saved_images(data)
        except (ValueError, RecursionError) as error:
            raise BadArchive(f"manifest.json in {path} cannot be understood", why=str(error)) from error

    def manifest(self, image: SavedImage) -> tuple[Descriptor, DockerArchiveBlobs]:
        """A manifest made up for ``image`` (the format has none), and the blobs that it names.

        The layers are named as they lie in the archive: nearly always as plain tar files, whose digest is the diffID.
        """
        blobs = DockerArchiveBlobs(self.tar)
        raw = self.tar.document(image.config)
        diff_ids = ImageConfig.parse(raw).diff_ids
        if len(diff_ids) != len(image.layers):
            raise BadDocument(
                f"An image in {self.tar.path} is inconsistent",
                why=f"its config has {len(diff_ids)} layers, manifest.json {len(image.layers)}",
            )
        layers = [blobs.add(name, diff_id) for name, diff_id in zip(image.layers, diff_ids, strict=True)]
        config = Descriptor(Dialect.DOCKER.config, blobs.documents.put(raw), len(raw))
        manifest = Manifest.build(Dialect.DOCKER, config, layers)
        blobs.documents.put(manifest.raw)
        return manifest.descriptor, blobs


def _saved_images(data: object) -> tuple[SavedImage, ...]:
    if not isinstance(data, list) or not data:
        raise ValueError("it is no list of images")
    found = []
    for item in data:
        if not isinstance(item, dict):
            raise ValueError("an image is no JSON object")
        config, layers, tags = item.get("Config"), item.get("Layers") or [], item.get("RepoTags") or []
        if not isinstance(config, str) or not _strings(layers) or not _strings(tags):
            raise ValueError("Config must be text, Layers and RepoTags lists of texts")
        found.append(SavedImage(config, tuple(layers), tuple(tags)))
    return tuple(found)


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


class DockerArchiveBlobs:
    """The layers of one image of a docker archive under their digests, and its documents."""

    def __init__(self, tar: TarFile) -> None:
        self._tar = tar
        self._names: dict[Digest, str] = {}
        self.documents = MemoryBlobs()

    def add(self, name: str, diff_id: Digest) -> Descriptor:
        """Take the member ``name`` in as a layer; returns its descriptor."""
        size = self._tar.size(name)
        if size is None:
            raise BadArchive(f"{self._tar.path} has no layer {name!r}", why="the archive is incomplete")
        codec = _codec(self._tar, name)
        digest = diff_id
        if codec != "none":
            with self._tar.open(name) as stream:
                digest = Digest.of_stream(stream)
        self._names[digest] = name
        return Descriptor(Dialect.DOCKER.layer(codec), digest, size)

    def has(self, digest: Digest) -> bool:
        return digest in self._names or self.documents.has(digest)

    def size(self, digest: Digest) -> int | None:
        name = self._names.get(digest)
        return self.documents.size(digest) if name is None else self._tar.size(name)

    def open(self, digest: Digest, *, verify: bool = True) -> BinaryIO:
        name = self._names.get(digest)
        if name is None:
            if not self.documents.has(digest):
                raise MissingBlob(f"The blob {digest} is missing", where=str(self._tar.path))
            return self.documents.open(digest)
        stream = self._tar.open(name)
        return verifying(stream, digest, self._tar.size(name), f"{self._tar.path}: {name}") if verify else stream


def _codec(tar: TarFile, name: str) -> Codec:
    with tar.open(name) as stream:
        head = stream.read(4)
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if head == b"\x28\xb5\x2f\xfd" else "none"


def write_docker_archive(
    out: Partial,
    config: bytes,
    layers: Iterable[tuple[Digest, Callable[[], BinaryIO]]],
    tags: Iterable[str],
) -> None:
    """Write one image into ``out``: ``layers`` are diffIDs, bottom first, with what opens the uncompressed tar.

    Same image and tags, same bytes. A layer that occurs twice is written once.
    """
    names: list[str] = []
    for diff_id, open_tar in layers:
        name = f"{diff_id.hex}.tar"
        if name not in names:
            _add_stream(out, name, open_tar)
        names.append(name)
    config_name = f"{Digest.of(config).hex}.json"
    _add_bytes(out, config_name, config)
    entry = {"Config": config_name, "RepoTags": sorted(tags), "Layers": names}
    _add_bytes(out, "manifest.json", json.dumps([entry], separators=(",", ":")).encode())
    out.write(bytes(2 * _BLOCK))


def _add_bytes(out: Partial, name: str, data: bytes) -> None:
    out.write(_header(name, len(data)))
    out.write(data + bytes(-len(data) % _BLOCK))


def _add_stream(out: Partial, name: str, open_tar: Callable[[], BinaryIO]) -> None:
    """Write a member whose size is known only at its end: its header is filled in afterwards."""
    start = out.size
    out.write(bytes(_BLOCK))
    size = 0
    with open_tar() as stream:
        while data := stream.read(_CHUNK):
            size += out.write(data)
    out.write(bytes(-size % _BLOCK))
    out.rewrite(start, _header(name, size))


def _header(name: str, size: int) -> bytes:
    """One block, whatever the size: above 8 GiB the number is binary, as GNU tar and Go read it."""
    import tarfile

    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o444, 0
    return member.tobuf(tarfile.GNU_FORMAT)
