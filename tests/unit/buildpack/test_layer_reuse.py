from __future__ import annotations

from pathlib import Path

import pytest
from case_file import cases, lines, sections

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.layers import (
    BuiltLayer,
    LayerCannotBeReused,
    LayerMetadata,
    LayerTypes,
    StoredBuildpack,
    StoredLayer,
)
from lifecycle.buildpack.reuse import Export, export_plan, restore_plan
from lifecycle.oci import Digest

BUILDPACK = GroupElement("a/b", "1.0.0")


def stored_layers(text: str) -> tuple[StoredBuildpack, ...]:
    layers = {}
    for line in lines(text):
        name, _, words = line.partition(":")
        flags = set(words.split())
        sha = next((Digest.of(word.encode()) for word in flags if word.isdigit()), None)
        types = LayerTypes("build" in flags, "launch" in flags, "cache" in flags)
        layers[name] = StoredLayer(sha, LayerMetadata(types))
    return (StoredBuildpack(BUILDPACK.id, "0.9.0", layers),)


@pytest.mark.parametrize("path", cases("restore"), ids=lambda path: path.stem)
def test_restore_case(path: Path) -> None:
    text = sections(path)
    actions = restore_plan(
        [BUILDPACK],
        stored_layers(text.get("app", "")),
        stored_layers(text.get("cache", "")),
        platform_api=Api.parse(text.get("platform", "0.14").strip()),
    )
    assert [f"{act.name}: {act.restore.value} ({act.reason})" for act in actions] == lines(text["expect"])
    assert all(str(act).startswith("a/b:") for act in actions)


def test_layers_of_buildpacks_outside_the_group_are_left() -> None:
    cache = stored_layers("l: cache 1")
    assert restore_plan([GroupElement("other", "1.0.0")], (), cache, platform_api=Api(0, 14)) == ()


def built(name: str, *, present: bool, **types: bool) -> BuiltLayer:
    return BuiltLayer(BUILDPACK, name, f"/layers/a_b/{name}", LayerMetadata(LayerTypes(**types)), present)


def test_export_writes_launch_layers_and_leaves_the_rest() -> None:
    app = stored_layers("old: launch 1\nsame: launch 2")
    layers = [
        built("build", present=True, build=True),
        built("cached", present=True, cache=True),
        built("new", present=True, launch=True),
        built("old", present=True, launch=True),
        built("same", present=False, launch=True),
    ]
    actions = export_plan(layers, app)
    assert [act.export for act in actions] == [Export.LEAVE, Export.LEAVE, Export.NEW, Export.NEW, Export.REUSE]
    assert [act.previous for act in actions[2:]] == [None, Digest.of(b"1"), Digest.of(b"2")]


def test_layer_without_contents_needs_the_previous_image() -> None:
    with pytest.raises(LayerCannotBeReused, match="previous image does not have it") as error:
        export_plan([built("l", present=False, launch=True)], ())
    assert error.value.exit_code == 62


def test_cached_launch_layer_needs_its_directory() -> None:
    with pytest.raises(LayerCannotBeReused, match="needs its directory"):
        export_plan([built("l", present=False, launch=True, cache=True)], stored_layers("l: launch cache 1"))
