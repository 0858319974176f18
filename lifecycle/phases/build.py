"""Build: run bin/build of each buildpack of the group, one after the other, and gather what they left.

There is no registry in reach here, and no credential.
Source: CNB Platform API, "Build"; Buildpack API, "Phase #3: Build".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.execute import Context, Runner, build_one
from lifecycle.buildpack.launch import LaunchMetadata, merge_launches, parse_store_toml
from lifecycle.buildpack.layers import BuiltLayer, layers_path
from lifecycle.buildpack.metadata import BuildMetadata
from lifecycle.buildpack.order import Lookup
from lifecycle.buildpack.plan import Plan
from lifecycle.buildpack.sbom import SbomFile, place_sboms, remove_sboms, write_legacy_sboms
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.events import Message, Sink, step


@dataclass(frozen=True, slots=True)
class Built:
    """What the group left: per buildpack, in group order, its layers; processes, labels, slices; stores by id."""

    group: tuple[GroupElement, ...]
    layers: tuple[tuple[BuiltLayer, ...], ...]
    launch: LaunchMetadata
    sboms: tuple[SbomFile, ...] = ()
    stores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)


def build(
    group: Sequence[GroupElement], plan: Plan, lookup: Lookup, context: Context, runner: Runner, sink: Sink
) -> Built:
    """Run the group's builds. Raises BuildpackFailed (exit code 51) or what is wrong with a file of theirs (52)."""
    root = context.root
    remove_sboms(root, context.layers_dir)
    env = context.inherited
    done = []
    for element in group:
        buildpack = lookup(element)
        with step(sink, f"build/{element.id}", f"Build {element}"):
            result = build_one(element, buildpack, plan.entries_for(element), env, context, runner, sink)
        plan, env = plan.without(result.met), result.environment
        done.append(result)
    launch = merge_launches(item.launch for item in done)
    for warning in launch.warnings:
        sink.emit(Message(warning, "warning"))
    sboms = tuple(file for item in done for file in item.sboms)
    place_sboms(root, sboms)
    bom = [entry for item in done for entry in item.launch.bom]
    write_legacy_sboms(root, context.layers_dir, bom, [entry for item in done for entry in item.build_bom])
    write_metadata(group, launch, root, context.layers_dir, context.platform_api, context.owner)
    return Built(
        tuple(group),
        tuple(item.layers for item in done),
        launch,
        sboms,
        {element.id: store for element in group if (store := _store(element, context)) is not None},
    )


def write_metadata(
    group: Sequence[GroupElement],
    launch: LaunchMetadata,
    root: BuildRoot,
    layers_dir: str,
    platform_api: Api,
    owner: tuple[int, int] | None,
) -> None:
    """Write ``<layers>/config/metadata.toml``, which the launcher reads in the app image."""
    metadata = BuildMetadata(tuple(group), (), launch)
    root.make_dirs(f"{layers_dir}/config", owner=owner)
    root.write(f"{layers_dir}/config/metadata.toml", metadata.to_toml(platform_api), owner=owner)


def _store(element: GroupElement, context: Context) -> Mapping[str, Any] | None:
    file = f"{layers_path(context.layers_dir, element.id)}/store.toml"
    raw = context.root.read(file)
    return None if raw is None else parse_store_toml(raw, file)
