"""The stages of a Dockerfile and how they name each other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lifecycle.dockerfile.ast import File
from lifecycle.dockerfile.errors import DockerfileError, near
from lifecycle.dockerfile.instructions.base import Instruction
from lifecycle.dockerfile.instructions.from_ import From
from lifecycle.dockerfile.instructions.reading import parse_instruction
from lifecycle.dockerfile.instructions.variables import Arg
from lifecycle.record import dataclass

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")


class NoStage(DockerfileError):
    """An instruction stands before the first FROM, or there is no FROM at all."""

    code = "dockerfile.no-stage"
    fix = "Begin with FROM; only ARG may stand before it."


class UnknownStage(DockerfileError):
    """A stage is asked for that the Dockerfile does not have."""

    code = "dockerfile.unknown-stage"
    fix = "Name one of the stages of the Dockerfile."


class StageOrder(DockerfileError):
    """A stage takes something from a stage that comes later."""

    code = "dockerfile.stage-order"
    fix = "Move the stage that is named before the one that uses it."


class StageCycle(DockerfileError):
    """Stages need each other, so that none of them can be built first."""

    code = "dockerfile.stage-cycle"
    fix = "Put what both need into a stage of its own, before both."


@dataclass(frozen=True, slots=True)
class Stage:
    """One build stage: its number from 0, its name (lower case, or None), and what follows its FROM."""

    index: int
    name: str | None
    from_: From
    instructions: tuple[Instruction, ...]

    @property
    def title(self) -> str:
        """The name, or ``stage-N`` for a stage without one."""
        return self.name or f"stage-{self.index}"


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """Global arguments and stages, in order; there is at least one stage."""

    file: File
    globals: tuple[Arg, ...]
    stages: tuple[Stage, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stages that have one."""
        return tuple([stage.name for stage in self.stages if stage.name])

    def target(self, name: str | None) -> Stage:
        """The stage called ``name`` (letter case aside) or of that number; the last without one.

        Raises UnknownStage.
        """
        if not name:
            return self.stages[-1]
        found = self._named(name, self.stages)
        if found is not None:
            return found
        if _NUMBER.fullmatch(name) and 0 <= int(name) < len(self.stages):
            return self.stages[int(name)]
        raise UnknownStage(
            f"target stage {name!r} could not be found",
            where=self.file.name,
            fix=near(name, self.names, "Name one of the stages, or none: the last is built then."),
            details="Stages: " + ", ".join([stage.name or str(stage.index) for stage in self.stages]),
        )

    def base(self, stage: Stage, image: str) -> Stage | None:
        """The earlier stage that ``image`` (the expanded name after FROM) names exactly; None: it is an image."""
        earlier = [other for other in self.stages[: stage.index] if other.name == image]
        return earlier[-1] if earlier else None

    def source(self, stage: Stage, name: str, instruction: Instruction) -> Stage | None:
        """The earlier stage that ``--from=name`` in ``stage`` names, or numbers; None: an image or a build context.

        Raises UnknownStage for a number that no stage has, StageOrder and StageCycle for a stage that is not earlier.
        """
        if _NUMBER.fullmatch(name):
            if not 0 <= int(name) < len(self.stages):
                what = f"invalid stage index {name}: the stages are 0 to {len(self.stages) - 1}"
                raise instruction.node.error(UnknownStage, what, word=name)
            found: Stage | None = self.stages[int(name)]
        else:
            found = self._named(name, self.stages[: stage.index]) or self._named(name, self.stages)
        if found is None or found.index < stage.index:
            return found
        node = instruction.node
        if found is stage:
            what = f"circular dependency: stage {stage.title} takes from itself"
            raise node.error(
                StageCycle, what, word=name, fix="Name an earlier stage; `COPY --from` is not needed here."
            )
        if self._needs(found, stage):
            what = f"circular dependency: stages {stage.title} and {found.title} need each other"
            raise node.error(StageCycle, what, word=name)
        what = f"stage {stage.title} takes from stage {found.title}, which is defined later"
        raise node.error(StageOrder, what, word=name)

    def near(self, name: str) -> str | None:
        """``Did you mean …?`` when ``name`` is nearly that of a stage."""
        return near(name, self.names)

    def _named(self, name: str, stages: Iterable[Stage]) -> Stage | None:
        """The last of ``stages`` called so."""
        found = None
        for stage in stages:
            if stage.name == name.lower():
                found = stage
        return found

    def _needs(self, stage: Stage, wanted: Stage) -> bool:
        """Whether ``stage`` takes from ``wanted``, as far as names without variables tell."""
        seen, waiting = set[int](), [stage]
        while waiting:
            current = waiting.pop()
            if current is wanted:
                return True
            if current.index in seen:
                continue
            seen.add(current.index)
            base = self.base(current, current.from_.image)
            waiting += [base] if base else []
            for name in _sources(current):
                number = int(name) if _NUMBER.fullmatch(name) else -1
                source = self.stages[number] if 0 <= number < len(self.stages) else self._named(name, self.stages)
                waiting += [source] if source else []
        return False


def read_dockerfile(file: File) -> Dockerfile:
    """Every instruction of ``file``, sorted into stages; raises DockerfileError."""
    found: list[Arg] = []
    stages: list[Stage] = []
    current: list[Instruction] = []
    begun: From | None = None

    def close() -> None:
        if begun is not None:
            stages.append(Stage(len(stages), begun.name, begun, tuple(current)))
            current.clear()

    for node in file.nodes:
        instruction = parse_instruction(node, file)
        if isinstance(instruction, From):
            close()
            begun = instruction
        elif begun is not None:
            current.append(instruction)
        elif isinstance(instruction, Arg):
            found.append(instruction)
        else:
            what = f"no build stage in current context: {node.original} stands before the first FROM"
            raise node.error(NoStage, what)
    close()
    if not stages:
        last = file.nodes[-1]
        raise last.error(NoStage, "the Dockerfile has no stages to build: there is no FROM")
    return Dockerfile(file, tuple(found), tuple(stages))


def _sources(stage: Stage) -> Iterable[str]:
    for instruction in stage.instructions:
        node = instruction.node.nested or instruction.node
        if node.keyword == "copy":
            yield from (flag.removeprefix("--from=") for flag in node.flags if flag.startswith("--from="))
        elif node.keyword == "run":
            mounts = (flag.removeprefix("--mount=") for flag in node.flags if flag.startswith("--mount="))
            fields = (field for mount in mounts for field in mount.split(","))
            yield from (field.removeprefix("from=") for field in fields if field.startswith("from="))
