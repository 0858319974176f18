"""The five phases in one: from an app's source and a builder to an app image whose blobs are in the store.

What needs a registry (finding the previous image and the run image, sending the result) is done by the caller, before
and after: nothing here has one.
Source: CNB Platform API, "Create".
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifecycle.builder.config import find_sdk
from lifecycle.buildpack.descriptor import BuildpackStore, GroupElement, Order, UnknownBuildpack, escape_id
from lifecycle.buildpack.environment import Environment
from lifecycle.buildpack.execute import Context
from lifecycle.buildpack.metadata import LauncherVersion
from lifecycle.buildpack.order import Lookup, System, with_system
from lifecycle.buildpack.resolve import Verdict
from lifecycle.buildpack.target import parse_os_release
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.events import Message, Planned, step
from lifecycle.phases.analyze import Analyzed
from lifecycle.phases.build import Built, build
from lifecycle.phases.cache import BuildCache, KeptLayer
from lifecycle.phases.detect import Detected, detect, lookup_in
from lifecycle.phases.export import Exported, ExportInputs, export
from lifecycle.phases.inputs import BuildInputs, CannotWrite, Engine, ExportOptions, builder_owner
from lifecycle.phases.layout import Layout, Owner
from lifecycle.phases.restore import Restoration, choose, write_metadata
from lifecycle.phases.runner import SandboxRunner
from lifecycle.platform.bindings import ROOT_VARIABLE, secrets_of
from lifecycle.platform.files import load_order
from lifecycle.sandbox import Rung
from lifecycle.sandbox.spec import File, Mount
from lifecycle.snapshot import Root, Tree
from lifecycle.snapshot.copying import Stamp, stamps

SHARED_CACHE_VARIABLE = "PYLIFE_SHARED_CACHE"
"""Tells bin/build where the downloads are that builds share."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """A build root with everything in place for buildpacks to run.

    ``content`` is the digest of the app as copied, ``stamps`` what its files looked like then.
    """

    root: Root
    content: str
    stamps: Mapping[str, Stamp]
    context: Context
    runner: SandboxRunner
    lookup: Lookup
    order: Order
    owner: Owner


@dataclass(frozen=True, slots=True)
class Created:
    """What a build came to."""

    detected: Detected
    restoration: Restoration
    built: Built
    exported: Exported


def is_pure(detected: Detected, lookup: Lookup, env: Mapping[str, str]) -> bool:
    """True when every buildpack that was asked promises that the same inputs give the same image.

    A buildpack says so with ``pure = true`` in ``[metadata.pylife]`` of its buildpack.toml, and with ``impure-with`` =
    ["NAME=value"] under which variables the promise does not hold.
    """
    detections = [item for result in detected.tried for item in result.detections]
    if any(item.verdict is Verdict.ERRORED for item in detections):
        return False  # the next time it may not break
    asked = {replace(item.element, optional=False) for item in detections}
    return all(_promises(lookup(element).metadata, env) for element in asked)


def _promises(metadata: Mapping[str, Any], env: Mapping[str, str]) -> bool:
    own = metadata.get("pylife")
    if not isinstance(own, Mapping) or own.get("pure") is not True:
        return False
    return not any(f"{name}={value}" in own.get("impure-with", ()) for name, value in env.items())


@contextmanager
def workplace(inputs: BuildInputs, trees: Sequence[Tree], engine: Engine) -> Iterator[Workplace]:
    """A build root of the builder and ``trees``, the app copied into it, removed when the block ends."""
    owner = builder_owner(inputs.builder, engine.rung)
    layout, snapshotter = engine.layout, engine.snapshotter
    with step(engine.sink, "prepare", "Prepare the build root") as told:
        missing = [layer for layer in inputs.builder.layers if not snapshotter.has(layer.diff_id)]
        for number, layer in enumerate(missing):
            told.progress(number, len(missing), "layers")
            snapshotter.unpack(layer.diff_id, layer.uncompressed)
        told.detail = f"{len(missing)} layers unpacked" if missing else ""
        below = [layer.diff_id for layer in inputs.builder.layers]
        root = snapshotter.prepare(below, trees, writer_uid=owner.uid)
    try:
        inside = BuildRoot(root.path)
        context = _context(inputs, inside, layout, owner)
        for place in (layout.app, layout.layers):
            inside.make_dirs(place, owner=owner.chown)
        app = Path(inside.host(layout.app))
        content = inputs.source.copy_to(app)
        _write_platform(inputs, inside, layout)
        _add_buildpacks(inputs, inside, layout)
        stores = (
            BuildpackStore(Path(inside.host(layout.buildpacks)), layout.buildpacks),
            BuildpackStore(Path(inside.host("/cnb/extensions")), "/cnb/extensions", extension=True),
        )
        order = _order(inputs, inside, stores[0])
        files = _bindings(inputs, inside, layout, owner, engine.rung)
        runner = SandboxRunner(engine.sandbox, root.path, owner, inputs.limits, files, _mask(inputs))
        yield Workplace(root, content, stamps(str(app)), context, runner, lookup_in(*stores), order, owner)
    finally:
        root.close()


def create(
    inputs: BuildInputs,
    options: ExportOptions,
    analyzed: Analyzed,
    cache: BuildCache,
    engine: Engine,
    key_of: Callable[[str], str] = lambda content: "",
) -> Created:
    """Detect, restore, build, export; then keep what the buildpacks want kept. The cache must be open.

    ``key_of`` gives, for the digest of the app's content, a name for everything that the image depends on (empty for
    none): when all buildpacks are pure, the cache remembers under it what came out.
    """
    if cache.discarded:
        engine.sink.emit(Message(f"The build cache is started afresh: {cache.discarded}", "warning"))
    held = {_cache_path(layer, engine.layout): layer for layer in cache.layers}
    trees = [Tree(cache.tree_root(layer.tree), at) for at, layer in held.items()]
    with workplace(inputs, trees, engine) as place:
        detected = detect(place.order, place.lookup, place.context, place.runner, engine.sink)
        outline = detected.outline
        engine.sink.emit(Planned(outline.lines(), outline.to_data()))
        restoration = _restore(detected, analyzed, cache, held, place, engine)
        context, runner = _with_shared_cache(inputs, place, engine.layout)
        built = build(detected.group, detected.plan, place.lookup, context, runner, engine.sink)
        exported = export(
            ExportInputs(
                built=built,
                analyzed=analyzed,
                kept=restoration.kept,
                memo=cache.memo,
                app_key=f"{place.content} {options.profile.name} {place.owner.uid}:{place.owner.gid}",
                app_untouched=stamps(place.context.root.host(engine.layout.app)) == place.stamps,
                launcher_version=LauncherVersion(options.lifecycle_version),
                platform_api=inputs.platform_api,
                profile=options.profile,
                default_process=options.default_process,
                created=options.created,
                labels=options.labels,
                annotations=options.annotations,
                project=options.project,
            ),
            place.root,
            engine.layout,
            place.owner,
            engine.store,
            engine.sink,
        )
        if options.sbom_dir is not None:
            _copy_sboms(place.context.root, engine.layout, options.sbom_dir)
        kept = _keep(built, restoration, exported, cache, place, engine)
        key = key_of(place.content)
        pure = bool(key) and is_pure(detected, place.lookup, inputs.env)
    cache.save(kept, {**exported.memo, **({key: str(exported.image.digest)} if pure else {})})
    return Created(detected, restoration, built, exported)


def _order(inputs: BuildInputs, root: BuildRoot, store: BuildpackStore) -> Order:
    """The builder's order, or the one group that was asked for, with what goes around it."""
    if inputs.chosen:
        order: Order = (tuple(_element(item, store) for item in inputs.chosen),)
    else:
        order = load_order(Path(root.host("/cnb/order.toml"))).order
    pre, post = (tuple(_element(item, store) for item in items) for items in (inputs.pre, inputs.post))
    return with_system(order, System(pre, post))


def _element(identity: str, store: BuildpackStore) -> GroupElement:
    """``ID@VERSION``, or ``ID`` when the builder holds one version of it."""
    id_, at, version = identity.partition("@")
    if not at:
        found = [item for item in store if item.id == id_]
        if len(found) != 1:
            held = ", ".join(str(item) for item in (found or store))
            raise UnknownBuildpack(
                f"The builder has {'several versions of' if found else 'no buildpack'} {id_}", why=f"it holds {held}"
            )
        version = found[0].version
    return GroupElement(id_, version)


def _context(inputs: BuildInputs, root: BuildRoot, layout: Layout, owner: Owner) -> Context:
    image_env = {**inputs.builder.config.env, "HOME": _home(root, owner.uid)}
    release = root.read("/etc/os-release") or b""
    return Context(
        root=root,
        target=inputs.target.or_distro(parse_os_release(release)),
        inherited=Environment.inherited(image_env),
        platform_api=inputs.platform_api,
        app_dir=layout.app,
        layers_dir=layout.layers,
        platform_dir=layout.platform,
        build_config_dir=layout.build_config,
        exec_env=inputs.exec_env,
        owner=owner.chown,
        variables=_variables(inputs, layout),
    )


def _variables(inputs: BuildInputs, layout: Layout) -> dict[str, str]:
    """Where the bindings are, when there are any: those that were named, or a volume in their place."""
    place = f"{layout.platform}/bindings"
    mounted = any(f"{mount.target}/".startswith(f"{place}/") for mount in inputs.limits.mounts)
    return {ROOT_VARIABLE: place} if inputs.bindings or mounted else {}


def _with_shared_cache(inputs: BuildInputs, place: Workplace, layout: Layout) -> tuple[Context, SandboxRunner]:
    """What bin/build gets beside what bin/detect got: the downloads that builds share, where there are any."""
    if inputs.shared_cache is None:
        return place.context, place.runner
    mount = Mount(str(inputs.shared_cache), layout.shared_cache, options=("nosuid", "nodev"))
    variables = {**place.context.variables, SHARED_CACHE_VARIABLE: layout.shared_cache}
    return replace(place.context, variables=variables), place.runner.with_mounts([mount])


def _bindings(inputs: BuildInputs, root: BuildRoot, layout: Layout, owner: Owner, rung: Rung) -> tuple[File, ...]:
    """The files of the bindings, to be mounted by each run; without mounts they are in the root already."""
    place = f"{layout.platform}/bindings"
    files = tuple(file for binding in inputs.bindings for file in binding.placed(place, owner.uid, owner.gid))
    if rung.can_mount:
        return files
    for file in files:
        root.make_dirs(file.target.rpartition("/")[0])
        root.write(file.target, file.content, mode=file.mode, owner=owner.chown)
    return ()


def _mask(inputs: BuildInputs) -> Callable[[str], str] | None:
    """What hides the secrets of the bindings in output."""
    if not inputs.bindings:
        return None
    from lifecycle.dockerfile.running.secrets import Mask

    return Mask(secrets_of(inputs.bindings))


def _home(root: BuildRoot, uid: int) -> str:
    """The home directory of ``uid`` in the builder's passwd file, ``/`` when it has none."""
    for line in (root.read("/etc/passwd") or b"").decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2] == str(uid):
            return fields[5] or "/"
    return "/"


def _write_platform(inputs: BuildInputs, root: BuildRoot, layout: Layout) -> None:
    """The user's variables as files, one each: how a platform hands them to buildpacks."""
    root.make_dirs(f"{layout.platform}/env")
    for name, value in inputs.env.items():
        root.write(f"{layout.platform}/env/{name}", os.fsencode(value))


def _add_buildpacks(inputs: BuildInputs, root: BuildRoot, layout: Layout) -> None:
    for identity, directory in inputs.buildpacks:
        id_, _, version = identity.rpartition("@")
        place = f"{layout.buildpacks}/{escape_id(id_)}"
        root.make_dirs(place)
        target = root.host(f"{place}/{version}")
        shutil.rmtree(target, ignore_errors=True)
        ignore = shutil.ignore_patterns("__pycache__", ".git")
        shutil.copytree(directory, target, symlinks=True, ignore=ignore)
        if sdk := find_sdk(directory.resolve()):
            shutil.copytree(sdk, f"{target}/lib", symlinks=True, ignore=ignore, dirs_exist_ok=True)


def _cache_path(layer: KeptLayer, layout: Layout) -> str:
    return f"{layout.layers}/{escape_id(layer.buildpack)}/{layer.name}"


def _restore(
    detected: Detected,
    analyzed: Analyzed,
    cache: BuildCache,
    held: Mapping[str, KeptLayer],
    place: Workplace,
    engine: Engine,
) -> Restoration:
    with step(engine.sink, "restore", "Restore") as told:
        restoration = choose(detected.group, analyzed, cache, engine.layout, place.context.platform_api)
        for at in held:
            if at not in restoration.kept:
                shutil.rmtree(place.context.root.host(at, follow=False), ignore_errors=True)
        root = place.context.root
        write_metadata(root, restoration, detected.group, analyzed, cache, engine.layout, place.owner)
        for action in restoration.actions:
            engine.sink.emit(Message(str(action), "debug"))
        told.detail = f"{len(restoration.kept)} of {len(held)} cached layers"
    return restoration


def _keep(
    built: Built, restoration: Restoration, exported: Exported, cache: BuildCache, place: Workplace, engine: Engine
) -> tuple[KeptLayer, ...]:
    """Move the trees of all cache layers out of the build root; one that did not change stays where it is."""
    kept = []
    for element, layers in zip(built.group, built.layers, strict=True):
        for layer in layers:
            if not (layer.types.cache and layer.present):
                continue
            before = restoration.kept.get(layer.path)
            if before is not None and not place.root.changed(layer.path):
                tree = before.tree
            else:
                tree = cache.new_tree()
                place.root.take(layer.path, cache.tree_root(tree))
                _keep_sboms(built, layer.path, cache, tree, place)
            diff_id = exported.diff_ids.get(layer.path)
            kept.append(
                KeptLayer(
                    element.id,
                    element.version,
                    layer.name,
                    tree,
                    layer.types.build,
                    layer.types.launch,
                    layer.metadata.data,
                    str(diff_id) if diff_id else None,
                )
            )
    return tuple(kept)


def _keep_sboms(built: Built, path: str, cache: BuildCache, tree: str, place: Workplace) -> None:
    directory = cache.tree_root(tree) / "sbom"
    for file in built.sboms:
        stem = file.source.partition(".sbom.")[0]
        if file.kind.value == "cache" and stem == path:
            directory.mkdir(exist_ok=True)
            data = place.context.root.read(file.source) or b""
            (directory / file.target.rpartition("/")[2]).write_bytes(data)


def _copy_sboms(root: BuildRoot, layout: Layout, target: Path) -> None:
    """``<layers>/sbom`` as it is, over what an earlier build left in ``target``."""
    try:
        shutil.copytree(root.host(f"{layout.layers}/sbom"), target, dirs_exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"The SBOM files cannot be written to {target}", why=error.strerror or str(error)) from error
