"""``pylife build`` and ``pylife detect`` as functions: find the images, run the phases, keep and send the result."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lifecycle import __version__
from lifecycle.app.buildpacks import Chosen, brings_own, choose_buildpacks
from lifecycle.app.images import builder_at_hand, find_previous, resolve_builder, resolve_run_image
from lifecycle.app.keeping import Destinations, Sent
from lifecycle.app.ports import Ports
from lifecycle.archive import Profile
from lifecycle.events import Message, Sink, step
from lifecycle.image import Image
from lifecycle.image.places import Place, RegistryPlace, StorePlace, parse_place
from lifecycle.phases.analyze import RunImage, analyze
from lifecycle.phases.cache import read_memo
from lifecycle.phases.inputs import EPOCH, BuildInputs, Engine, ExportOptions, Limits, builder_owner
from lifecycle.platform.bindings import Binding, digest_of
from lifecycle.record import dataclass
from lifecycle.source.descriptor import ProjectDescriptor, find_project_descriptor
from lifecycle.source.directory import copy_directory, digest_directory
from lifecycle.source.git import read_revision
from lifecycle.source.ignore import EVERYTHING, Filter
from lifecycle.source.place import DirectorySource, open_source, parse_source

if TYPE_CHECKING:
    from lifecycle.buildpack.target import BaseTarget
    from lifecycle.phases.create import Created
    from lifecycle.phases.detect import Detected
    from lifecycle.phases.export import Exported

_KEY = "build "


@dataclass(frozen=True, slots=True)
class DetectRequest:
    """What to detect: the app (a path, or an archive, or ``-``), with which builder and which buildpacks."""

    app: str
    builder: str | None = None
    buildpacks: tuple[str, ...] = ()
    run_image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    descriptor: Path | None = None
    limits: Limits = field(default_factory=Limits)
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Everything ``pylife build`` can be told. ``push`` None means: when the name says a registry."""

    detect: DetectRequest
    image: str
    tags: tuple[str, ...] = ()
    push: bool | None = None
    previous_image: str | None = None
    default_process: str | None = None
    cache: Path | None = None
    clear_cache: bool = False
    no_cache: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: int = EPOCH
    profile: Profile = Profile.GZIP_FAST
    sbom_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build came to: the image, where it was put, and what was exported (None: nothing had to run)."""

    image: Image
    sent: tuple[Sent, ...]
    exported: Exported | None

    @property
    def name(self) -> str:
        """The first name, as people write it."""
        return str(self.sent[0].place)


def build(request: BuildRequest, ports: Ports) -> BuildResult:
    """Build the app, keep the image in the store under all its names, push it where a name says a registry.

    Whether the registry takes a push is asked before the build, not after it. When nothing that the image depends on
    changed since the last build, and all buildpacks promise to be pure, that image is the result.
    """
    place = parse_place(request.image)
    destinations = Destinations.of((request.image, *request.tags), request.push)
    push = destinations.pushed
    with ports.store.hold():
        image, exported = _find_unchanged(request, place, push, ports), None
        if image is None:
            exported = _build_anew(request, place, push, ports).exported
            image = exported.image
        else:
            ports.sink.emit(Message("Nothing changed since the last build: no buildpack needs to run."))
        sent = destinations.receive(image, ports)
    return BuildResult(image, sent, exported)


def _find_unchanged(request: BuildRequest, place: Place, push: Sequence[RegistryPlace], ports: Ports) -> Image | None:
    """The last build's image, when it is what building now would give; found by reading alone.

    Nothing is started or entered for it.
    """
    source = parse_source(request.detect.app)
    if request.clear_cache or request.no_cache or not isinstance(source, DirectorySource):
        return None
    memo = read_memo(_cache_directory(request, place, ports))
    if not any(key.startswith(_KEY) for key in memo):
        return None
    project = find_project_descriptor(source.path, request.detect.descriptor)
    builder = builder_at_hand(request.detect.builder or (project.builder if project else None), ports)
    previous = find_previous(request.previous_image, place, ports)
    if builder is None or previous is None:
        return None
    run_image = resolve_run_image(request.detect.run_image, builder, push, ports)
    content = str(digest_directory(source.path, filter=project.filter if project else EVERYTHING))
    if brings_own(request.detect.buildpacks, project, source.path):
        return None
    with choose_buildpacks(request.detect.buildpacks, project, source.path, ports.remotes) as chosen:
        env = _variables(request.detect, source.path, project)
        key = _key(request, content, builder, run_image, chosen, env)
    return previous if key and memo.get(key) == str(previous.digest) else None


def _build_anew(request: BuildRequest, place: Place, push: Sequence[RegistryPlace], ports: Ports) -> Created:
    """Open the engine and run the phases."""
    from lifecycle.app.engine import open_engine, scratch
    from lifecycle.app.shared_cache import open_shared
    from lifecycle.phases.cache import BuildCache
    from lifecycle.phases.create import create

    source_place = parse_source(request.detect.app)
    with (
        open_engine(ports) as engine,
        scratch(ports) as work,
        open_source(source_place, work, stdin=_stdin()) as source,
    ):
        project = find_project_descriptor(source, request.detect.descriptor)
        builder = resolve_builder(request.detect.builder or (project.builder if project else None), ports, engine)
        run_image = resolve_run_image(request.detect.run_image, builder, push, ports)
        for target in push:
            ports.registry.check_push(target.ref)
        analyzed = analyze(run_image, find_previous(request.previous_image, place, ports))
        directory = work / "cache" if request.no_cache else _cache_directory(request, place, ports)
        shared = (
            nullcontext(None)
            if request.no_cache or request.clear_cache
            else open_shared(ports, engine.rung, builder_owner(builder, engine.rung))
        )
        with (
            shared as downloads,
            BuildCache(directory, _repository(place)) as cache,
            choose_buildpacks(request.detect.buildpacks, project, source, ports.remotes) as chosen,
        ):
            if request.clear_cache:
                cache.clear()
            options = ExportOptions(
                profile=request.profile,
                default_process=request.default_process,
                created=request.created,
                labels=request.labels,
                annotations=request.annotations,
                sbom_dir=request.sbom_dir,
                lifecycle_version=builder.config.labels.get("io.buildpacks.lifecycle.version", ""),
            )
            inputs = _inputs(request.detect, source, builder, analyzed.target, project, chosen, engine, downloads)
            return create(
                inputs,
                options,
                analyzed,
                cache,
                engine,
                lambda content: _key(request, content, builder, run_image, chosen, inputs.env),
            )


def _key(
    request: BuildRequest,
    content: str,
    builder: Image,
    run_image: RunImage,
    chosen: Chosen,
    env: Mapping[str, str],
) -> str:
    """A name for everything that the image depends on; empty when something is outside pylife's sight.

    That is a volume, or a buildpack's directory; and a build that has to leave more than the image must run anyway.
    """
    if request.detect.limits.mounts or chosen.directories or request.sbom_dir or request.no_cache:
        return ""
    parts = {
        "pylife": __version__,
        "app": content,
        "builder": str(builder.digest),
        "run image": f"{run_image.reference} {run_image.name} {run_image.mirrors}",
        "buildpacks": [chosen.entries, chosen.pre, chosen.post],
        "env": env,
        "bindings": digest_of(request.detect.bindings),
        "network": request.detect.limits.network,
        "process": request.default_process,
        "labels": [dict(request.labels), dict(request.annotations)],
        "created": request.created,
        "compression": request.profile.name,
    }
    text = json.dumps(parts, sort_keys=True).encode(errors="surrogateescape")
    return f"{_KEY}{hashlib.sha256(text).hexdigest()}"


def explain_detect(request: DetectRequest, ports: Ports) -> Detected:
    """Detection alone: which group wins, and the story of every group that was tried."""
    from lifecycle.app.engine import open_engine, scratch
    from lifecycle.phases.create import workplace
    from lifecycle.phases.detect import detect

    place = parse_source(request.app)
    with open_engine(ports) as engine, scratch(ports) as work, open_source(place, work, stdin=_stdin()) as source:
        project = find_project_descriptor(source, request.descriptor)
        builder = resolve_builder(request.builder or (project.builder if project else None), ports, engine)
        target = analyze(resolve_run_image(request.run_image, builder, (), ports), None).target
        with (
            choose_buildpacks(request.buildpacks, project, source, ports.remotes) as chosen,
        ):
            inputs = _inputs(request, source, builder, target, project, chosen, engine)
            with workplace(inputs, (), engine) as root:
                return detect(root.order, root.lookup, root.context, root.runner, ports.sink)


def _variables(request: DetectRequest, source: Path, project: ProjectDescriptor | None) -> Mapping[str, str]:
    """The variables of the build: the user's before the project's before what git knows of the source."""
    revision = read_revision(source)
    known = {"SOURCE_VERSION": revision.commit, "SOURCE_URL": revision.url} if revision else {}
    return {
        **{name: value for name, value in known.items() if value},
        **(project.env if project else {}),
        **request.env,
    }


def _repository(place: Place) -> str:
    """The name that the tags of an image share; empty for an image in a file or directory."""
    return place.ref.name if isinstance(place, RegistryPlace | StorePlace) else ""


def _cache_directory(request: BuildRequest, place: Place, ports: Ports) -> Path:
    """The cache of the image's repository, or the one named."""
    key = hashlib.sha256((_repository(place) or str(place)).encode()).hexdigest()[:16]
    return request.cache or ports.caches / key


def _stdin() -> BinaryIO | None:
    """Standard input, where an archive may come from."""
    return sys.stdin.buffer if sys.stdin is not None else None


@dataclass(frozen=True, slots=True)
class _Source:
    """The app's directory, its filter, and whose the copy shall be."""

    directory: Path
    name: str
    filter: Filter
    owner: tuple[int, int] | None
    sink: Sink

    def copy_to(self, directory: Path) -> str:
        with step(self.sink, "source", f"Copy the source {self.name}") as told:
            copied = copy_directory(self.directory, directory, owner=self.owner, filter=self.filter, sink=self.sink)
            told.detail = f"{copied.files} files"
        return str(copied.digest)


def _inputs(
    request: DetectRequest,
    source: Path,
    builder: Image,
    target: BaseTarget,
    project: ProjectDescriptor | None,
    chosen: Chosen,
    engine: Engine,
    downloads: Path | None = None,
) -> BuildInputs:
    taken = project.filter if project else EVERYTHING
    owner = builder_owner(builder, engine.rung)
    return BuildInputs(
        builder=builder,
        source=_Source(source, request.app, taken, owner.chown, engine.sink),
        target=target,
        env=_variables(request, source, project),
        chosen=chosen.entries,
        pre=chosen.pre,
        post=chosen.post,
        buildpacks=chosen.directories,
        limits=request.limits,
        bindings=request.bindings,
        shared_cache=downloads,
    )
