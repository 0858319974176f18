"""A shell between the container and the program swallows signals."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lifecycle.dockerfile.instructions.base import Command
from lifecycle.dockerfile.instructions.commands import Cmd, Entrypoint, Shell
from lifecycle.dockerfile.instructions.run import Run
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject
from lifecycle.dockerfile.survey import StageSurvey

# with a comma, or without a space after the bracket: [ 'a' ] alone is a test of the shell
_SINGLE_QUOTED = re.compile(r"\[(\s*'[^']*'\s*(,\s*'[^']*'\s*)+|'[^']*'\s*)\]")


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        chosen = (stage.base is not None and _chooses(stage.base)) or _image_chooses(stage)
        for seen in stage.seen:
            match seen.written:
                case Cmd(command=command) | Entrypoint(command=command) | Run(command=command) if _single(command):
                    what = f"{seen.node.original} {command.args[0]} is run by the shell: JSON needs double quotes"
                    yield Hit(what, seen.node)
                    continue
            match seen.expanded:
                case Shell():
                    chosen = True
                case Cmd(command=command) | Entrypoint(command=command) if command.shell and not chosen:
                    what = "to prevent unintended behavior related to OS signals"
                    yield Hit(f"JSON arguments recommended for {seen.node.original} {what}", seen.node)


def _single(command: Command) -> bool:
    """Whether a command for the shell was meant to be JSON: an array whose strings have single quotes."""
    return command.shell and len(command.args) == 1 and _SINGLE_QUOTED.fullmatch(command.args[0].strip()) is not None


def _chooses(stage: StageSurvey) -> bool:
    """True when a SHELL comes down from ``stage``."""
    own = any(isinstance(seen.expanded, Shell) for seen in stage.seen)
    return own or _image_chooses(stage) or (stage.base is not None and _chooses(stage.base))


def _image_chooses(stage: StageSurvey) -> bool:
    return stage.config is not None and bool((stage.config.data.get("config") or {}).get("Shell"))


RULE = Rule("JSONArgsRecommended", "CMD and ENTRYPOINT have the JSON form, or a SHELL was chosen", find)
