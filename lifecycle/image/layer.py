"""Layers as values: what they are, where their bytes are, and how new ones come to be."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import BinaryIO, Protocol, cast

from lifecycle.archive.compress import Decompressed, LayerSink, Profile, decompress
from lifecycle.archive.entry import Member
from lifecycle.archive.writer import TarStyle, write_tar
from lifecycle.image.ports import Registry
from lifecycle.oci import Descriptor, Dialect, Digest, Reference, mediatypes
from lifecycle.record import dataclass
from lifecycle.store import BlobReader, LocalStore
from lifecycle.store.blobs import VerifyingReader

_CHUNK = 1 << 20


class Layer(Protocol):
    """A change to a root filesystem, as a tar archive that can be read any number of times.

    ``diff_id`` is the digest of the uncompressed tar, ``descriptor`` describes the stored, usually compressed, form.
    """

    @property
    def diff_id(self) -> Digest: ...

    @property
    def descriptor(self) -> Descriptor: ...

    @property
    def origin(self) -> Reference | None:
        """A repository that is known to have the layer."""
        ...

    def compressed(self) -> BinaryIO:
        """The stored form; reaching its end means that ``descriptor.digest`` was right. The caller closes it."""
        ...

    def uncompressed(self) -> BinaryIO:
        """The tar archive; reaching its end means that ``diff_id`` was right. The caller closes it."""
        ...


@dataclass(frozen=True, slots=True)
class BlobLayer:
    """A layer whose bytes are at hand, in a blob store or an archive."""

    descriptor: Descriptor
    diff_id: Digest
    blobs: BlobReader
    origin: Reference | None = None

    def compressed(self) -> BinaryIO:
        return self.blobs.open(self.descriptor.digest)

    def uncompressed(self) -> BinaryIO:
        # the digest of what comes out is checked, so that of what goes in need not be
        return LayerStream(self.blobs.open(self.descriptor.digest, verify=False), self.diff_id)


@dataclass(frozen=True, slots=True)
class RemoteLayer:
    """A layer in a registry: fetched when it is read, and not at all when it is only pushed back there."""

    descriptor: Descriptor
    diff_id: Digest
    origin: Reference
    registry: Registry

    def compressed(self) -> BinaryIO:
        return self.registry.open_blob(self.origin, self.descriptor)

    def uncompressed(self) -> BinaryIO:
        return LayerStream(self.compressed(), self.diff_id)


class LayerStream(io.BufferedReader):
    """The tar archive inside a stored layer, checked against its diffID at its end; closing it closes ``stored``.

    ``consumed()`` is the number of stored bytes read so far: readers compare it with what came out, to stop bombs.
    """

    def __init__(self, stored: BinaryIO, diff_id: Digest) -> None:
        self._stored = stored
        self._plain = decompress(stored)
        super().__init__(VerifyingReader(self._plain, diff_id), _CHUNK)

    def consumed(self) -> int:
        return cast(Decompressed, self._plain).consumed()

    def close(self) -> None:
        super().close()
        self._stored.close()


def in_dialect(layer: Layer, dialect: Dialect) -> Layer:
    """The same layer, described by the media type of that dialect."""
    codec = mediatypes.layer_codec(layer.descriptor.media_type)
    if codec is None or Dialect.of(layer.descriptor.media_type) is dialect:
        return layer
    descriptor = replace(layer.descriptor, media_type=dialect.layer(codec))
    match layer:
        case BlobLayer() | RemoteLayer():
            return replace(layer, descriptor=descriptor)
        case _:
            raise TypeError(f"{type(layer).__name__} cannot change its media type")


def known_layer(
    diff_id: Digest, store: LocalStore, profile: Profile | None = None, dialect: Dialect = Dialect.OCI
) -> BlobLayer | None:
    """The layer as it was stored before with that profile (or any), so that it need not be written again."""
    descriptor = store.recall(diff_id, profile.name if profile else None)
    if descriptor is None:
        return None
    layer = in_dialect(BlobLayer(descriptor, diff_id, store.blobs, store.origin(descriptor.digest)), dialect)
    assert isinstance(layer, BlobLayer)
    return layer


def write_layer(
    members: Iterable[Member],
    store: LocalStore,
    *,
    style: TarStyle = TarStyle.GENERAL,
    profile: Profile = Profile.GZIP_FAST,
    dialect: Dialect = Dialect.OCI,
    mtime: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> BlobLayer:
    """The layer made of ``members``, in the store: entries → tar → sha256 → compressor → sha256 → blob, in one pass.

    With ``mtime`` (seconds) all entries have that time instead of their own. ``check`` is called between pieces of the
    tar, within large files too; what it raises ends the writing.
    When the store remembers a stored form of the same tar, that is used and nothing new is kept. If anything fails,
    no blob is left behind.
    """
    with store.blobs.writer(None) as out, LayerSink(out, profile) as sink:
        write_tar(members, _Checked(sink, check), style, mtime=mtime)
        sums = sink.close()
        known = known_layer(sums.diff_id, store, profile, dialect)
        if known is not None:
            return known
        out.commit(sums.digest)
    descriptor = Descriptor(dialect.layer(profile.codec), sums.digest, sums.size)
    store.remember(sums.diff_id, profile.name, descriptor)
    return BlobLayer(descriptor, sums.diff_id, store.blobs)


class _Checked:
    """A sink that asks before each piece whether to go on."""

    def __init__(self, sink: LayerSink, check: Callable[[], None]) -> None:
        self._sink = sink
        self._check = check

    def write(self, data: bytes) -> object:
        self._check()
        return self._sink.write(data)


def compress_layer(layer: Layer, store: LocalStore, profile: Profile, dialect: Dialect) -> BlobLayer:
    """The layer's tar stored anew with ``profile``, or as it was stored before."""
    known = known_layer(layer.diff_id, store, profile, dialect)
    if known is not None:
        return known
    with layer.uncompressed() as tar, store.blobs.writer(None) as out, LayerSink(out, profile) as sink:
        while data := tar.read(_CHUNK):
            sink.write(data)
        sums = sink.close()
        out.commit(sums.digest)
    descriptor = Descriptor(dialect.layer(profile.codec), sums.digest, sums.size)
    store.remember(sums.diff_id, profile.name, descriptor)
    return BlobLayer(descriptor, sums.diff_id, store.blobs)
