"""A shell between the container and the program swallows signals."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.instructions.commands import Cmd, Entrypoint, Shell
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject
from lifecycle.dockerfile.survey import StageSurvey


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        chosen = (stage.base is not None and _chooses(stage.base)) or _image_chooses(stage)
        for seen in stage.seen:
            match seen.expanded:
                case Shell():
                    chosen = True
                case Cmd(command=command) | Entrypoint(command=command) if command.shell and not chosen:
                    what = "to prevent unintended behavior related to OS signals"
                    yield Hit(f"JSON arguments recommended for {seen.node.original} {what}", seen.node)


def _chooses(stage: StageSurvey) -> bool:
    """True when a SHELL comes down from ``stage``."""
    own = any(isinstance(seen.expanded, Shell) for seen in stage.seen)
    return own or _image_chooses(stage) or (stage.base is not None and _chooses(stage.base))


def _image_chooses(stage: StageSurvey) -> bool:
    return stage.config is not None and bool((stage.config.data.get("config") or {}).get("Shell"))


RULE = Rule("JSONArgsRecommended", "CMD and ENTRYPOINT have the JSON form, or a SHELL was chosen", find)
