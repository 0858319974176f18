"""scratch and context mean something else wherever a stage could be named."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.history import quoted
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.dockerfile.stages:
        if stage.name in ("context", "scratch"):
            message = f"Stage name should not use the same name as reserved stage {quoted(stage.name)}"
            yield Hit(message, stage.from_.node)


RULE = Rule("ReservedStageName", "No stage is called scratch or context", find)
