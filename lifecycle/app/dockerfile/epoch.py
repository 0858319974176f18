"""SOURCE_DATE_EPOCH: the one time of everything that a build makes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from lifecycle.archive.entry import EPOCH_1980
from lifecycle.dockerfile.instructions import Add, Arg, Scope
from lifecycle.dockerfile.instructions.copy import is_remote
from lifecycle.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.dockerfile.stages import Dockerfile, Stage
    from lifecycle.source.context import Context

NAME = "SOURCE_DATE_EPOCH"
LATEST = 253402300799  # the end of the year 9999


class BadEpoch(UsageError):
    """SOURCE_DATE_EPOCH is neither a number of seconds nor a source that has a time."""

    code = "dockerfile.bad-epoch"
    fix = "Give whole seconds since 1970, `context`, or the name of a context or a stage of one remote ADD."


class Clock(Protocol):
    """What knows the times of sources elsewhere, in seconds; None for those that have none."""

    def time_of_context(self, name: str) -> int | None:
        """The time of the named context; raises KeyError when there is none of that name."""
        ...

    def time_of(self, address: str, checksum: str) -> int | None:
        """The commit's time of a git repository, the Last-Modified of a URL."""
        ...


def find_epoch(
    given: int | None,
    build_args: Mapping[str, str],
    dockerfile: Dockerfile,
    context: Context,
    clock: Clock,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Seconds since 1970: from the command line, the build argument, the file's own ARG, the environment, or 1980.

    Instead of a number there may be ``context``, the name of another context, or that of a stage which is nothing but
    one remote ADD; one that has no time (a directory) means 1980. Raises BadEpoch.
    Source: BuildKit, frontend/dockerfile/dockerfile2llb/epoch.go.
    """
    if given is not None:
        return given
    own = next((value for arg in dockerfile.globals for key, value in arg.pairs if key == NAME and value), None)
    text = build_args.get(NAME, own or environment.get(NAME) or "")
    if text.isdigit() and int(text) <= LATEST:
        return int(text)
    found = _time_of(text, build_args, dockerfile, context, clock) if text else None
    return EPOCH_1980 if found is None else found


def _time_of(
    text: str, build_args: Mapping[str, str], dockerfile: Dockerfile, context: Context, clock: Clock
) -> int | None:
    if text == "context":
        return context.epoch
    with suppress(KeyError):
        return clock.time_of_context(text)
    stage = next((stage for stage in dockerfile.stages if stage.name == text.lower()), None)
    if stage is None:
        raise BadEpoch(f"{text!r} is no time", where=NAME)
    return clock.time_of(*_remote(stage, build_args, dockerfile.file.escape))


def _remote(stage: Stage, build_args: Mapping[str, str], escape: str) -> tuple[str, str]:
    """The address and checksum of a stage's one ADD."""
    what = f"The stage {stage.name} has no time of its own"
    if stage.from_.image.lower() != "scratch":
        raise BadEpoch(what, where=NAME, why="it is not FROM scratch")
    env: dict[str, str] = {}
    found: list[Add] = []
    for instruction in stage.instructions:
        if isinstance(instruction, Arg):
            env |= {name: value for name, value in instruction.expand(Scope(env, escape)).pairs if value is not None}
            env |= {name: build_args[name] for name, _ in instruction.pairs if name in build_args}
        elif isinstance(instruction, Add):
            found.append(instruction.expand(Scope(env, escape)))
        else:
            raise BadEpoch(what, where=NAME, why=f"it has {instruction.node.keyword.upper()} beside its ADD")
    sources = [source for add in found for source in add.sources]
    if len(sources) != 1 or not is_remote(sources[0]):
        raise BadEpoch(what, where=NAME, why="it is not one ADD of a URL or a git repository")
    return sources[0], found[0].checksum or ""
