from __future__ import annotations

import json

import pytest

from lifecycle.oci import (
    BadDocument,
    Descriptor,
    Dialect,
    Digest,
    History,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    mediatypes,
    parse_document,
)

A = Descriptor(mediatypes.OCI_LAYER_GZIP, Digest.of(b"a"), 1)
B = Descriptor(mediatypes.OCI_LAYER_ZSTD, Digest.of(b"b"), 2, {"k": "v"})
CONFIG = Descriptor(mediatypes.OCI_CONFIG, Digest.of(b"c"), 3)

ODD = (
    b'{ "layers":[{"size":1,"digest":"sha256:' + b"0" * 64 + b'","mediaType":"application/vnd.oci.image.layer.v1.tar",'
    b'"x-unknown":1}],\n "schemaVersion": 2, "config":{"digest":"sha256:' + b"1" * 64 + b'","size":2,'
    b'"mediaType":"application/vnd.oci.image.config.v1+json"}, "x-unknown": {"a": "\\u00e4"} }\n'
)


def test_manifest_keeps_its_bytes_verbatim() -> None:
    manifest = Manifest.parse(ODD)
    assert manifest.raw == ODD
    assert manifest.digest == Digest.of(ODD)
    assert manifest.descriptor == Descriptor(mediatypes.OCI_MANIFEST, Digest.of(ODD), len(ODD))


def test_index_keeps_its_bytes_verbatim() -> None:
    raw = b'{"manifests": [], "x": 1, "schemaVersion": 2,\t"mediaType": "' + mediatypes.DOCKER_INDEX.encode() + b'"}'
    index = Index.parse(raw)
    assert (index.raw, index.digest, index.media_type) == (raw, Digest.of(raw), mediatypes.DOCKER_INDEX)


def test_config_keeps_its_bytes_verbatim() -> None:
    raw = b'{"os":"linux", "architecture":"amd64","rootfs":{"diff_ids":[],"type":"layers"},"x":[1]}'
    assert ImageConfig.parse(raw).raw == raw
    assert ImageConfig.parse(raw).digest == Digest.of(raw)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_built_manifest_reads_back_as_it_was(dialect: Dialect) -> None:
    subject = Descriptor(dialect.manifest, Digest.of(b"s"), 4)
    built = Manifest.build(dialect, CONFIG, [A, B], {"z": "1", "a": "2"}, subject, "application/x")
    again = Manifest.parse(built.raw)
    assert again == built
    assert built.dialect is dialect
    assert built == Manifest.build(dialect, CONFIG, [A, B], {"a": "2", "z": "1"}, subject, "application/x")


@pytest.mark.parametrize("dialect", list(Dialect))
def test_built_index_reads_back_as_it_was(dialect: Dialect) -> None:
    member = Descriptor(dialect.manifest, Digest.of(b"m"), 5, platform=Platform("linux", "arm", "v7", "1.2"))
    built = Index.build(dialect, [member], {"k": "v"})
    assert Index.parse(built.raw) == built
    assert parse_document(built.raw) == built


def test_documents_without_media_type_are_told_apart_by_their_properties() -> None:
    assert isinstance(parse_document(b'{"schemaVersion":2,"manifests":[]}'), Index)
    assert isinstance(parse_document(ODD), Manifest)


def test_transport_media_type_counts_when_the_document_is_silent() -> None:
    found = Manifest.parse(ODD, mediatypes.DOCKER_MANIFEST)
    assert found.media_type == mediatypes.DOCKER_MANIFEST


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"schemaVersion":1}',
        b'{"schemaVersion":2}',
        b'{"schemaVersion":2,"config":{},"layers":[]}',
        b'{"schemaVersion":2,"config":null,"layers":"x"}',
        b'{"schemaVersion":2,"manifests":{}}',
        b'{"schemaVersion":2,"mediaType":"text/plain","manifests":[1],"layers":[]}',
        b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:0","size":1}]}',
        b'{"schemaVersion":2,"manifests":[{"mediaType":"x","size":-1}]}',
        b'{"schemaVersion":2,"manifests":[{"mediaType":"x","size":true}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_document_that_is_none_is_refused(raw: bytes) -> None:
    from lifecycle.errors import PylifeError

    with pytest.raises(PylifeError) as caught:
        parse_document(raw)
    assert caught.value.code in ("image.bad-document", "image.bad-digest")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"rootfs":[1]}',
        '{"rootfs":{"diff_ids":"sha256"}}',
        '{"rootfs":{"diff_ids":["sha256:x"]}}',
        '{"history":"x"}',
        '{"config":[1]}',
        '{"config":{"Env":5}}',
        '{"config":{"Labels":["x"]}}',
        '{"config":{"ExposedPorts":"80"}}',
    ],
)
def test_config_that_is_none_is_refused(text: str) -> None:
    from lifecycle.errors import PylifeError

    with pytest.raises(PylifeError):
        ImageConfig.parse(text.encode())


def test_config_of_scratch_has_no_layers() -> None:
    config = ImageConfig.empty(Platform("linux", "arm64", "v8"))
    assert config.diff_ids == ()
    assert config.platform == Platform("linux", "arm64", "v8")


def test_variables_are_set_in_place_or_appended() -> None:
    config = ImageConfig.build({"config": {"Env": ["B=1", "A=x=y", "C"]}}).with_env({"D": "4", "B": "2"})
    assert config.data["config"]["Env"] == ["B=2", "A=x=y", "C=", "D=4"]
    assert config.env["A"] == "x=y"


def test_edit_keeps_properties_that_pylife_does_not_know() -> None:
    config = ImageConfig.build({"os": "linux", "x-top": {"y": 1}, "config": {"X-Inner": [1], "User": "u"}})
    edited = config.with_labels({"k": "v"}).with_container(User=None).with_data(author="me")
    assert edited.data["x-top"] == {"y": 1}
    assert edited.data["config"] == {"X-Inner": [1], "Labels": {"k": "v"}}
    assert edited.data["author"] == "me"
    assert config.user == "u"


def test_layers_and_history_are_written_as_given() -> None:
    lines = (History("2020-01-01T00:00:00Z", "by", "author", "comment"), History(empty_layer=True))
    config = ImageConfig.build({}).with_layers([Digest.of(b"a")], lines)
    again = ImageConfig.parse(config.raw)
    assert again.diff_ids == (Digest.of(b"a"),)
    assert again.history == lines
    assert json.loads(config.raw)["history"][1] == {"empty_layer": True}


def test_equal_configs_have_equal_bytes_whatever_the_order_of_their_edits() -> None:
    one = ImageConfig.build({}).with_labels({"a": "1"}).with_labels({"b": "2"})
    two = ImageConfig.build({}).with_labels({"b": "2"}).with_labels({"a": "1"})
    assert one.raw == two.raw


def test_descriptor_reads_back_as_it_was() -> None:
    full = Descriptor("t", Digest.of(b"x"), 9, {"b": "2", "a": "1"}, Platform("linux", "amd64"), ("http://u",), "art")
    assert Descriptor.from_json(full.to_json()) == full
    assert list(full.to_json()) == ["mediaType", "digest", "size", "urls", "annotations", "platform", "artifactType"]


def test_media_types_know_their_dialect_and_codec() -> None:
    for dialect in Dialect:
        for codec in ("none", "gzip", "zstd"):
            media_type = dialect.layer(codec)  # type: ignore[arg-type]
            assert Dialect.of(media_type) is dialect
            assert mediatypes.layer_codec(media_type) == codec
    assert not mediatypes.is_layer("application/vnd.in-toto+json")
    assert BadDocument("x").code == "image.bad-document"
