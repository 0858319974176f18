"""A classic buildpack: the executables of its bin/, and how each is run.

Every executable is started by bash, because ``export`` files of earlier buildpacks are sourced before it, and because
a script without a #! line is a shell script there. Config variables reach it by the env directory alone.
Source: Heroku, "Buildpack API"; heroku-buildpack-multi for ``export``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.buildpack.execute import OnLine, Runner
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.record import dataclass
from lifecycle.slug.paths import Paths


@dataclass(frozen=True, slots=True)
class ClassicBuildpack:
    """A buildpack at the inside path ``path``; ``origin`` is where it came from, for people: no credentials in it."""

    name: str
    path: str
    origin: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every process of a slug build.

    ``variables`` is the whole process environment; ``on_line`` gets what processes write.
    """

    root: BuildRoot
    runner: Runner
    paths: Paths
    variables: Mapping[str, str]
    on_line: OnLine


@dataclass(frozen=True, slots=True)
class Detection:
    """What bin/detect said: ``kind`` is the name of what it found, None when it does not take the app."""

    kind: str | None
    exit_code: int = 0
    output: tuple[str, ...] = ()


def detect(buildpack: ClassicBuildpack, around: Surroundings, exports: Sequence[str] = ()) -> Detection:
    raise NotImplementedError


def compile(buildpack: ClassicBuildpack, around: Surroundings, exports: Sequence[str] = ()) -> None:
    raise NotImplementedError


def release(buildpack: ClassicBuildpack, around: Surroundings, exports: Sequence[str] = ()) -> bytes | None:
    """What bin/release wrote to stdout; None when the buildpack has none."""
    raise NotImplementedError


def report(buildpack: ClassicBuildpack, around: Surroundings) -> str:
    raise NotImplementedError
