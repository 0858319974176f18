"""What a Dockerfile can be told, and what can be built from it: its arguments, secrets, ssh agents, caches and stages.

Source: BuildKit's frontend subrequests "outline" and "targets"; cache mounts are told here besides.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.instructions.mounts import Mount
from lifecycle.dockerfile.instructions.run import Run
from lifecycle.dockerfile.instructions.variables import Arg
from lifecycle.dockerfile.location import Location
from lifecycle.dockerfile.stages import Dockerfile, Stage
from lifecycle.dockerfile.survey import Survey
from lifecycle.dockerfile.words import expand
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Argument:
    """A build argument: the value that it has (None: none unless it is given) and what its comment says."""

    name: str
    value: str | None
    description: str
    location: Location


@dataclass(frozen=True, slots=True)
class Wanted:
    """A secret or an ssh agent that a step asks for, by its id; without one that is ``required`` the build fails."""

    id: str
    required: bool
    location: Location


@dataclass(frozen=True, slots=True)
class CacheMount:
    """A cache that a step keeps from build to build."""

    id: str
    target: str
    sharing: str
    location: Location


@dataclass(frozen=True, slots=True)
class Outline:
    """What matters to who builds ``target``: all in the file's order, one of a kind once."""

    target: str | None
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[Wanted, ...]
    ssh: tuple[Wanted, ...]
    caches: tuple[CacheMount, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A stage as something to build: ``base`` and ``platform`` as written."""

    name: str | None
    index: int
    base: str
    platform: str | None
    description: str
    default: bool
    location: Location


def targets(dockerfile: Dockerfile) -> tuple[Target, ...]:
    """The stages of the file; the last is the default."""
    last = len(dockerfile.stages) - 1
    return tuple(
        Target(
            stage.name,
            stage.index,
            stage.from_.image,
            stage.from_.platform,
            description(stage.from_.node, stage.name),
            stage.index == last,
            stage.from_.node.location,
        )
        for stage in dockerfile.stages
    )


def description(node: Node, name: str | None) -> str:
    """What a comment right above ``node`` says of ``name``: the line that begins with it, without it."""
    lines = (comment.strip() for comment in node.comments)
    return next((line.removeprefix(f"{name} ").strip() for line in lines if name and line.startswith(f"{name} ")), "")


def outline(
    dockerfile: Dockerfile, target: Stage | None = None, build_args: Mapping[str, str] | None = None
) -> Outline:
    """What a build of ``target`` (the last stage without one) can be told; raises DockerfileError."""
    stage = target or dockerfile.stages[-1]
    survey = Survey(dockerfile, build_args or {}, stage)
    mounts = list(_mounts(survey))
    return Outline(
        stage.name,
        description(stage.from_.node, stage.name),
        tuple(_arguments(survey)),
        tuple(_wanted(mounts, "secret")),
        tuple(_wanted(mounts, "ssh")),
        tuple(_caches(mounts)),
    )


def _arguments(survey: Survey) -> Iterable[Argument]:
    """The arguments that the stages use: those of their FROMs, what these are made of, and those they declare."""
    found: dict[str, Argument] = {}
    global_ones = {name: (arg, default) for arg in survey.dockerfile.globals for name, default in arg.pairs}
    waiting = [
        name
        for stage in survey.stages
        for word in (stage.image, stage.platform)
        if word is not None
        for name in (*word.used, *word.unset)
    ]
    for stage in survey.stages:
        for seen in stage.seen:
            if isinstance(seen.written, Arg) and isinstance(seen.expanded, Arg):
                for (name, default), (_, value) in zip(seen.written.pairs, seen.expanded.pairs, strict=True):
                    if default is None and name in global_ones:
                        waiting.append(name)
                    elif default is not None or name not in survey.globals:  # else: it is there in every build
                        about = description(seen.node, name)
                        found.setdefault(name, Argument(name, value, about, seen.node.location))
    while waiting:
        name = waiting.pop()
        if name in global_ones and name not in found:
            arg, default = global_ones[name]
            value = survey.globals.get(name)
            found[name] = Argument(name, value, description(arg.node, name), arg.node.location)
            if default is not None and name not in survey.build_args:
                parts = expand(default, survey.globals, survey.file.escape)
                waiting += [*parts.used, *parts.unset]
    return sorted(found.values(), key=lambda argument: (argument.location.line, argument.name))


def _mounts(survey: Survey) -> Iterator[tuple[Mount, Node]]:
    seen_at: set[tuple[int, Mount]] = set()
    for stage in survey.stages:
        for seen in stage.seen:
            if isinstance(seen.expanded, Run):
                for mount in seen.expanded.mounts:
                    if (seen.node.location.line, mount) not in seen_at:  # a trigger runs in several stages
                        seen_at.add((seen.node.location.line, mount))
                        yield mount, seen.node


def _wanted(mounts: list[tuple[Mount, Node]], kind: str) -> Iterable[Wanted]:
    found: dict[str, Wanted] = {}
    for mount, node in mounts:
        if mount.type == kind:
            name = mount.id or (posixpath.basename(mount.target) if kind == "secret" else "default")
            known = found.get(name)
            required = mount.required or (known is not None and known.required)
            found[name] = Wanted(name, required, known.location if known else node.location)
    return found.values()


def _caches(mounts: list[tuple[Mount, Node]]) -> Iterable[CacheMount]:
    found: dict[str, CacheMount] = {}
    for mount, node in mounts:
        if mount.type == "cache":
            name = mount.id or posixpath.normpath(mount.target)
            found.setdefault(name, CacheMount(name, mount.target, mount.sharing or "shared", node.location))
    return found.values()
