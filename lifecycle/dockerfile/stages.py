"""The stages of a Dockerfile and how they name each other."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.dockerfile.ast import File
from lifecycle.dockerfile.instructions.base import Instruction
from lifecycle.dockerfile.instructions.from_ import From
from lifecycle.dockerfile.instructions.variables import Arg


@dataclass(frozen=True, slots=True)
class Stage:
    """One build stage: its number from 0, its name (lower case, or None), and what follows its FROM."""

    index: int
    name: str | None
    from_: From
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """Global arguments and stages, in order; there is at least one stage."""

    file: File
    globals: tuple[Arg, ...]
    stages: tuple[Stage, ...]

    def target(self, name: str | None) -> Stage:
        """The stage called ``name`` (letter case aside) or numbered so; the last without a name; raises UnknownStage."""
        raise NotImplementedError

    def base(self, stage: Stage, image: str) -> Stage | None:
        """The earlier stage that ``image`` (the expanded name after FROM) names; None: it is an image."""
        raise NotImplementedError

    def source(self, stage: Stage, name: str, instruction: Instruction) -> Stage | None:
        """The stage that ``--from=name`` in ``stage`` names (name or number); None: an image or a build context."""
        raise NotImplementedError


def read_dockerfile(file: File) -> Dockerfile:
    """Every instruction of ``file``, sorted into stages; raises DockerfileError."""
    raise NotImplementedError
