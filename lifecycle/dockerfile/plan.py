"""From stages to the build graph: only what the target needs, everything resolved and expanded.

Source: BuildKit's dockerfile2llb.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Protocol

from lifecycle.dockerfile import config, words
from lifecycle.dockerfile.config import Draft
from lifecycle.dockerfile.errors import DockerfileError, near
from lifecycle.dockerfile.instructions import Arg, From, Scope, parse_instruction
from lifecycle.dockerfile.operations import Workshop, place_error
from lifecycle.dockerfile.scope import CONTROLS, PROXIES, StageScope, platform_arguments
from lifecycle.graph.key import Ingredient
from lifecycle.graph.node import Base, Node, Vertex
from lifecycle.graph.state import KnownLayer
from lifecycle.image.image import Image
from lifecycle.oci import BadPlatform, Dialect, Platform
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.archive.filetree import HostTree
    from lifecycle.dockerfile.instructions import Instruction
    from lifecycle.dockerfile.stages import Dockerfile, Stage
    from lifecycle.oci import Digest
    from lifecycle.source.fetch import Fetched


class BadBase(DockerfileError):
    """A FROM names nothing that a stage can begin with."""

    code = "dockerfile.bad-base"
    fix = "Name an image, an earlier stage or scratch."


class BadTrigger(DockerfileError):
    """An ONBUILD trigger of a base image is not one instruction."""

    code = "dockerfile.bad-trigger"
    fix = "Mend the base image: each of its OnBuild entries must be one Dockerfile instruction."


class Sources(Protocol):
    """What a Dockerfile refers to outside itself; asked only for what the target needs."""

    def image(self, name: str, platform: Platform) -> Image:
        """The image of that name (or transport and path); raises ImageNotFound and what registries raise."""
        ...

    def named(self, name: str, platform: Platform) -> Image | HostTree | None:
        """What ``--build-context`` gave that name; None when it gave nothing."""
        ...

    def context(self) -> HostTree:
        """The main context, ignore rules applied."""
        ...

    def url(self, address: str, checksum: Digest | None) -> Fetched:
        """A file from the web."""
        ...

    def git(self, address: str, *, keep_git: bool | None, checksum: str) -> tuple[HostTree, str] | None:
        """A repository's tree and its commit; None when ``address`` is none of git's."""
        ...


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What steers a plan. ``epoch`` is the time of everything new in seconds; ``slot`` tells images apart in the
    memory of what changed since last time; ``network`` is what a RUN gets that asks for nothing."""

    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    platform: Platform = field(default_factory=Platform.host)
    build_platform: Platform = field(default_factory=Platform.host)
    epoch: int = 0
    no_cache: bool = False
    no_cache_stages: frozenset[str] = frozenset()
    show_platform: bool = False
    slot: str = ""
    network: str = "default"
    memory: int | None = None
    timeout: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage, planned to its end: its configuration, what it leaves in scope, its filesystem."""

    draft: Draft
    scope: StageScope
    vertex: Vertex
    dialect: Dialect
    platform: Platform
    base_layers: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be known to make the image of one platform."""

    target: StagePlan
    stages: tuple[StagePlan, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The steps upon the target's base, bottom first."""
        return self.target.vertex.chain if isinstance(self.target.vertex, Node) else ()


def global_arguments(dockerfile: Dockerfile, options: PlanOptions) -> dict[str, str]:
    """The arguments before the first FROM, and those that every build has."""
    stage = dockerfile.target(options.target).name or ""
    found = platform_arguments(options.platform, options.build_platform, stage, options.build_args)
    for arg in dockerfile.globals:
        for name, _ in arg.pairs:
            value = _argument(arg, name, options.build_args, found, dockerfile.file.escape)
            if value is not None:
                found[name] = value
    return found


def _argument(
    arg: Arg, name: str, given: Mapping[str, str], env: Mapping[str, str], escape: str, default: str | None = None
) -> str | None:
    """The value of one argument: given from outside, else its own default, expanded; else ``default``."""
    if name in given:
        return given[name]
    own = dict(arg.pairs).get(name)
    if own is None:
        return default
    return replace(arg, pairs=((name, own),)).expand(Scope(env, escape)).pairs[0][1]


def unused_arguments(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Build arguments that no ARG asks for, each with the word it may be misspelt from."""
    args = [*dockerfile.globals]
    args += (item for stage in dockerfile.stages for item in stage.instructions if isinstance(item, Arg))
    declared = {name for arg in args for name, _ in arg.pairs}
    known = declared | {*CONTROLS, *PROXIES, *(name.lower() for name in PROXIES)}
    known |= platform_arguments(Platform.host(), Platform.host(), "", {}).keys()
    return [(name, near(name, declared)) for name in build_args if name not in known]


class Planner:
    """Plans stages, each once, as they are needed."""

    def __init__(self, dockerfile: Dockerfile, options: PlanOptions, sources: Sources, workshop: Workshop) -> None:
        self.dockerfile = dockerfile
        self.options = options
        self.sources = sources
        self.workshop = workshop
        self.globals = global_arguments(dockerfile, options)
        self._planned: dict[int, StagePlan] = {}
        self._images: dict[tuple[str, Platform], Image] = {}

    def plan(self) -> Plan:
        """The target's plan; raises DockerfileError, and what its images' places raise."""
        target = self.stage(self.dockerfile.target(self.options.target))
        draft = config.with_labels(target.draft, self.options.labels) if self.options.labels else target.draft
        return Plan(replace(target, draft=draft), tuple(self._planned.values()))

    def stage(self, stage: Stage) -> StagePlan:
        """One stage and all it stands on."""
        if stage.index not in self._planned:
            from lifecycle.dockerfile.stageplan import StageBuild

            begun, triggers, name = self._begin(stage)
            build = StageBuild(self, stage, begun, counts_base=name)
            self._planned[stage.index] = build.run([*triggers, *stage.instructions], len(triggers))
        return self._planned[stage.index]

    def _begin(self, stage: Stage) -> tuple[StagePlan, list[Instruction], bool]:
        """What the stage starts with, the triggers to run first, and whether an image counts as its first step."""
        from_ = stage.from_.expand(Scope(self.globals, self.dockerfile.file.escape))
        platform = self._platform(from_) or self.options.platform
        if stage.name is not None and (replaced := self.sources.named(stage.name, platform)) is not None:
            return self._of(replaced, platform, stage), [], True
        named = self.sources.named(from_.image, platform)
        parent = self.dockerfile.base(stage, from_.image) if named is None else None
        if parent is not None:
            below = self.stage(parent)
            triggers = self._triggers(below.draft.on_build, from_)
            return replace(below, draft=config.of_stage(below.draft)), triggers, False
        if named is None and from_.image.lower() == "scratch":
            draft = config.scratch(platform)
            return StagePlan(draft, StageScope.of_image(draft.env), Base(), Dialect.OCI, platform), [], False
        found = named if named is not None else self.image(from_.image, platform, from_)
        begun = self._of(found, platform, stage)
        data = (found.config.data.get("config") or {}) if isinstance(found, Image) else {}
        return begun, self._triggers(data.get("OnBuild") or (), from_), True

    def _of(self, found: Image | HostTree, platform: Platform, stage: Stage) -> StagePlan:
        """A stage upon an image, or upon a directory as if it had been copied to the root."""
        if isinstance(found, Image):
            draft = config.of_base(found.config)
            base = self.base_vertex(found)
            scope = StageScope.of_image(draft.env)
            return StagePlan(draft, scope, base, found.dialect, platform, len(found.layers))
        from lifecycle.dockerfile.stageplan import copy_of_tree

        draft = config.scratch(platform)
        vertex = copy_of_tree(found, stage, self.workshop)
        draft = config.note(draft, f"FROM {stage.from_.image}", layer=True)
        return StagePlan(draft, StageScope.of_image(draft.env), vertex, Dialect.OCI, platform)

    @staticmethod
    def base_vertex(image: Image) -> Base:
        """The image's filesystem, named by what it holds, so that neither name nor compression counts."""
        layers = tuple(KnownLayer(layer) for layer in image.layers)
        return Base(layers, (Ingredient("base image", [layer.diff_id for layer in image.layers]),))

    def _platform(self, from_: From) -> Platform | None:
        try:
            return None if from_.platform is None else Platform.parse(from_.platform)
        except BadPlatform as error:
            error.where = str(from_.node.location)
            raise

    def image(self, name: str, platform: Platform, instruction: Instruction) -> Image:
        """The image ``name``; one that is not there names the near stage."""
        key = name, platform
        if key not in self._images:
            from lifecycle.errors import PylifeError

            try:
                self._images[key] = self.sources.image(name, platform)
            except PylifeError as error:
                place_error(error, instruction.node.location)
                stages = [stage.name for stage in self.dockerfile.stages if stage.name]
                if hint := near(name, [*stages, "scratch"]):
                    error.fix = f"{hint} {error.fix}"
                raise
        return self._images[key]

    def source(self, stage: Stage, name: str, instruction: Instruction, platform: Platform) -> Vertex | HostTree:
        """What ``--from=name`` reads: a named context, a stage, or an image."""
        if not name:
            raise instruction.node.error(BadBase, "--from is empty", why="a variable in it has no value")
        found: Image | HostTree | None = self.sources.named(name, platform)
        if found is None:
            earlier = self.dockerfile.source(stage, name, instruction)
            if earlier is not None:
                return self.stage(earlier).vertex
            if name.lower() == "scratch":
                return Base()
            found = self.image(name, platform, instruction)
        return self.base_vertex(found) if isinstance(found, Image) else found

    def _triggers(self, texts: Sequence[str], from_: From) -> list[Instruction]:
        """The instructions that a base wants run first."""
        from lifecycle.dockerfile.ast import parse

        found = []
        for text in texts:
            file = parse(text.encode("utf-8", "surrogateescape"), f"ONBUILD of {from_.image}")
            if len(file.nodes) != 1:
                raise from_.node.error(BadTrigger, f"{text!r} of {from_.image} is not one instruction")
            found.append(parse_instruction(file.nodes[0], file))
        return found

    def argument(self, arg: Arg, name: str, scope: StageScope) -> str | None:
        """The value of an ARG in a stage: given, its own default, or the global one."""
        escape = self.dockerfile.file.escape
        return _argument(arg, name, self.options.build_args, scope.env, escape, self.globals.get(name))

    def expanded(self, text: str, scope: StageScope) -> str:
        """A word that BuildKit would not expand (``--from``), with the stage's variables."""
        return words.expand(text, scope.env, self.dockerfile.file.escape).text if "$" in text else text
