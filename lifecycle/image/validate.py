"""Checking an image whole: every digest, size and diffID computed anew, every document held against the others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from typing import BinaryIO

from lifecycle.archive.compress import decompress
from lifecycle.errors import PylifeError
from lifecycle.image.image import Image, ImageIndex, Source
from lifecycle.image.places import Place, open_source
from lifecycle.image.ports import Ports
from lifecycle.image.source import CONFIG_LIMIT, read_small, source_of
from lifecycle.oci import Descriptor, Dialect, Digest, ImageConfig, Index, Manifest, mediatypes, parse_document
from lifecycle.record import dataclass

_CHUNK = 1 << 20
_THREADS = 4
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: ``where`` in the image (``index``, ``manifest``, ``config``, ``layer 3``), and what is wrong."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def validate(image: Image | ImageIndex) -> tuple[Finding, ...]:
    """Every fault of an image or index, in the order of its parts; none when it is sound. Reads all its bytes."""
    return validate_source(source_of(image))


def validate_place(place: Place, ports: Ports) -> tuple[Finding, ...]:
    """Every fault of what a place holds, also where it is too broken to be loaded.

    Raises only when there is nothing to look at: ImageNotFound, NotALayout, BadArchive and the like.
    """
    return validate_source(open_source(place, ports))


def validate_source(source: Source) -> tuple[Finding, ...]:
    """Every fault of what a source holds."""
    return tuple(_document(source, source.top, ""))


def _document(source: Source, descriptor: Descriptor, prefix: str) -> Iterator[Finding]:
    where = f"{prefix}index" if descriptor.media_type in mediatypes.INDEXES else f"{prefix}manifest"
    try:
        raw = source.document(descriptor)
    except PylifeError as error:
        yield Finding(where, str(error))
        return
    if len(raw) != descriptor.size:
        yield Finding(where, f"it has {len(raw)} bytes, its descriptor says {descriptor.size}")
    if descriptor.digest != (digest := _digest(raw, descriptor.digest)):
        yield Finding(where, f"its bytes have {digest}, its descriptor says {descriptor.digest}")
    try:
        document = parse_document(raw, descriptor.media_type)
    except PylifeError as error:
        yield Finding(where, str(error))
        return
    if document.media_type != descriptor.media_type:
        yield Finding(where, f"it is {document.media_type}, its descriptor says {descriptor.media_type}")
    match document:
        case Index():
            yield from _index(source, document, prefix)
        case Manifest():
            yield from _manifest(source, document, descriptor, prefix)


def _index(source: Source, index: Index, prefix: str) -> Iterator[Finding]:
    for number, member in enumerate(index.manifests, 1):
        known = member.media_type in mediatypes.MANIFESTS | mediatypes.INDEXES
        name = f"{prefix}{member.platform or f'member {number}'}: "
        if known:
            yield from _document(source, member, name)
        else:
            yield Finding(f"{name}manifest", f"{member.media_type} is not the media type of a manifest")


def _manifest(source: Source, manifest: Manifest, descriptor: Descriptor, prefix: str) -> Iterator[Finding]:
    if manifest.config.media_type not in mediatypes.CONFIGS:
        for number, blob in enumerate((manifest.config, *manifest.layers)):
            yield from _blob(source, blob, f"{prefix}blob {number}" if number else f"{prefix}config")
        return
    where = f"{prefix}config"
    try:
        config = ImageConfig.parse(read_small(source, manifest.config, CONFIG_LIMIT))
        diff_ids: tuple[Digest | None, ...] = config.diff_ids
    except PylifeError as error:
        yield Finding(where, str(error))
        diff_ids = (None,) * len(manifest.layers)
    else:
        yield from _agreement(manifest, config, descriptor, prefix)
    dialects = {Dialect.of(blob.media_type) for blob in (manifest.config, *manifest.layers)}
    if len(dialects | {manifest.dialect}) > 1:
        yield Finding(f"{prefix}manifest", "it mixes the media types of OCI and Docker")
    pairs = zip_longest(manifest.layers, diff_ids[: len(manifest.layers)])
    parts = [(blob, diff_id, f"{prefix}layer {number}") for number, (blob, diff_id) in enumerate(pairs, 1)]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="validate") as pool:
        for found in pool.map(lambda part: list(_layer(source, *part)), parts):
            yield from found


def _agreement(manifest: Manifest, config: ImageConfig, descriptor: Descriptor, prefix: str) -> Iterator[Finding]:
    where = f"{prefix}config"
    layers, diff_ids = len(manifest.layers), len(config.diff_ids)
    attestation = not any(mediatypes.is_layer(item.media_type) for item in manifest.layers)
    if layers != diff_ids and not (attestation and layers):
        yield Finding(where, f"it has {diff_ids} diffIDs, the manifest {layers} layers")
    lines = sum(not line.empty_layer for line in config.history)
    if config.history and lines != diff_ids:
        yield Finding(where, f"its history tells of {lines} layers, it has {diff_ids}")
    platform = config.platform
    if not platform.os or not platform.architecture:
        yield Finding(where, "it names no operating system or architecture")
    wanted = descriptor.platform
    if wanted and (wanted.os, wanted.architecture) != (platform.os, platform.architecture):
        yield Finding(where, f"it is for {platform}, the index says {wanted}")


def _layer(source: Source, descriptor: Descriptor, diff_id: Digest | None, where: str) -> Iterator[Finding]:
    codec = mediatypes.layer_codec(descriptor.media_type)
    if codec is None:
        yield from _blob(source, descriptor, where)
        return
    try:
        with source.open(descriptor) as stored:
            counted = _Counted(stored, descriptor)
            found = next((name for magic, name in _MAGIC if counted.peek().startswith(magic)), "none")
            if found != codec:
                yield Finding(
                    where, f"it is compressed with {found}, its media type {descriptor.media_type} says {codec}"
                )
            with decompress(counted) as plain:  # type: ignore[arg-type]
                actual = Digest.of_stream(plain)
            counted.drain()
    except PylifeError as error:
        yield Finding(where, str(error))
        return
    if diff_id is not None and actual != diff_id:
        yield Finding(where, f"its tar has the diffID {actual}, the config says {diff_id}")
    yield from counted.findings(where)


def _blob(source: Source, descriptor: Descriptor, where: str) -> Iterator[Finding]:
    try:
        with source.open(descriptor) as stored:
            counted = _Counted(stored, descriptor)
            counted.drain()
    except PylifeError as error:
        yield Finding(where, str(error))
        return
    yield from counted.findings(where)


class _Counted:
    """A blob being read: what it turns out to be, against what its descriptor says."""

    def __init__(self, stream: BinaryIO, descriptor: Descriptor) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._hash = descriptor.digest.hasher()
        self._count = 0
        self._head = b""

    def peek(self) -> bytes:
        """The first four bytes, which stay to be read."""
        while len(self._head) < 4 and (more := self._stream.read(4 - len(self._head))):
            self._head += more
        return self._head

    def read(self, size: int = -1) -> bytes:
        data, self._head = (self._head, b"") if self._head else (self._stream.read(size), b"")
        self._hash.update(data)
        self._count += len(data)
        return data

    def drain(self) -> None:
        while self.read(_CHUNK):
            pass

    def findings(self, where: str) -> Iterator[Finding]:
        wanted = self._descriptor
        if self._count != wanted.size:
            yield Finding(where, f"it has {self._count} bytes, its descriptor says {wanted.size}")
        if self._hash.hexdigest() != wanted.digest.hex:
            found = f"{wanted.digest.algorithm}:{self._hash.hexdigest()}"
            yield Finding(where, f"its bytes have {found}, its descriptor says {wanted.digest}")


def _digest(raw: bytes, like: Digest) -> Digest:
    hasher = like.hasher()
    hasher.update(raw)
    return Digest(like.algorithm, hasher.hexdigest())
