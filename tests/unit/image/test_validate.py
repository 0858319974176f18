from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.archive.compress import Profile
from lifecycle.events import NullSink
from lifecycle.image import Image, OciPlace, Ports, append, index_of, save
from lifecycle.image.layer import BlobLayer
from lifecycle.image.validate import Finding, validate, validate_place
from lifecycle.oci import Descriptor, Dialect, Digest, History, Index, mediatypes
from lifecycle.store import Layout, put_bytes
from lifecycle.testing.images import AMD64, ARM64, layer_of, random_image, tiny_image

SINK = NullSink()


@pytest.fixture
def place(tmp_path: Path) -> OciPlace:
    return OciPlace(tmp_path / "out")


@pytest.fixture
def image(ports: Ports, place: OciPlace) -> Image:
    image = random_image(ports.store, layers=3)
    save(image, place, ports, SINK)
    return image


def findings(place: OciPlace, ports: Ports) -> list[str]:
    return [str(item) for item in validate_place(place, ports)]


def blob_path(place: OciPlace, digest: Digest) -> Path:
    return Layout.open(place.path).blobs.path(digest)


def put_top(place: OciPlace, raw: bytes, media_type: str = mediatypes.OCI_MANIFEST) -> None:
    layout = Layout.open(place.path)
    layout.tag(None, Descriptor(media_type, put_bytes(layout.blobs, raw), len(raw)))


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("profile", [Profile.GZIP_FAST, Profile.ZSTD, Profile.NONE])
def test_sound_image_has_no_findings(ports: Ports, dialect: Dialect, profile: Profile) -> None:
    assert validate(tiny_image(ports.store, dialect=dialect, profile=profile)) == ()


def test_every_fault_is_told_not_only_the_first(image: Image, place: OciPlace, ports: Ports) -> None:
    one, two, three = (blob_path(place, layer.descriptor.digest) for layer in image.layers)
    one.unlink()
    damaged = bytearray(two.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    two.write_bytes(damaged)
    three.write_bytes(three.read_bytes()[:-100])
    found = validate_place(place, ports)
    assert [item.where for item in found] == ["layer 1", "layer 2", "layer 3"]
    assert "missing" in found[0].what


def test_missing_config_does_not_hide_faults_of_layers(image: Image, place: OciPlace, ports: Ports) -> None:
    blob_path(place, image.config.digest).unlink()
    blob_path(place, image.layers[2].descriptor.digest).unlink()
    assert [item.where for item in validate_place(place, ports)] == ["config", "layer 3"]


def test_missing_manifest_is_told(image: Image, place: OciPlace, ports: Ports) -> None:
    blob_path(place, image.digest).unlink()
    assert [item.where for item in validate_place(place, ports)] == ["manifest"]


def test_damaged_manifest_is_told(image: Image, place: OciPlace, ports: Ports) -> None:
    path = blob_path(place, image.digest)
    path.write_bytes(path.read_bytes().replace(b'"layers"', b'"lAyers"'))
    assert [item.where for item in validate_place(place, ports)] == ["manifest"]


def test_wrong_sizes_are_told_for_every_blob(image: Image, place: OciPlace, ports: Ports) -> None:
    data = json.loads(image.manifest.raw)
    for blob in (data["config"], *data["layers"]):
        blob["size"] += 1
    put_top(place, json.dumps(data).encode())
    assert [item.where for item in validate_place(place, ports)] == ["config", "layer 1", "layer 2", "layer 3"]


def test_config_that_disagrees_about_layers_is_told(image: Image, place: OciPlace, ports: Ports) -> None:
    data = json.loads(image.manifest.raw)
    data["layers"].pop()
    put_top(place, json.dumps(data).encode())
    assert findings(place, ports) == ["config: it has 3 diffIDs, the manifest 2 layers"]


def test_exchanged_layers_are_told(image: Image, place: OciPlace, ports: Ports) -> None:
    data = json.loads(image.manifest.raw)
    data["layers"].reverse()
    put_top(place, json.dumps(data).encode())
    found = findings(place, ports)
    assert [item.split(":")[0] for item in found] == ["layer 1", "layer 3"]
    assert all("diffID" in item for item in found)


def test_history_that_disagrees_is_told(image: Image, ports: Ports) -> None:
    lines = [*image.config.history, History(created_by="too much")]
    other = replace(image, config=image.config.with_layers(image.config.diff_ids, lines))
    assert [str(item) for item in validate(other)] == ["config: its history tells of 4 layers, it has 3"]
    empty_line = [*image.config.history, History(empty_layer=True)]
    fine = replace(image, config=image.config.with_layers(image.config.diff_ids, empty_line))
    assert validate(fine) == ()


def test_platform_of_the_index_is_held_against_the_config(ports: Ports) -> None:
    image = random_image(ports.store, platform=AMD64)
    index = index_of([image])
    wrong = Index.build(Dialect.OCI, [replace(index.index.manifests[0], platform=ARM64)])
    from lifecycle.image import ImageIndex
    from lifecycle.image.source import ImageSource

    found = validate(ImageIndex(wrong, ImageSource([image], wrong)))
    assert [str(item) for item in found] == ["linux/arm64: config: it is for linux/amd64, the index says linux/arm64"]


def test_config_without_platform_is_told(image: Image) -> None:
    nowhere = replace(image, config=image.config.with_data(os=None))
    assert validate(nowhere) == (Finding("config", "it names no operating system or architecture"),)


def test_media_type_that_does_not_fit_the_bytes_is_told(image: Image) -> None:
    layer = image.layers[0]
    wrong = BlobLayer(replace(layer.descriptor, media_type=mediatypes.OCI_LAYER_ZSTD), layer.diff_id, layer.blobs)  # type: ignore[attr-defined]
    found = validate(replace(image, layers=(wrong, *image.layers[1:])))
    assert len(found) == 1
    assert "compressed with gzip" in found[0].what


def test_mixed_dialects_are_told(image: Image, ports: Ports) -> None:
    layer = layer_of(ports.store, {"x": b"1"}, dialect=Dialect.DOCKER)
    config = image.config.with_layers([*image.config.diff_ids, layer.diff_id], ())
    mixed = replace(image, config=config, layers=(*image.layers, layer))
    assert [str(item) for item in validate(mixed)] == ["manifest: it mixes the media types of OCI and Docker"]
    assert validate(append(image, [(layer, History())])) == ()


def test_layer_that_is_no_tar_but_has_the_right_sums_is_sound_in_sums(ports: Ports, image: Image) -> None:
    data = gzip.compress(b"not a tar", mtime=0)
    descriptor = Descriptor(mediatypes.OCI_LAYER_GZIP, put_bytes(ports.store.blobs, data), len(data))
    layer = BlobLayer(descriptor, Digest.of(b"not a tar"), ports.store.blobs)
    assert validate(append(image, [(layer, History())])) == ()


def test_index_with_missing_member_is_told_and_the_others_are_checked(ports: Ports, place: OciPlace) -> None:
    images = [random_image(ports.store, seed=n, platform=p) for n, p in enumerate((AMD64, ARM64))]
    save(index_of(images), place, ports, SINK)
    blob_path(place, images[0].digest).unlink()
    blob_path(place, images[1].layers[0].descriptor.digest).unlink()
    found = validate_place(place, ports)
    assert [item.where for item in found] == ["linux/amd64: manifest", "linux/arm64: layer 1"]


def test_bytes_after_the_compressed_stream_count(ports: Ports, image: Image) -> None:
    with image.layers[0].compressed() as stream:
        data = stream.read() + b"\0" * 512
    descriptor = Descriptor(mediatypes.OCI_LAYER_GZIP, put_bytes(ports.store.blobs, data), len(data))
    layer = BlobLayer(descriptor, image.layers[0].diff_id, ports.store.blobs)
    again = replace(image, layers=(layer, *image.layers[1:]))
    assert all("its bytes have" not in item.what for item in validate(again))
