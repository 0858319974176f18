"""What is kept from one build to the next, decided from data alone.

Both tables return every layer with its reason, so that a cache miss can be shown in one line.
Source: CNB buildpack.md, "Layer Types"; platform.md, "Restore" and "Export".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.layers import BuiltLayer, LayerCannotBeReused, StoredBuildpack, StoredLayer, stored
from lifecycle.oci import Digest


class Restore(Enum):
    """What is put back before a build."""

    METADATA = "metadata"
    CONTENTS = "contents and metadata"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class RestoreAction:
    """What happens to one remembered layer before the build, and why.

    For ``CONTENTS`` the cache holds the directory under ``layer.diff_id``; if it cannot be unpacked, the toml must not
    be written either: both or neither.
    """

    buildpack: GroupElement
    name: str
    restore: Restore
    reason: str
    layer: StoredLayer

    def __str__(self) -> str:
        return f"{self.buildpack.id}:{self.name}: restore {self.restore.value}: {self.reason}"


def restore_plan(
    group: Iterable[GroupElement],
    app: Sequence[StoredBuildpack],
    cache: Sequence[StoredBuildpack],
    *,
    platform_api: Api,
) -> tuple[RestoreAction, ...]:
    """What to restore for every buildpack of ``group``: ``app`` is the previous image's label, ``cache`` the cache's.

    The order is that of the group, then of the layer names. Before Platform API 0.14 a cached launch layer needs a
    previous image that has it too.
    """
    actions: list[RestoreAction] = []
    for element in group:
        of_app, of_cache = stored(app, element.id).layers, stored(cache, element.id).layers
        for name in sorted({*of_app, *of_cache}):
            restore, reason, layer = _restore(of_app.get(name), of_cache.get(name), platform_api)
            actions.append(RestoreAction(element, name, restore, reason, layer))
    return tuple(actions)


def _restore(app: StoredLayer | None, cache: StoredLayer | None, api: Api) -> tuple[Restore, str, StoredLayer]:
    """The table of the official restorer: first the previous image's layers, then the cache's, then both compared."""
    cached = cache if cache is not None and cache.types.cache and cache.diff_id is not None else None
    if cached is not None and not cached.types.launch:
        return Restore.CONTENTS, "the cache holds it", cached
    if app is None:
        if cached is None:
            assert cache is not None
            return Restore.NOTHING, "it is no cache layer", cache
        if api < Api(0, 14):
            return Restore.NOTHING, "it is a launch layer that no previous image has", cached
        return Restore.CONTENTS, "the cache holds it, and no previous image says otherwise", cached
    if not app.types.launch:
        return Restore.NOTHING, "the previous image has it, but not as a launch layer", app
    if app.types.build and not app.types.cache:
        return Restore.NOTHING, "it is needed in the build but is no cache layer", app
    if cached is not None:
        if app.diff_id != cached.diff_id:
            return Restore.NOTHING, "the cache holds other contents than the previous image", app
        return Restore.CONTENTS, "the cache holds what the previous image has", app
    if app.types.cache:
        return Restore.NOTHING, "it is a cache layer, but the cache does not have it", app
    if app.diff_id is None:
        return Restore.NOTHING, "the previous image does not tell its digest", app
    return Restore.METADATA, "it is in the previous image and can be reused from there", app


class Export(Enum):
    """What becomes of a layer after a build."""

    NEW = "write"
    REUSE = "reuse"
    LEAVE = "leave out"


@dataclass(frozen=True, slots=True)
class ExportAction:
    """What happens to one layer when the app image is made, and why; ``previous`` is its diffID in the last image.

    A ``NEW`` layer whose tar has the digest ``previous`` is the same layer: its blob need not be sent.
    """

    layer: BuiltLayer
    export: Export
    reason: str
    previous: Digest | None = None

    def __str__(self) -> str:
        return f"{self.layer.identifier}: {self.export.value}: {self.reason}"


def export_plan(layers: Iterable[BuiltLayer], app: Sequence[StoredBuildpack]) -> tuple[ExportAction, ...]:
    """What to do with each built layer, in the order of the image: by buildpack as given, then by identifier.

    Raises LayerCannotBeReused for a layer without contents that must have some.
    """
    return tuple(_export(layer, stored(app, layer.buildpack.id).layers.get(layer.name)) for layer in layers)


def _export(layer: BuiltLayer, before: StoredLayer | None) -> ExportAction:
    previous = before.diff_id if before is not None else None
    if not layer.types.launch:
        if layer.types.cache and not layer.present and not layer.types.build:
            return ExportAction(layer, Export.LEAVE, "it is a cache layer without contents")
        return ExportAction(layer, Export.LEAVE, f"it is no launch layer ({layer.types})")
    if layer.present:
        return ExportAction(layer, Export.NEW, "it has contents", previous)
    if layer.types.cache:
        raise LayerCannotBeReused(
            f"The layer {layer.identifier} has no contents", why="a layer of types launch and cache needs its directory"
        )
    if previous is None:
        raise LayerCannotBeReused(
            f"The layer {layer.identifier} has no contents",
            why="it is declared as unchanged, but the previous image does not have it",
        )
    return ExportAction(layer, Export.REUSE, "the buildpack kept it as it is in the previous image", previous)
