"""What a Dockerfile comes to as far as can be told without building: words expanded, scopes followed, stages linked.

Base images are looked at only where the caller has them: their variables are unknown otherwise, but for PATH.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import cached_property

from lifecycle.dockerfile.ast import File, Node, parse
from lifecycle.dockerfile.config import DEFAULT_PATH
from lifecycle.dockerfile.instructions.base import Instruction, Scope
from lifecycle.dockerfile.instructions.copy import Copy
from lifecycle.dockerfile.instructions.onbuild import OnBuild
from lifecycle.dockerfile.instructions.reading import parse_instruction
from lifecycle.dockerfile.instructions.run import Run
from lifecycle.dockerfile.instructions.variables import Arg, Env
from lifecycle.dockerfile.scope import StageScope, platform_arguments
from lifecycle.dockerfile.stages import Dockerfile, Stage
from lifecycle.dockerfile.words import Expansion, expand
from lifecycle.oci import ImageConfig, Platform
from lifecycle.record import dataclass

Images = Callable[[Stage, str], ImageConfig | None]


def no_images(stage: Stage, name: str) -> ImageConfig | None:
    """The answer of who has no images at hand."""
    return None


@dataclass(frozen=True, slots=True)
class Seen:
    """One instruction where it takes effect: as written, as expanded, what held before it, and names without value."""

    written: Instruction
    expanded: Instruction
    scope: StageScope
    unset: tuple[str, ...]

    @property
    def node(self) -> Node:
        return self.written.node


@dataclass(frozen=True, slots=True)
class StageSurvey:
    """One stage: the words of its FROM, what it stands on, its instructions (triggers of its base first).

    ``base`` is the stage that it is built from, ``config`` the base image's configuration where it is known; neither
    on ``scratch`` and on an image that nobody looked at. ``reads`` are the stages that it copies or mounts from.
    """

    stage: Stage
    image: Expansion
    platform: Expansion | None
    base: StageSurvey | None
    config: ImageConfig | None
    seen: tuple[Seen, ...]
    scope: StageScope
    reads: tuple[Stage, ...]


@dataclass(frozen=True)
class Survey:
    """A Dockerfile with everything that its expansion depends on; stages are surveyed when they are asked for."""

    dockerfile: Dockerfile
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: Stage | None = None
    platform: Platform = field(default_factory=Platform.host)
    build_platform: Platform = field(default_factory=Platform.host)
    images: Images = no_images
    _known: dict[int, StageSurvey] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def file(self) -> File:
        return self.dockerfile.file

    @cached_property
    def stages(self) -> tuple[StageSurvey, ...]:
        """The stages that the target needs, in the file's order; all of them when there is no target."""
        if self.target is None:
            return tuple(self.stage(stage) for stage in self.dockerfile.stages)
        wanted: dict[int, StageSurvey] = {}
        waiting = [self.target]
        while waiting:
            stage = waiting.pop()
            if stage.index in wanted:
                continue
            found = wanted[stage.index] = self.stage(stage)
            waiting += found.reads
            waiting += [found.base.stage] if found.base else []
        return tuple(wanted[index] for index in sorted(wanted))

    @cached_property
    def globals(self) -> Mapping[str, str]:
        """What FROM sees: the arguments before the first FROM and those that every build has."""
        return self._evaluate(self.build_args)

    @cached_property
    def defaults(self) -> Mapping[str, str]:
        """What FROM would see if no build argument were given."""
        return self._evaluate({})

    @cached_property
    def declared(self) -> frozenset[str]:
        """The names of the arguments before the first FROM, with and without a value."""
        return frozenset(name for arg in self.dockerfile.globals for name, _ in arg.pairs)

    def _evaluate(self, given: Mapping[str, str]) -> dict[str, str]:
        target = self.target or self.dockerfile.stages[-1]
        values = platform_arguments(self.platform, self.build_platform, target.name or "", given)
        for arg in self.dockerfile.globals:
            for name, default in arg.pairs:
                if name in given:
                    values[name] = given[name]
                elif default is not None:
                    values[name] = Scope(values, self.file.escape).word(default, arg.node)
        return values

    def stage(self, stage: Stage) -> StageSurvey:
        """The survey of one stage; raises DockerfileError for words that cannot be expanded."""
        if stage.index not in self._known:
            self._known[stage.index] = self._survey(stage)
        return self._known[stage.index]

    def _survey(self, stage: Stage) -> StageSurvey:
        written = stage.from_
        written.expand(Scope(self.globals, self.file.escape))  # says where a word is malformed, or comes to nothing
        image = expand(written.image, self.globals, self.file.escape)
        platform = expand(written.platform, self.globals, self.file.escape) if written.platform else None
        below = self.dockerfile.base(stage, image.text)
        base = self.stage(below) if below else None
        config = None if base or image.text in ("", "scratch") else self.images(stage, image.text)
        scope = base.scope if base else StageScope.of_image({"PATH": DEFAULT_PATH, **(config.env if config else {})})
        seen = []
        for instruction in (*self._triggers(base, config), *stage.instructions):
            step, scope = self._see(instruction, scope)
            seen.append(step)
        reads = [source for step in seen for source in self._sources(stage, step.expanded)]
        return StageSurvey(stage, image, platform, base, config, tuple(seen), scope, tuple(reads))

    def _triggers(self, base: StageSurvey | None, config: ImageConfig | None) -> Iterable[Instruction]:
        """What the base's ONBUILD instructions bring into the stage."""
        if base is not None:
            for instruction in base.stage.instructions:
                if isinstance(instruction, OnBuild) and instruction.node.nested is not None:
                    yield parse_instruction(instruction.node.nested, self.file)
        elif config is not None:
            for text in (config.data.get("config") or {}).get("OnBuild") or ():
                file = parse(str(text).encode(), "ONBUILD of the base image")
                yield from (parse_instruction(node, file) for node in file.nodes)

    def _see(self, instruction: Instruction, scope: StageScope) -> tuple[Seen, StageScope]:
        if isinstance(instruction, Arg):
            return self._declare(instruction, scope)
        unset: dict[str, None] = {}

        def note(name: str, node: Node) -> None:
            unset[name] = None

        expanded = instruction.expand(Scope(scope.env, self.file.escape, note))
        after = scope.set(expanded.pairs) if isinstance(expanded, Env) else scope
        return Seen(instruction, expanded, scope, tuple(unset)), after

    def _declare(self, arg: Arg, scope: StageScope) -> tuple[Seen, StageScope]:
        """An ARG: a build argument comes before the default, and a bare one takes the global value."""
        before, unset = scope, dict[str, None]()
        pairs = []

        def note(name: str, node: Node) -> None:
            unset[name] = None

        for name, default in arg.pairs:
            value = self.build_args.get(name)
            if value is None and default is not None:
                value = Scope(scope.env, self.file.escape, note).word(default, arg.node)
            elif value is None:
                value = self.globals.get(name)
            scope = scope.declare(name, value)
            pairs.append((name, value))
        expanded = Arg(node=arg.node, pairs=tuple(pairs))
        return Seen(arg, expanded, before, tuple(unset)), scope

    def _sources(self, stage: Stage, instruction: Instruction) -> Iterable[Stage]:
        names: list[str] = []
        if isinstance(instruction, Copy) and instruction.from_:
            names.append(instruction.from_)
        elif isinstance(instruction, Run):
            names += [mount.from_ for mount in instruction.mounts if mount.from_]
        for name in names:
            source = self.dockerfile.source(stage, name, instruction)
            if source is not None:
                yield source
