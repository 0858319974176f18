from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from lifecycle.archive.compress import Profile
from lifecycle.archive.entry import Entry, Kind
from lifecycle.archive.errors import BadCompression
from lifecycle.archive.reader import read_tar
from lifecycle.archive.writer import TarStyle
from lifecycle.image import BlobLayer, known_layer, write_layer
from lifecycle.image.layer import compress_layer, in_dialect
from lifecycle.oci import Descriptor, Dialect, Digest, DigestMismatch, mediatypes
from lifecycle.store import LocalStore, put_bytes
from lifecycle.testing.images import layer_of, members

FILES = {"usr": None, "usr/a": b"alpha" * 1000, "usr/link": "a"}


def stored(store: LocalStore) -> list[Digest]:
    return store.blobs.digests()


@pytest.mark.parametrize("profile", [Profile.GZIP_FAST, Profile.GZIP_PORTABLE, Profile.ZSTD, Profile.NONE])
def test_written_layer_is_what_its_digests_say(store: LocalStore, profile: Profile) -> None:
    layer = layer_of(store, FILES, profile=profile)
    with layer.compressed() as stream:
        data = stream.read()
    assert Digest.of(data) == layer.descriptor.digest
    assert len(data) == layer.descriptor.size
    with layer.uncompressed() as stream:
        tar = stream.read()
    assert Digest.of(tar) == layer.diff_id
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == ["usr", "usr/a", "usr/link"]
    assert mediatypes.layer_codec(layer.descriptor.media_type) == profile.codec


def test_diff_id_does_not_depend_on_the_compressor(store: LocalStore) -> None:
    found = {layer_of(store, FILES, profile=p).diff_id for p in (Profile.GZIP_FAST, Profile.ZSTD, Profile.NONE)}
    assert len(found) == 1


def test_diff_id_depends_on_the_style(store: LocalStore) -> None:
    cnb = write_layer(members(FILES), store, style=TarStyle.CNB)
    assert cnb.diff_id != layer_of(store, FILES).diff_id


def test_layer_reads_the_same_twice(store: LocalStore) -> None:
    layer = layer_of(store, FILES)
    with layer.uncompressed() as one, layer.uncompressed() as two:
        assert one.read() == two.read()


def test_writing_the_same_layer_again_keeps_the_blob_that_is_remembered(store: LocalStore, tmp_path: Path) -> None:
    first = layer_of(store, FILES)
    with first.uncompressed() as tar:
        other = gzip.compress(tar.read(), 1, mtime=1)
    remembered = Descriptor(mediatypes.OCI_LAYER_GZIP, put_bytes(store.blobs, other), len(other))
    store.blobs.delete(first.descriptor.digest)
    store.remember(first.diff_id, Profile.GZIP_FAST.name, remembered)
    again = layer_of(store, FILES)
    assert again.descriptor == remembered
    assert stored(store) == [remembered.digest]
    assert not list(store.root.glob(".pylife-partial-*"))


def test_remembered_layer_whose_blob_is_gone_is_written_anew(store: LocalStore) -> None:
    first = layer_of(store, FILES)
    store.blobs.delete(first.descriptor.digest)
    assert known_layer(first.diff_id, store, Profile.GZIP_FAST) is None
    assert layer_of(store, FILES).descriptor == first.descriptor
    assert stored(store) == [first.descriptor.digest]


def test_known_layer_speaks_the_dialect_asked_for(store: LocalStore) -> None:
    layer = layer_of(store, FILES)
    known = known_layer(layer.diff_id, store, Profile.GZIP_FAST, Dialect.DOCKER)
    assert known is not None
    assert known.descriptor.media_type == mediatypes.DOCKER_LAYER_GZIP
    assert known_layer(layer.diff_id, store, Profile.ZSTD) is None
    assert known_layer(layer.diff_id, store) is not None


def test_failure_while_writing_leaves_no_blob_and_no_note(store: LocalStore) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield Entry(b"a", Kind.FILE, size=3_000_000), b"x" * 3_000_000
        raise RuntimeError("the tree went away")

    with pytest.raises(RuntimeError):
        write_layer(broken(), store)
    assert stored(store) == []
    assert not list(store.root.rglob(".pylife-partial-*"))
    assert not list((store.root / ".pylife/layers").iterdir())


def test_layer_whose_tar_is_not_what_its_diff_id_says_is_refused(store: LocalStore) -> None:
    layer = layer_of(store, FILES)
    liar = BlobLayer(layer.descriptor, Digest.of(b"other"), store.blobs)
    with pytest.raises(DigestMismatch), liar.uncompressed() as tar:
        tar.read()


def test_tar_reader_comes_to_the_end_where_the_diff_id_is_checked(store: LocalStore) -> None:
    layer = layer_of(store, FILES)
    liar = BlobLayer(layer.descriptor, Digest.of(b"other"), store.blobs)
    with pytest.raises(DigestMismatch), liar.uncompressed() as tar:
        for _ in read_tar(tar):
            pass


def test_damaged_blob_is_noticed_whichever_form_is_read(store: LocalStore) -> None:
    layer = layer_of(store, FILES)
    path = store.blobs.path(layer.descriptor.digest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DigestMismatch), layer.compressed() as stream:
        stream.read()
    with pytest.raises((DigestMismatch, BadCompression)), layer.uncompressed() as stream:
        stream.read()


def test_uncompressed_stream_tells_how_much_was_consumed(store: LocalStore) -> None:
    layer = layer_of(store, {"zeros": bytes(5_000_000)})
    with layer.uncompressed() as stream:
        stream.read()
        assert stream.consumed() == layer.descriptor.size  # type: ignore[attr-defined]


def test_other_dialect_changes_the_media_type_only(store: LocalStore) -> None:
    layer = layer_of(store, FILES)
    docker = in_dialect(layer, Dialect.DOCKER)
    assert docker.descriptor.media_type == mediatypes.DOCKER_LAYER_GZIP
    assert docker.descriptor.digest == layer.descriptor.digest
    assert in_dialect(docker, Dialect.OCI).descriptor == layer.descriptor
    assert in_dialect(layer, Dialect.OCI) is layer


def test_plain_layer_is_compressed_once_and_remembered(store: LocalStore) -> None:
    plain = layer_of(store, FILES, profile=Profile.NONE)
    packed = compress_layer(plain, store, Profile.ZSTD, Dialect.OCI)
    assert packed.diff_id == plain.diff_id
    assert packed.descriptor.media_type == mediatypes.OCI_LAYER_ZSTD
    store.blobs.delete(plain.descriptor.digest)
    assert compress_layer(plain, store, Profile.ZSTD, Dialect.OCI) == packed


def test_hash_of_the_stored_form_is_not_taken_twice(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0
    real = hashlib.sha256

    def counting(*args: bytes) -> object:
        nonlocal counted
        counted += 1
        return real(*args)

    monkeypatch.setattr(hashlib, "sha256", counting)
    layer_of(store, {"one": b"1"})
    assert counted == 2  # one of the tar, one of the blob
