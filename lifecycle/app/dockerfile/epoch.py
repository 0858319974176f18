"""SOURCE_DATE_EPOCH: the one time of everything that a build makes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lifecycle.archive.entry import EPOCH_1980
from lifecycle.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.dockerfile.stages import Dockerfile, Stage
    from lifecycle.source.context import Context

LATEST = 253402300799  # the end of the year 9999


class BadEpoch(UsageError):
    """SOURCE_DATE_EPOCH is neither a number of seconds nor a source that has a time."""

    code = "dockerfile.bad-epoch"
    fix = "Give whole seconds since 1970, or `context` for the time of a git, http or archive context."


def find_epoch(
    given: int | None,
    build_args: Mapping[str, str],
    dockerfile: Dockerfile,
    context: Context,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Seconds since 1970: from the command line, the build argument, the file's own ARG, the environment, or 1980.

    A directory has no time of its own: ``context`` means 1980 for it. Raises BadEpoch.
    """
    if given is not None:
        return given
    name = "SOURCE_DATE_EPOCH"
    own = next((value for arg in dockerfile.globals for key, value in arg.pairs if key == name and value), None)
    text = build_args.get(name, own or environment.get(name) or "")
    if not text:
        return EPOCH_1980
    if text == "context":
        return EPOCH_1980 if context.epoch is None else context.epoch
    if not text.isdigit() or int(text) > LATEST:
        stage = next((stage for stage in dockerfile.stages if stage.name == text.lower()), None)
        raise _unusable(text, stage)
    return int(text)


def _unusable(text: str, stage: Stage | None) -> BadEpoch:
    why = None if stage is None else "the time of a stage's remote ADD is not looked for"
    return BadEpoch(f"{text!r} is no time", where="SOURCE_DATE_EPOCH", why=why)
