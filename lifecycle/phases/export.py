"""Export: what the buildpacks left becomes layers on the run image.

A layer that is proven unchanged keeps its remembered descriptor: it is neither read nor compressed again.
Source: CNB Platform API, "Export"; the order and the bytes of the layers follow the official lifecycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lifecycle.archive import Member, Profile, TarStyle, cnb_dir_members, cnb_slice_members, tar_digest
from lifecycle.buildpack.api import Api
from lifecycle.buildpack.labels import (
    BUILD_METADATA,
    LIFECYCLE_METADATA,
    PROJECT_METADATA,
    AppMetadata,
    RunImageMetadata,
    encode_project_metadata,
)
from lifecycle.buildpack.layers import BuiltLayer, LayerCannotBeReused, StoredBuildpack, StoredLayer
from lifecycle.buildpack.metadata import BuildMetadata, LauncherVersion
from lifecycle.buildpack.reuse import Export, ExportAction, export_plan
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.events import Sink, step
from lifecycle.image import Image, Layer, known_layer, write_layer
from lifecycle.oci import Digest
from lifecycle.phases.analyze import Analyzed
from lifecycle.phases.assemble import AppLayer, app_config, launcher_members, process_members
from lifecycle.phases.build import Built
from lifecycle.phases.cache import KeptLayer
from lifecycle.phases.inputs import EPOCH
from lifecycle.phases.layout import LAUNCHER, Layout, Owner
from lifecycle.snapshot.base import Root
from lifecycle.store import LocalStore

_WRITERS = 2  # layers written at once: compression releases the interpreter


class NoSuchProcess(PylifeError):
    """The default process that was asked for is none that the buildpacks declared."""

    code = "export.no-such-process"
    exit_code = 62
    fix = "Name one of the processes listed, or leave --default-process out."


@dataclass(frozen=True, slots=True)
class ExportInputs:
    """Everything the app image is made of. ``app_key`` names the app's content as copied; while it is
    ``app_untouched``, that is enough to find its layer again.
    """

    built: Built
    analyzed: Analyzed
    kept: Mapping[str, KeptLayer]
    memo: Mapping[str, str]
    app_key: str
    app_untouched: bool
    launcher_version: LauncherVersion
    platform_api: Api
    profile: Profile
    default_process: str | None = None
    created: int = EPOCH
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    project: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exported:
    """The app image; which of its own layers are new and which were reused; the diffID of each launch layer by path."""

    image: Image
    new: tuple[Layer, ...]
    reused: tuple[Layer, ...]
    diff_ids: Mapping[str, Digest]
    memo: Mapping[str, str]
    default_process: str | None


@dataclass(frozen=True, slots=True)
class _Made:
    layer: Layer
    reused: bool


def export(inputs: ExportInputs, root: Root, layout: Layout, owner: Owner, store: LocalStore, sink: Sink) -> Exported:
    """Make the app image of the build root. Nothing is named or sent yet: its blobs are in the store."""
    default = _default_process(inputs)
    with step(sink, "export", "Export layers") as told, ThreadPoolExecutor(_WRITERS) as pool:
        writer = _Writer(inputs, root, layout, owner, store, pool)
        launch_layers = [writer.buildpack_layer(action) for action in _actions(inputs)]
        sbom = writer.directory(f"{layout.layers}/sbom/launch")
        slices, app = writer.app()
        launcher = writer.launcher()
        config = writer.directory(f"{layout.layers}/config")
        processes = writer.processes()
        rows: list[tuple[str, Future[_Made] | None, str]] = [
            *((item.layer.path, made, _layer_words(item.layer)) for item, made in launch_layers),
            ("sbom", sbom, "Software Bill-of-Materials"),
            *((f"slice/{n}", made, f"Application Slice: {n}") for n, made in enumerate(slices, 1)),
            ("app", app, "Application Layer"),
            ("launcher", launcher, "Buildpacks Application Launcher"),
            ("config", config, "Buildpacks Launcher Config"),
            ("process-types", processes, "Buildpacks Process Types"),
        ]
        made = {name: future.result() for name, future, _ in rows if future is not None}
        layers = [AppLayer(made[name].layer, words) for name, _, words in rows if name in made]
        told.detail = _detail(made.values())
    diff_ids = {name: item.layer.diff_id for name, item in made.items()}
    labels = {
        LIFECYCLE_METADATA: _app_metadata(inputs, diff_ids, len(slices)).encode(),
        BUILD_METADATA: _build_metadata(inputs).to_label(inputs.platform_api, inputs.launcher_version),
        PROJECT_METADATA: encode_project_metadata(inputs.project),
        **inputs.built.launch.label_map(),
        **inputs.labels,
    }
    base = inputs.analyzed.run_image.image
    config_value = app_config(
        base.config,
        layers,
        labels,
        layout=layout,
        platform_api=str(inputs.platform_api),
        default_process=default,
        created=inputs.created,
    )
    image = Image(
        config=config_value,
        layers=(*base.layers, *(item.layer for item in layers)),
        dialect=base.dialect,
        annotations=dict(inputs.annotations),
    )
    memo = {inputs.app_key: str(diff_ids["app"])} if inputs.app_untouched else {}
    return Exported(
        image,
        tuple(item.layer for item in made.values() if not item.reused),
        tuple(item.layer for item in made.values() if item.reused),
        diff_ids,
        memo,
        default,
    )


class _Writer:
    """Turns parts of the build root into layers, each on the pool."""

    def __init__(
        self,
        inputs: ExportInputs,
        root: Root,
        layout: Layout,
        owner: Owner,
        store: LocalStore,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.inputs = inputs
        self.root = root
        self.layout = layout
        self.owner = owner
        self.store = store
        self.pool = pool

    def buildpack_layer(self, action: ExportAction) -> tuple[ExportAction, Future[_Made]]:
        """A launch layer: reused from the previous image, proven unchanged since the cache, or written."""
        if action.export is Export.REUSE:
            return action, self.pool.submit(self._previous, action)
        at = action.layer.path
        kept = self.inputs.kept.get(at)
        if kept is not None and kept.diff_id and not self.root.changed(at):
            known = self._known(Digest.parse(kept.diff_id))
            if known is not None:
                return action, self.pool.submit(lambda: _Made(known, True))
        return action, self._submit(self._tree(at), action.previous)

    def directory(self, at: str) -> Future[_Made] | None:
        """The layer of a directory of the build root, None when there is nothing in it."""
        place = Path(BuildRoot(self.root.path).host(at))
        if not place.is_dir() or not any(place.iterdir()):
            return None
        return self._submit(self._tree(at), probe=True)

    def app(self) -> tuple[list[Future[_Made]], Future[_Made]]:
        """The slices in order, and the rest of the app."""
        slices = [item.paths for item in self.inputs.built.launch.slices]
        remembered = self.inputs.memo.get(self.inputs.app_key)
        if self.inputs.app_untouched and not slices and remembered:
            known = self._known(Digest.parse(remembered))
            if known is not None:
                return [], self.pool.submit(lambda: _Made(known, True))
        if not slices:
            return [], self._submit(self._tree(self.layout.app), probe=True)
        parts = cnb_slice_members(self.root.path, self.layout.app, slices, self.owner.pair, above=self.owner.pair)
        made = [self._submit(part, probe=True) for part in parts]
        return made[:-1], made[-1]

    def launcher(self) -> Future[_Made]:
        """The launcher that the builder brings."""
        place = Path(BuildRoot(self.root.path).host(LAUNCHER))
        size = place.stat().st_size
        members = partial(launcher_members, lambda: place.open("rb"), size)
        return self._submit(members, probe=True)

    def processes(self) -> Future[_Made] | None:
        """The links by which processes are started; none without processes."""
        types = [process.type for process in self.inputs.built.launch.processes]
        return self._submit(partial(process_members, types), probe=True) if types else None

    def _tree(self, at: str) -> Callable[[], Iterable[Member]]:
        """The members of a directory, all of it and the way to it the CNB user's: so it is in every builder."""
        return partial(cnb_dir_members, self.root.path, at, self.owner.pair, above=self.owner.pair)

    def _submit(
        self, members: Callable[[], Iterable[Member]], previous: Digest | None = None, *, probe: bool = False
    ) -> Future[_Made]:
        return self.pool.submit(self._write, members, probe or previous is not None)

    def _write(self, members: Callable[[], Iterable[Member]], probe: bool) -> _Made:
        """One pass; where the layer is likely to be known, a first look at its diffID saves compressing it."""
        if probe:
            known = self._known(tar_digest(members(), TarStyle.CNB))
            if known is not None:
                return _Made(known, True)
        dialect = self.inputs.analyzed.run_image.image.dialect
        layer = write_layer(members(), self.store, style=TarStyle.CNB, profile=self.inputs.profile, dialect=dialect)
        return _Made(layer, False)

    def _previous(self, action: ExportAction) -> _Made:
        assert action.previous is not None
        layer = self.inputs.analyzed.previous_layer(action.previous)
        if layer is None:
            layer = self._known(action.previous)
        if layer is None:
            raise LayerCannotBeReused(
                f"The layer {action.layer.identifier} cannot be reused", why="the previous image does not have it"
            )
        return _Made(layer, True)

    def _known(self, diff_id: Digest) -> Layer | None:
        dialect = self.inputs.analyzed.run_image.image.dialect
        return known_layer(diff_id, self.store, self.inputs.profile, dialect)


def _actions(inputs: ExportInputs) -> tuple[ExportAction, ...]:
    """The launch layers in the order of the image: by buildpack, then by ``<id>:<layer>`` in byte order."""
    ordered = [
        layer for layers in inputs.built.layers for layer in sorted(layers, key=lambda item: item.identifier.encode())
    ]
    return tuple(
        action for action in export_plan(ordered, inputs.analyzed.buildpacks) if action.export is not Export.LEAVE
    )


def _layer_words(layer: BuiltLayer) -> str:
    return f"Layer: '{layer.name}', Created by buildpack: {layer.buildpack.id}@{layer.buildpack.version}"


def _detail(made: Iterable[_Made]) -> str:
    items = list(made)
    reused = sum(item.reused for item in items)
    return f"{len(items) - reused} new, {reused} reused"


def _default_process(inputs: ExportInputs) -> str | None:
    launch = inputs.built.launch
    wanted = inputs.default_process or launch.default_type or None
    types = [process.type for process in launch.processes]
    if wanted is None:
        return None
    if wanted not in types:
        raise NoSuchProcess(f"The app has no process {wanted!r}", why=f"its processes are {', '.join(types) or 'none'}")
    return wanted


def _build_metadata(inputs: ExportInputs) -> BuildMetadata:
    return BuildMetadata(tuple(inputs.built.group), (), inputs.built.launch)


def _app_metadata(inputs: ExportInputs, diff_ids: Mapping[str, Digest], slices: int) -> AppMetadata:
    run = inputs.analyzed.run_image
    base = run.image.config.diff_ids
    buildpacks = []
    for element, layers in zip(inputs.built.group, inputs.built.layers, strict=True):
        stored = {
            layer.name: StoredLayer(diff_ids[layer.path], layer.metadata) for layer in layers if layer.path in diff_ids
        }
        buildpacks.append(StoredBuildpack(element.id, element.version, stored, inputs.built.stores.get(element.id)))
    return AppMetadata(
        app=(*(diff_ids[f"slice/{n}"] for n in range(1, slices + 1)), diff_ids["app"]),
        sbom=diff_ids.get("sbom"),
        buildpacks=tuple(buildpacks),
        config=diff_ids.get("config"),
        launcher=diff_ids.get("launcher"),
        process_types=diff_ids.get("process-types"),
        run_image=RunImageMetadata(str(base[-1]) if base else "", run.reference, run.name, run.mirrors),
        stack_run_image=RunImageMetadata(image=run.name, mirrors=run.mirrors),
    )
