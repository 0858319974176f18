"""The build cache: whole or empty, shared, and never taken away from under a build."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from lifecycle.phases.cache import BuildCache, KeptLayer, cache_owner, read_memo


def kept(cache: BuildCache, name: str = "venv", content: str = "x") -> KeptLayer:
    """A kept layer whose tree holds one file."""
    tree = cache.new_tree()
    place = cache.tree_root(tree) / "layers" / "acme_a" / name
    place.mkdir(parents=True)
    (place / "file").write_text(content)
    data = {"count": 5, "when": datetime.date(2026, 1, 2), "nested": {"share": 0.5}}
    return KeptLayer("acme/a", "1.0.0", name, tree, True, True, data, None)


def trees(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "trees").iterdir() if path.is_dir())


def test_what_is_saved_is_found_again_with_its_types(tmp_path: Path) -> None:
    with BuildCache(tmp_path, "demo") as cache:
        layer = kept(cache)
        cache.save([layer], {"app": "digest"})
    with BuildCache(tmp_path) as again:
        assert again.find("acme/a", "venv") == layer
        assert dict(again.layers[0].data) == dict(layer.data)
        assert (again.tree_root(layer.tree) / "layers/acme_a/venv/file").read_text() == "x"
        assert again.memo == {"app": "digest"}
    assert cache_owner(tmp_path) == "demo"
    assert read_memo(tmp_path) == {"app": "digest"}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 99}', '{"format": 1, "layers": [{}], "memo": {}}'])
def test_damaged_list_is_an_empty_cache_with_a_reason(tmp_path: Path, damage: str) -> None:
    with BuildCache(tmp_path) as cache:
        cache.save([kept(cache)], {})
    (tmp_path / "cache.json").write_text(damage)
    with BuildCache(tmp_path) as again:
        assert again.layers == ()
        assert again.discarded is not None and "cache.json" in again.discarded
    assert read_memo(tmp_path) == {}


def test_a_layer_whose_tree_is_gone_is_not_offered(tmp_path: Path) -> None:
    with BuildCache(tmp_path) as cache:
        layer = kept(cache)
        cache.save([layer], {})
    (tmp_path / "trees" / layer.tree).rename(tmp_path / "elsewhere")
    with BuildCache(tmp_path) as again:
        assert again.layers == ()


def test_a_replaced_tree_goes_and_one_in_use_by_another_build_stays(tmp_path: Path) -> None:
    with BuildCache(tmp_path) as first:
        old = kept(first)
        first.save([old], {})
    with BuildCache(tmp_path) as reader:
        with BuildCache(tmp_path) as writer:
            new = kept(writer, content="y")
            writer.save([new], {})
        assert trees(tmp_path) == sorted([old.tree, new.tree])
        assert (reader.tree_root(old.tree) / "layers/acme_a/venv/file").read_text() == "x"
    with BuildCache(tmp_path) as last:
        last.save(last.layers, {})
    assert trees(tmp_path) == [new.tree]


def test_a_tree_that_was_never_saved_is_swept_by_the_next_save(tmp_path: Path) -> None:
    with BuildCache(tmp_path) as killed:
        lost = kept(killed)
    with BuildCache(tmp_path) as cache:
        cache.save([kept(cache)], {})
    assert lost.tree not in trees(tmp_path)


def test_cleared_cache_is_empty_on_disk(tmp_path: Path) -> None:
    with BuildCache(tmp_path) as cache:
        cache.save([kept(cache)], {"a": "b"})
    with BuildCache(tmp_path) as cache:
        cache.clear()
        assert cache.layers == ()
    assert trees(tmp_path) == []
    assert json.loads((tmp_path / "cache.json").read_bytes())["layers"] == []
