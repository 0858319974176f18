"""Restore: put back what buildpacks kept from the last build, before they run.

Two steps, because a cached layer is put *under* the build root where overlayfs allows: ``choose`` says which trees the
root needs, ``write_metadata`` completes them once the root stands.
Source: CNB Platform API, "Restore"; Buildpack API, "Layer Types".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lifecycle.archive import Kind, read_tar
from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import GroupElement, escape_id
from lifecycle.buildpack.layers import (
    LayerMetadata,
    LayerTypes,
    StoredBuildpack,
    StoredLayer,
    layers_path,
    render_restored_toml,
    stored,
)
from lifecycle.buildpack.reuse import Restore, RestoreAction, restore_plan
from lifecycle.buildpack.sbom import restore_sboms
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.oci import Digest
from lifecycle.phases.analyze import Analyzed
from lifecycle.phases.cache import BuildCache, KeptLayer
from lifecycle.phases.layout import Layout, Owner
from lifecycle.snapshot.base import Tree
from lifecycle.toml import dump


@dataclass(frozen=True, slots=True)
class Restoration:
    """What goes back: every decision with its reason, and the kept layers by their path in the build root."""

    actions: tuple[RestoreAction, ...]
    kept: Mapping[str, KeptLayer]
    trees: tuple[Tree, ...]


def choose(
    group: Sequence[GroupElement], analyzed: Analyzed, cache: BuildCache, layout: Layout, platform_api: Api
) -> Restoration:
    """Decide for every layer that the previous image or the cache remembers. Touches no file."""
    actions = restore_plan(group, analyzed.buildpacks, _remembered(cache), platform_api=platform_api)
    kept: dict[str, KeptLayer] = {}
    trees = []
    for action in actions:
        layer = cache.find(action.buildpack.id, action.name)
        if action.restore is Restore.CONTENTS and layer is not None:
            at = f"{layers_path(layout.layers, action.buildpack.id)}/{action.name}"
            kept[at] = layer
            trees.append(Tree(cache.tree_root(layer.tree), at))
    return Restoration(actions, kept, tuple(trees))


def write_metadata(
    root: BuildRoot,
    restoration: Restoration,
    group: Sequence[GroupElement],
    analyzed: Analyzed,
    cache: BuildCache,
    layout: Layout,
    owner: Owner,
) -> None:
    """Write each restored ``<layer>.toml`` with its SBOM files, and every buildpack's store.toml."""

    def write(inside: str, data: bytes) -> None:
        root.make_dirs(inside.rpartition("/")[0], owner=owner.chown)
        root.write(inside, data, owner=owner.chown)

    for action in restoration.actions:
        if action.restore is Restore.NOTHING:
            continue
        place = f"{layers_path(layout.layers, action.buildpack.id)}/{action.name}"
        write(f"{place}.toml", render_restored_toml(action.layer.metadata.data))
        kept = restoration.kept.get(place)
        for file in cache.sboms(kept.tree) if kept else ():
            target = f"{layout.layers}/sbom/cache/{escape_id(action.buildpack.id)}/{action.name}"
            write(f"{target}/{file.name}", file.read_bytes())
    for element in group:
        store = stored(analyzed.buildpacks, element.id).store
        if store is not None:
            write(f"{layers_path(layout.layers, element.id)}/store.toml", dump({"metadata": store}))
    if any(action.restore is Restore.METADATA for action in restoration.actions):
        for inside, data in _launch_sboms(analyzed, layout):
            write(inside, data)
    restore_sboms(root, layout.layers, group, owner.chown)


def _remembered(cache: BuildCache) -> tuple[StoredBuildpack, ...]:
    """The cache's layers in the shape of its label. A layer that is in no image is known by its tree instead."""
    found: dict[tuple[str, str], dict[str, StoredLayer]] = {}
    for item in cache.layers:
        digest = Digest.parse(item.diff_id) if item.diff_id else Digest.of(item.tree.encode())
        metadata = LayerMetadata(LayerTypes(item.build, item.launch, True), item.data)
        found.setdefault((item.buildpack, item.version), {})[item.name] = StoredLayer(digest, metadata)
    return tuple(StoredBuildpack(id_, version, layers) for (id_, version), layers in found.items())


def _launch_sboms(analyzed: Analyzed, layout: Layout) -> Iterator[tuple[str, bytes]]:
    """The SBOM files of the previous image's launch layers, by inside path."""
    sbom = analyzed.metadata.sbom if analyzed.metadata else None
    layer = analyzed.previous_layer(sbom) if sbom else None
    if layer is None:
        return
    prefix = re.escape(f"{layout.layers}/sbom/launch/".lstrip("/").encode())
    pattern = re.compile(prefix + rb"[^/]+/[^/]+/sbom\.(?:cdx|spdx|syft)\.json")
    with layer.uncompressed() as stream:
        for entry, content in read_tar(stream):
            if entry.kind is Kind.FILE and pattern.fullmatch(entry.name):
                yield f"/{os.fsdecode(entry.name)}", content.read()
