"""``pylife slug build`` as a function: bring source, buildpacks and cache, run the pipeline, send what came out."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import field, replace
from pathlib import Path

from lifecycle.app.engine import scratch
from lifecycle.app.ports import Ports
from lifecycle.app.slug.defaults import LAST_RESORT, default_buildpacks, place_default
from lifecycle.app.slug.site import Site, chosen_path
from lifecycle.errors import PylifeError
from lifecycle.events import Event, Message
from lifecycle.oci import Digest
from lifecycle.phases.inputs import EPOCH
from lifecycle.record import dataclass
from lifecycle.slug.archive import SIZE_LIMIT, SIZE_WARNING, Slug, clear, write_slug
from lifecycle.slug.buildpack import ClassicBuildpack
from lifecycle.slug.cache import CacheStore, Restored, kept
from lifecycle.slug.environment import with_ssh_key
from lifecycle.slug.fetch import fetch_buildpack
from lifecycle.slug.files import read_app_file
from lifecycle.slug.ignore import count_ignored, parse_slugignore
from lifecycle.slug.moments import (
    CacheRestored,
    CheckingCache,
    Compressing,
    Ended,
    FetchingBuildpack,
    FetchingSource,
    IgnoredRemoved,
    Journal,
    Moment,
    NotFetched,
    RestoringCache,
    Sending,
    SlugMade,
    SlugUnchanged,
    Started,
    StepBegan,
    StepDone,
    StepName,
    Warned,
)
from lifecycle.slug.pipeline import Compiled, SlugInputs, compile_slug
from lifecycle.slug.place import own_directory
from lifecycle.slug.procfile import render_types_yaml
from lifecycle.slug.selection import BadBuildpackUrl, Selection, choose
from lifecycle.slug.targets import Target, check_target, finality
from lifecycle.slug.transfer import is_current, known, replaced
from lifecycle.source.context import Context, open_context
from lifecycle.source.directory import copy_directory
from lifecycle.source.errors import BadArchive
from lifecycle.source.remotes import Remotes

_UNBOUND = frozenset({"GIT_TOKEN", "GIT_USERNAME", "GIT_PASSWORD", "GIT_AUTH_TOKEN", "GIT_AUTH_HEADER"})


@dataclass(frozen=True, slots=True)
class SlugRequest:
    """What to build. ``app`` is a place as ``open_context`` knows them, called ``shown`` for people; ``targets`` take
    the slug, ``types`` the file that names its process types.

    ``config_vars`` are the app's; ``buildpacks`` are asked for by the user in this order, ``required`` by a platform as
    in REQUIRED_BUILDPACKS. ``created`` is the time of every file in the slug in seconds, ``max_size`` in bytes;
    ``environment`` is one that app.json describes (test).
    """

    app: str
    remotes: Remotes
    shown: str = ""
    targets: tuple[Target, ...] = ()
    types: Target | None = None
    config_vars: Mapping[str, str] = field(default_factory=dict)
    buildpacks: tuple[str, ...] = ()
    required: str = ""
    cache: CacheStore | None = None
    clear_cache: bool = False
    stack: str = ""
    source_version: str = ""
    request_id: str = ""
    max_size: int = SIZE_LIMIT
    created: int = EPOCH
    environment: str = ""


@dataclass(frozen=True, slots=True)
class SlugBuilt:
    """What a build came to. ``sent`` are the targets that got the slug, the others had it; ``cache`` says what became
    of the cache."""

    slug: Slug
    compiled: Compiled
    sent: tuple[str, ...]
    cache: str
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """The result as plain data, for ``--json``."""
        used = [{"name": item.name, "version": item.version, "app": kind} for item, kind in self.compiled.used]
        return {
            "digest": str(self.slug.digest),
            "size": self.slug.size,
            "files": self.slug.files,
            "buildpacks": used,
            "reports": {item.name: text for item, text in self.compiled.reports},
            "processes": dict(self.compiled.types.commands),
            "sent": list(self.sent),
            "cache": self.cache,
        }


def build_slug(request: SlugRequest, site: Site, ports: Ports, journal: Journal) -> SlugBuilt:
    """Build the app at ``site``, send the slug to all targets, store the cache when it changed.

    When anything fails, the targets and the stored cache are what they were, as far as their places allow: a URL that
    takes PUT only cannot be asked what it held. The journal is told why.
    """
    telling = _Telling(journal)
    with _told(telling), scratch(ports) as work, ExitStack() as held:
        telling.tell(Started(_stack(request, site)))
        with telling.step("setup"):
            for target in (*request.targets, *((request.types,) if request.types is not None else ())):
                check_target(target)
            inputs, restored = _set_up(request, site, telling, work, held)
        compiled = compile_slug(inputs, site.root, site.runner, site.paths, site.owner.chown, telling)
        with telling.step("export"):
            slug = _pack(request, site, work / "slug.tgz", telling)
        with telling.step("finish"):
            sent, cache = _hand_over(request, site, restored, compiled, slug, work, telling)
    return SlugBuilt(slug, compiled, sent, cache, telling.seconds)


def compile_app(request: SlugRequest, site: Site, ports: Ports, journal: Journal) -> Compiled:
    """Build the app and leave it at its place at ``site``; the cache is stored when it changed, nothing is sent."""
    telling = _Telling(journal)
    with _told(telling), scratch(ports) as work, ExitStack() as held:
        telling.tell(Started(_stack(request, site)))
        with telling.step("setup"):
            inputs, restored = _set_up(request, site, telling, work, held)
        compiled = compile_slug(inputs, site.root, site.runner, site.paths, site.owner.chown, telling)
        with telling.step("finish"), _kept_cache(request, site, restored, telling):
            pass
    return compiled


def prepare(request: SlugRequest, site: Site, telling: Journal, work: Path, held: ExitStack) -> SlugInputs:
    """Source and buildpacks in their places; no cache, nothing is sent: for the tests of an app."""
    return _set_up(request, site, telling, work, held)[0]


def _set_up(
    request: SlugRequest, site: Site, journal: Journal, work: Path, held: ExitStack
) -> tuple[SlugInputs, Restored]:
    """Everything in its place: the source without what .slugignore names, the cache, the buildpacks."""
    journal.tell(FetchingSource(request.shown or request.app))
    stdin = sys.stdin.buffer if sys.stdin is not None else None
    context = held.enter_context(open_context(request.app, work / "source", request.remotes, stdin=stdin))
    if context.dockerfile is not None:  # a text, with which a Dockerfile's build could begin
        why = "it is neither a tar nor a zip" if context.dockerfile else "it is empty"
        raise BadArchive(f"The source is no archive: {request.shown or request.app}", why=why)
    _copy_source(context, site, journal)
    restored = _restore_cache(request, site, journal)
    names = tuple(item.name for item in default_buildpacks())
    try:
        selection = choose(
            request.config_vars,
            context.directory,
            request.buildpacks,
            request.required,
            names,
            request.environment,
        )
    except BadBuildpackUrl as error:
        journal.tell(NotFetched(error.text))
        raise
    for warning in selection.warnings:
        journal.tell(Warned(warning))
    inputs = SlugInputs(
        buildpacks=_bring(selection, request, site, journal, work),
        mode=selection.mode,
        config_vars=request.config_vars,
        stack=_stack(request, site),
        source_version=request.source_version or context.revision,
        request_id=request.request_id,
        variables=site.env,
    )
    return inputs, restored


def _stack(request: SlugRequest, site: Site) -> str:
    return request.stack or site.env.get("STACK", "")


def _copy_source(context: Context, site: Site, journal: Journal) -> None:
    ignore = parse_slugignore(read_app_file(context.directory, ".slugignore") or b"")
    for warning in ignore.warnings:
        journal.tell(Warned(warning))
    if left_out := count_ignored(context.directory, ignore):
        journal.tell(IgnoredRemoved(left_out))
    target = site.host(site.paths.build)
    told = _Warnings(journal)
    copy_directory(context.directory, target, owner=site.owner.chown, filter=ignore.filter(), sink=told)


def _restore_cache(request: SlugRequest, site: Site, journal: Journal) -> Restored:
    journal.tell(RestoringCache())
    restored = Restored(False)
    if request.clear_cache:
        clear(site.host(site.paths.cache))  # a container's may be a volume
    elif request.cache is not None:
        restored = request.cache.restore(site.host(site.paths.cache), owner=site.owner.chown)
    journal.tell(CacheRestored(restored.found, restored.why))
    return restored


def _bring(
    selection: Selection, request: SlugRequest, site: Site, journal: Journal, work: Path
) -> tuple[ClassicBuildpack, ...]:
    """The buildpacks at their places in the root, in order."""
    placed = [] if selection.references else _installed(site)
    remotes = request.remotes if selection.trusted else for_strangers(request.remotes)
    remotes = with_ssh_key(remotes, request.config_vars, work / "ssh")
    local = selection.trusted or site.engine is None  # a container has no files that its app may not see
    for number, reference in enumerate(selection.references or default_buildpacks()):
        last = not selection.references and reference.name == LAST_RESORT
        if last and not site.root.is_file(f"{site.paths.build}/Procfile"):
            continue  # without a word about how to start it, the app is nothing that this builder knows
        inside = f"{chosen_path(site.paths)}/{number:02}_{reference.name}"
        if reference.kind == "named":
            place = place_default(reference.name, work / f"buildpack-{number}")
        else:
            journal.tell(FetchingBuildpack(reference.name, reference.version, str(reference)))
            try:
                place = fetch_buildpack(reference, remotes, work / f"buildpack-{number}", local=local)
            except PylifeError:
                journal.tell(NotFetched(str(reference)))
                raise
        copy_directory(place, site.host(inside), owner=site.owner.chown)
        placed.append(ClassicBuildpack(reference.name, inside, str(reference), reference.version, last))
    return tuple(placed)


def for_strangers(remotes: Remotes) -> Remotes:
    """``remotes`` for addresses that the app's own files name, which may be anybody's: without the credentials that are
    bound to no host."""
    environment = {name: value for name, value in remotes.environment.items() if name not in _UNBOUND}

    def bound(name: str) -> bytes | None:
        return None if name in _UNBOUND else remotes.secrets(name)

    return replace(remotes, environment=environment, secrets=bound)


def _installed(site: Site) -> list[ClassicBuildpack]:
    """The buildpacks that the image, a volume or ``herokuish buildpack install`` has put among the builder's own; each
    a copy: compiling may leave its ``export`` there, and a volume is not the build's to write.
    """
    top = site.paths.buildpacks
    found = []
    for name in site.root.names(top):
        if name.startswith(".") or not site.root.is_dir(f"{top}/{name}"):
            continue
        inside = f"{chosen_path(site.paths)}/installed-{name}"
        copy_directory(site.host(f"{top}/{name}"), site.host(inside), owner=site.owner.chown)
        found.append(ClassicBuildpack(name, inside))
    return found


def _pack(request: SlugRequest, site: Site, file: Path, journal: Journal) -> Slug:
    journal.tell(Compressing())
    began = time.monotonic()
    with open(file, "wb") as out:
        slug = write_slug(site.host(site.paths.app), out, mtime=request.created, limit=request.max_size)
    journal.tell(SlugMade(slug.size, str(slug.digest), time.monotonic() - began))
    if slug.size > SIZE_WARNING:
        journal.tell(Warned("The slug is large, so it will be slow to start: list in .slugignore what need not run."))
    return slug


def _hand_over(
    request: SlugRequest,
    site: Site,
    restored: Restored,
    compiled: Compiled,
    slug: Slug,
    work: Path,
    journal: Journal,
) -> tuple[tuple[str, ...], str]:
    """Slug, process types and cache to their places, all of them or none; the targets that got the slug, and what
    became of the cache.

    Files are written first, since a full disk is known then, and take their names last. Of what is sent, the slug is
    the last: the others can be taken back.
    """
    waiting = []
    stdout = sys.stdout.buffer if sys.stdout is not None else None
    for target in request.targets:
        if is_current(target, slug.digest, slug.size, request.remotes):
            journal.tell(SlugUnchanged(str(target), str(slug.digest)))
        else:
            journal.tell(Sending(str(target)))
            waiting.append(target)
    with ExitStack() as placing:

        def place(*finalities: int) -> None:
            for target in sorted(waiting, key=finality):
                if finality(target) in finalities:
                    placing.enter_context(replaced(work / "slug.tgz", target, request.remotes, stdout=stdout))

        place(0)
        cache = placing.enter_context(_kept_cache(request, site, restored, journal))
        if request.types is not None:
            placing.enter_context(_types_replaced(request.types, compiled, work, request.remotes))
        place(1, 2)
    return tuple(map(str, waiting)), cache


@contextmanager
def _types_replaced(target: Target, compiled: Compiled, work: Path, remotes: Remotes) -> Iterator[None]:
    file = work / "Procfile"
    text = render_types_yaml(compiled.types.uploaded)
    file.write_bytes(text)
    if is_current(target, Digest.of(text), len(text), remotes):
        yield
        return
    old = known(target, remotes)
    with replaced(file, target, remotes, what="The list of process types", old=old, stdout=sys.stdout.buffer):
        yield


@contextmanager
def _kept_cache(request: SlugRequest, site: Site, restored: Restored, journal: Journal) -> Iterator[str]:
    """The cache in its place, if it changed and the block succeeds; gives what becomes of it."""
    if request.cache is None:
        yield "none"
        return
    journal.tell(CheckingCache())
    with kept(request.cache, Path(own_directory(site.root, site.paths.cache)), restored) as checked:
        yield checked.state
    journal.tell(checked)


@contextmanager
def _told(telling: _Telling) -> Iterator[None]:
    """Tell how the block ended."""
    try:
        yield
    except BaseException as error:
        why = str(error) if isinstance(error, Exception) else "it was interrupted"
        telling.tell(Ended(False, telling.seconds, why, telling.at))
        raise
    telling.tell(Ended(True, telling.seconds))


class _Warnings:
    """A sink whose messages are warnings of a build."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def emit(self, event: Event) -> None:
        if isinstance(event, Message):
            self._journal.tell(Warned(event.text))


class _Telling:
    """The journal, and which step of the build is at work."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._began = time.monotonic()
        self.at: StepName | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def tell(self, moment: Moment) -> None:
        match moment:
            case StepBegan(step):
                self.at = step
            case StepDone():
                self.at = None
        self._journal.tell(moment)

    @contextmanager
    def step(self, name: StepName) -> Iterator[None]:
        began = time.monotonic()
        self.tell(StepBegan(name))
        yield
        self.tell(StepDone(name, time.monotonic() - began))
