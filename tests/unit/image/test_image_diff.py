from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.archive.entry import Entry, Kind
from lifecycle.image import Image, rebase, with_annotations, with_config, with_env, with_labels
from lifecycle.image.diff import diff
from lifecycle.store import LocalStore
from lifecycle.testing.images import Files, tiny_image

BASE: Files = {"etc": None, "etc/base": b"base"}


def image(store: LocalStore, *layers: Files) -> Image:
    return tiny_image(store, BASE, *layers)


def changes(before: Image, after: Image) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {item.path.decode(): (item.what, item.differs) for item in diff(before, after).files}


def test_image_does_not_differ_from_itself(store: LocalStore) -> None:
    found = diff(image(store, {"a": b"1"}), image(store, {"a": b"1"}))
    assert found.same


def test_settings_that_differ_are_told_one_by_one(store: LocalStore) -> None:
    before = with_env(with_labels(image(store), {"same": "1", "old": "1", "both": "1"}), {"A": "1"})
    after = with_env(with_labels(image(store), {"same": "1", "new": "1", "both": "2"}), {"A": "2"})
    after = with_annotations(
        with_config(after, after.config.with_container(User="app").with_data(author="me")), {"n": "1"}
    )
    found = diff(before, after)
    assert [(c.key, c.before, c.after) for c in found.labels] == [
        ("both", "1", "2"),
        ("new", None, "1"),
        ("old", "1", None),
    ]
    assert [(c.key, c.before, c.after) for c in found.env] == [("A", "1", "2")]
    assert [(c.key, c.before, c.after) for c in found.config] == [("author", None, "me"), ("config.User", None, "app")]
    assert [(c.key, c.after) for c in found.annotations] == [("n", "1")]
    assert found.files == ()
    assert not found.same


def test_files_of_differing_layers_are_compared(store: LocalStore) -> None:
    before = image(store, {"kept": b"k", "gone": b"g", "changed": b"12", "grown": b"1"})
    after = image(store, {"kept": b"k", "new": b"n", "changed": b"21", "grown": b"123"})
    assert changes(before, after) == {
        "changed": ("changed", ("content",)),
        "gone": ("removed", ()),
        "grown": ("changed", ("size", "content")),
        "new": ("added", ()),
    }


@pytest.mark.parametrize(
    ("entry", "differs"),
    [
        (Entry(b"d", Kind.DIR, 0o700), "mode"),
        (Entry(b"d", Kind.DIR, 0o755, uid=1), "uid"),
        (Entry(b"d", Kind.DIR, 0o755, gid=1), "gid"),
        (Entry(b"d", Kind.DIR, 0o755, mtime=5), "mtime"),
        (Entry(b"d", Kind.DIR, 0o755, xattrs=((b"user.a", b"1"),)), "xattrs"),
    ],
)
def test_facts_that_differ_are_named(store: LocalStore, entry: Entry, differs: str) -> None:
    assert changes(image(store, {"d": None}), image(store, {"d": entry})) == {"d": ("changed", (differs,))}


def test_link_that_points_elsewhere_differs(store: LocalStore) -> None:
    assert changes(image(store, {"l": "a"}), image(store, {"l": "b"})) == {"l": ("changed", ("link",))}


def test_layers_are_named_by_diff_id(store: LocalStore) -> None:
    before, after = image(store, {"a": b"1"}), image(store, {"b": b"1"}, {"c": b"1"})
    found = diff(before, after, files=False)
    assert found.layers_removed == before.config.diff_ids[1:]
    assert found.layers_added == after.config.diff_ids[1:]
    assert found.files == ()


def test_layers_both_have_are_not_read(store: LocalStore) -> None:
    before, after = image(store, {"a": b"1"}), image(store, {"a": b"2"})
    store.blobs.delete(before.layers[0].descriptor.digest)
    assert changes(before, after) == {"a": ("changed", ("content",))}


def test_file_moved_between_layers_does_not_differ(store: LocalStore) -> None:
    assert changes(image(store, {"a": b"1", "b": b"2"}), image(store, {"a": b"1"}, {"b": b"2"})) == {}


def test_upper_layer_wins_over_lower_within_one_side(store: LocalStore) -> None:
    before = image(store, {"a": b"1", "d": None, "d/x": b"1", "e": None, "e/y": b"1", "f": None, "f/z": b"1"})
    after = image(
        store,
        {"a": b"0", "d": None, "d/x": b"1", "e": None, "e/y": b"1", "f": None, "f/z": b"1", "q": b""},
        {"a": b"1", ".wh.d": b"", "e/.wh..wh..opq": b"", "f": b"file", ".wh.q": b""},
    )
    assert changes(before, after) == {
        "d": ("removed", ()),
        "d/x": ("removed", ()),
        "e/y": ("removed", ()),
        "f": ("changed", ("kind", "mode", "size", "content")),
        "f/z": ("removed", ()),
        "q": ("removed", ()),
    }


def test_file_of_a_shared_layer_removed_on_one_side_is_told(store: LocalStore) -> None:
    before, after = image(store, {"x": b""}), image(store, {"x": b"", "etc/.wh.base": b""})
    assert changes(before, after) == {"etc/base": ("removed", ())}
    assert changes(after, before) == {"etc/base": ("added", ())}


def test_exchanged_base_compares_the_bases_only(store: LocalStore) -> None:
    old = tiny_image(store, {"base": b"1"}, {"app": b"app"})
    new = rebase(old, 1, tiny_image(store, {"base": b"2"}))
    store.blobs.delete(old.layers[1].descriptor.digest)
    assert changes(old, new) == {"base": ("changed", ("content",))}


def test_history_that_differs_is_a_setting(store: LocalStore) -> None:
    before = image(store)
    after = replace(before, config=before.config.with_layers(before.config.diff_ids, ()))
    assert [item.key for item in diff(before, after).config] == ["history"]
