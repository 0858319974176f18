"""A relative first WORKDIR depends on what the base image has set."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.history import quoted
from lifecycle.dockerfile.instructions.settings import Workdir
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject
from lifecycle.dockerfile.survey import StageSurvey


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        if stage.base is not None and _sets(stage.base):
            continue
        first = next((seen for seen in stage.seen if isinstance(seen.expanded, Workdir)), None)
        if first is not None and isinstance(first.expanded, Workdir) and not first.expanded.path.startswith("/"):
            message = f"Relative workdir {quoted(first.expanded.path)} can have unexpected results"
            yield Hit(f"{message} if the base image changes", first.node)


def _sets(stage: StageSurvey) -> bool:
    """True when ``stage``, or a stage of the file below it, has a WORKDIR."""
    own = any(isinstance(seen.expanded, Workdir) for seen in stage.seen)
    return own or (stage.base is not None and _sets(stage.base))


RULE = Rule("WorkdirRelativePath", "The first WORKDIR of a stage is absolute", find)
