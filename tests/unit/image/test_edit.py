from __future__ import annotations

import io
import tarfile
from dataclasses import replace

import pytest

from lifecycle.archive.writer import write_tar
from lifecycle.events import NullSink
from lifecycle.image import (
    Image,
    Ports,
    StorePlace,
    aligned_history,
    append,
    empty,
    flatten,
    index_of,
    load_image,
    rebase,
    save,
    select,
    with_aligned_history,
    with_annotations,
    with_config,
    with_dialect,
    with_env,
    with_labels,
)
from lifecycle.image.errors import CannotRebase, NoPlatform
from lifecycle.image.filesystem import filesystem
from lifecycle.image.validate import validate
from lifecycle.oci import Dialect, History, ImageConfig, Platform, Reference, mediatypes
from lifecycle.store import LocalStore
from lifecycle.testing.images import AMD64, ARM64, layer_of, tiny_image


def test_append_puts_the_layer_and_its_line_on_top(store: LocalStore) -> None:
    image = tiny_image(store)
    layer = layer_of(store, {"new": b"1"})
    grown = append(image, [(layer, History(created_by="me"))])
    assert grown.layers == (*image.layers, layer)
    assert grown.config.diff_ids == (*image.config.diff_ids, layer.diff_id)
    assert [line.created_by for line in grown.config.history] == ["layer 1", "me"]
    assert validate(grown) == ()
    assert len(image.layers) == 1


def test_append_to_an_image_without_history_makes_lines_for_what_is_there(store: LocalStore) -> None:
    image = tiny_image(store)
    bare = replace(image, config=image.config.with_data(history=None))
    grown = append(bare, [(layer_of(store, {"new": b"1"}), History(created_by="me"))])
    assert [line.created_by for line in grown.config.history] == ["", "me"]
    assert validate(grown) == ()


def test_append_speaks_the_dialect_of_the_image(store: LocalStore) -> None:
    image = tiny_image(store, dialect=Dialect.DOCKER)
    grown = append(image, [(layer_of(store, {"new": b"1"}), History())])
    assert {item.media_type for item in grown.manifest.layers} == {mediatypes.DOCKER_LAYER_GZIP}
    assert validate(grown) == ()


def test_loaded_image_keeps_its_bytes_until_it_says_something_else(ports: Ports) -> None:
    image = tiny_image(ports.store)
    odd = b" " + image.manifest.raw + b"\n"
    from lifecycle.image.source import BlobSource, read
    from lifecycle.oci import Manifest
    from lifecycle.store import put_bytes

    put_bytes(ports.store.blobs, image.config.raw)
    put_bytes(ports.store.blobs, odd)
    loaded = read(BlobSource(Manifest.parse(odd).descriptor, ports.store.blobs))
    assert isinstance(loaded, Image)
    assert loaded.manifest.raw == odd
    assert with_labels(loaded, {"a": "1"}).manifest.raw != odd
    assert with_labels(loaded, {"a": "1"}).manifest.config.digest != loaded.manifest.config.digest
    assert with_annotations(loaded, {"a": "1"}).manifest.annotations == {"a": "1"}
    assert with_dialect(loaded, Dialect.DOCKER).manifest.media_type == mediatypes.DOCKER_MANIFEST
    assert with_dialect(with_dialect(loaded, Dialect.DOCKER), Dialect.OCI).manifest.raw == odd


def test_config_edit_keeps_layers(store: LocalStore) -> None:
    image = tiny_image(store)
    other = with_config(image, ImageConfig.build({"os": "linux", "architecture": "arm64", "author": "me"}))
    assert other.config.diff_ids == image.config.diff_ids
    assert other.config.data["author"] == "me"
    assert other.platform == ARM64
    assert validate(other) == ()


def test_labels_and_variables_are_set(store: LocalStore) -> None:
    image = with_env(with_labels(tiny_image(store), {"l": "1"}), {"E": "2"})
    assert image.config.labels == {"l": "1"}
    assert image.config.env == {"PATH": "/usr/bin:/bin", "E": "2"}


def test_same_edits_give_the_same_digest(store: LocalStore) -> None:
    def build() -> Image:
        return with_labels(append(tiny_image(store), [(layer_of(store, {"a": b"1"}), History())]), {"b": "2", "a": "1"})

    assert build().digest == build().digest


def test_history_with_lines_for_empty_layers_is_aligned(store: LocalStore) -> None:
    image = tiny_image(store, {"a": b"1"}, {"b": b"2"})
    lines = [History(created_by="one"), History(created_by="env", empty_layer=True), History(created_by="two")]
    image = replace(image, config=image.config.with_layers(image.config.diff_ids, lines))
    assert [line.created_by for line in aligned_history(image.config)] == ["one", "two"]
    assert [line.created_by for line in with_aligned_history(image).config.history] == ["one", "two"]


def test_history_that_disagrees_with_the_layers_becomes_blank(store: LocalStore) -> None:
    image = tiny_image(store, {"a": b"1"}, {"b": b"2"})
    image = replace(image, config=image.config.with_layers(image.config.diff_ids, [History(created_by="one")]))
    assert aligned_history(image.config) == (History(), History())


def test_rebase_exchanges_the_lower_layers_and_their_history(store: LocalStore) -> None:
    old = tiny_image(store, {"base": b"old"}, {"base2": b"old"})
    app = append(old, [(layer_of(store, {"app": b"1"}), History(created_by="app"))])
    new = tiny_image(store, {"base": b"new"}, labels={"from": "base"})
    done = rebase(with_labels(app, {"mine": "1"}), 2, new)
    assert done.config.diff_ids == (*new.config.diff_ids, app.config.diff_ids[2])
    assert [line.created_by for line in done.config.history] == ["layer 1", "app"]
    assert done.config.labels == {"mine": "1"}
    assert validate(done) == ()


def test_rebase_onto_a_base_with_faulty_history_blanks_only_that_part(store: LocalStore) -> None:
    old = tiny_image(store)
    app = append(old, [(layer_of(store, {"app": b"1"}), History(created_by="app"))])
    new = tiny_image(store, {"x": b"1"}, {"y": b"2"})
    new = replace(new, config=new.config.with_layers(new.config.diff_ids, [History(created_by="only")]))
    done = rebase(app, 1, new)
    assert [line.created_by for line in done.config.history] == ["", "", "app"]
    assert validate(done) == ()


def test_rebase_onto_the_other_dialect_keeps_the_image_in_one(store: LocalStore) -> None:
    app = append(tiny_image(store), [(layer_of(store, {"app": b"1"}), History())])
    done = rebase(app, 1, tiny_image(store, {"new": b"1"}, dialect=Dialect.DOCKER))
    assert {item.media_type for item in done.manifest.layers} == {mediatypes.OCI_LAYER_GZIP}
    assert validate(done) == ()


def test_rebase_refuses_what_cannot_fit(store: LocalStore) -> None:
    app = tiny_image(store)
    with pytest.raises(CannotRebase, match="1 layers, and 2"):
        rebase(app, 2, app)
    with pytest.raises(CannotRebase, match="linux/arm64"):
        rebase(app, 1, tiny_image(store, platform=ARM64))


def test_flattened_image_has_one_layer_with_the_same_filesystem(store: LocalStore) -> None:
    image = tiny_image(store, {"a": b"1", "d": None, "d/x": b"x"}, {"d/.wh.x": b"", "b": b"2"})
    flat = flatten(image, store)
    assert len(flat.layers) == 1
    assert validate(flat) == ()
    assert listing(flat) == {"a", "b", "d"}


def listing(image: Image) -> set[str]:
    out = io.BytesIO()
    write_tar(filesystem(image.layers), out)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        return set(archive.getnames())


def test_image_without_layers_is_flat_already(store: LocalStore) -> None:
    nothing = empty(ImageConfig.empty(AMD64))
    assert flatten(nothing, store) is nothing
    assert validate(nothing) == ()


def test_index_gives_the_image_for_a_platform(ports: Ports) -> None:
    images = [tiny_image(ports.store, {"p": str(p).encode()}, platform=p) for p in (AMD64, ARM64)]
    index = index_of(images)
    assert index.platforms == (AMD64, ARM64)
    assert select(index, ARM64).digest == images[1].digest
    with pytest.raises(NoPlatform, match="linux/amd64, linux/arm64"):
        select(index, Platform("linux", "s390x"))
    place = StorePlace(Reference.parse("multi"))
    save(index, place, ports, NullSink())
    assert load_image(place, ports, ARM64).digest == images[1].digest
