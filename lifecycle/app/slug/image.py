"""Slugs and images: ``pylife build --slug``, ``slug to-image`` and ``slug from-image`` as functions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from lifecycle.app.build import BuildResult
from lifecycle.app.engine import open_engine, scratch, unpack
from lifecycle.app.images import find_previous
from lifecycle.app.keeping import Destinations
from lifecycle.app.ports import Ports
from lifecycle.app.slug.build import SlugRequest, compile_app
from lifecycle.app.slug.site import Site, sandbox_site
from lifecycle.app.slug.stack import RUNNER, ensure_slug_stack
from lifecycle.archive import Profile
from lifecycle.buildpack.labels import BUILD_METADATA
from lifecycle.buildpack.metadata import LauncherVersion, parse_build_label
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.events import step
from lifecycle.image import Image
from lifecycle.image.places import RegistryPlace, load_image, locate, parse_place
from lifecycle.oci import Platform, Reference
from lifecycle.phases.analyze import RunImage, analyze
from lifecycle.phases.export import ExportInputs, export
from lifecycle.phases.inputs import EPOCH, PLATFORM_API, Limits
from lifecycle.phases.slug import LAYOUT, as_built
from lifecycle.record import dataclass
from lifecycle.slug.archive import Slug, read_slug, write_slug
from lifecycle.slug.moments import Journal
from lifecycle.slug.release import Release, render_release
from lifecycle.slug.start import commands
from lifecycle.slug.targets import Target
from lifecycle.slug.transfer import fetch_slug, send

_APP_MODE = 0o755
"""The mode of the app's directory, whatever a buildpack or an archive gave it. It is in each layer of the app, so these
are the layers of the same app's slug only when it is always the same."""


class NoSlugInImage(PylifeError):
    """An image's app does not stand by itself in its app directory, so it cannot be a slug."""

    code = "slug.not-in-image"
    fix = "Build the app with `pylife slug build`, or with `pylife build --slug`: those images can be turned back."


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The image to make: its names, and what it is made upon. ``push`` None means: when the name says a registry."""

    image: str
    tags: tuple[str, ...] = ()
    push: bool | None = None
    builder: str | None = None
    run_image: str | None = None
    previous_image: str | None = None
    default_process: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: int = EPOCH
    profile: Profile = Profile.GZIP_FAST
    limits: Limits = field(default_factory=Limits)


def build_image(request: ImageRequest, slug: SlugRequest, ports: Ports, journal: Journal) -> BuildResult:
    """Compile the app as a slug build does, and put it on the slugrunner image, keep and push the result."""
    with sandbox_site(request.builder, request.limits, ports) as site:
        destinations = _destinations(request, ports)
        compiled = compile_app(slug, site, ports, journal)
        used = [(buildpack.name, buildpack.version) for buildpack, _ in compiled.used]
        return _export(request, site, used, compiled.types.commands, destinations, ports)


def to_image(request: ImageRequest, slug: str, ports: Ports) -> BuildResult:
    """Put a slug that there is already on the slugrunner image."""
    with sandbox_site(request.builder, request.limits, ports) as site:
        destinations = _destinations(request, ports)
        with step(ports.sink, "slug", "Unpack the slug") as told:
            stdin = sys.stdin.buffer if sys.stdin is not None else None
            with fetch_slug(slug, ports.remotes(), stdin) as stream:
                read = read_slug(stream, site.host(LAYOUT.app), slug, owner=site.owner.chown)
            told.detail = f"{read.entries} entries"
        return _export(request, site, [("slug", "")], commands(site.root, LAYOUT.app), destinations, ports)


def from_image(name: str, targets: Sequence[Target], ports: Ports, *, created: int = EPOCH) -> Slug:
    """Write the app of an image that was made from a slug as that slug again; raises NoSlugInImage."""
    with open_engine(ports) as engine, scratch(ports) as work:
        image = load_image(locate(name, ports.images()), ports.images(), Platform.host())
        known = _processes(image, name)
        unpack(image, name, engine)
        with engine.snapshotter.prepare([layer.diff_id for layer in image.layers]) as root:
            inside = BuildRoot(root.path)
            _add_release(inside, known)
            file = work / "slug.tgz"
            with open(file, "wb") as out:
                slug = write_slug(Path(inside.host(LAYOUT.app)), out, mtime=created, limit=0)
        for target in targets:
            send(file, target, ports.remotes(), stdout=sys.stdout.buffer)
    return slug


def _destinations(request: ImageRequest, ports: Ports) -> Destinations:
    """Where the image shall go; whether registries take it is asked before the work, not after it."""
    destinations = Destinations.of((request.image, *request.tags), request.push)
    for target in destinations.pushed:
        ports.registry.check_push(target.ref)
    return destinations


def _export(
    request: ImageRequest,
    site: Site,
    used: Sequence[tuple[str, str]],
    processes: Mapping[str, str],
    destinations: Destinations,
    ports: Ports,
) -> BuildResult:
    assert site.engine is not None and site.snapshot is not None and site.image is not None
    run_image = _run_image(request, site, destinations.pushed, ports)
    site.host(LAYOUT.app).chmod(_APP_MODE)
    built = as_built(used, processes, site.root, site.owner.chown)
    inputs = ExportInputs(
        built=built,
        analyzed=analyze(run_image, find_previous(request.previous_image, parse_place(request.image), ports)),
        kept={},
        memo={},
        app_key="",
        app_untouched=False,
        launcher_version=LauncherVersion(site.image.config.labels.get("io.buildpacks.lifecycle.version", "")),
        platform_api=PLATFORM_API,
        profile=request.profile,
        default_process=request.default_process,
        created=request.created,
        labels=request.labels,
        annotations=request.annotations,
    )
    exported = export(inputs, site.snapshot, LAYOUT, site.owner, ports.store, ports.sink)
    return BuildResult(exported.image, destinations.receive(exported.image, ports), exported)


def _run_image(request: ImageRequest, site: Site, push: Sequence[RegistryPlace], ports: Ports) -> RunImage:
    name = request.run_image
    if name is None:
        assert site.engine is not None
        name, image = RUNNER, ensure_slug_stack(ports, site.engine).runner
    else:
        image = load_image(locate(name, ports.images()), ports.images(), Platform.host())
    return RunImage(image, name, f"{Reference.parse(name).name}@{image.digest}")


def _processes(image: Image, name: str) -> dict[str, str]:
    """The command of each process of an image that was made from a slug."""
    text = image.config.labels.get(BUILD_METADATA)
    if text is None:
        raise NoSlugInImage(f"{name} cannot be turned into a slug", why="no lifecycle made it")
    metadata = parse_build_label(text, name)
    foreign = [str(element) for element in metadata.buildpacks if not element.id.startswith("classic/")]
    if foreign or image.config.working_dir != LAYOUT.app:
        why = f"{', '.join(foreign) or 'its build'} keeps parts of the app outside {LAYOUT.app}"
        raise NoSlugInImage(f"{name} cannot be turned into a slug", why=why)
    return {process.type: process.command[0] for process in metadata.launch.processes}


def _add_release(root: BuildRoot, known: Mapping[str, str]) -> None:
    """Name the processes in ``.release`` that neither it nor the Procfile has."""
    missing = {kind: command for kind, command in known.items() if kind not in commands(root, LAYOUT.app)}
    if missing:
        root.write(f"{LAYOUT.app}/.release", render_release(Release({}, missing, ())))
