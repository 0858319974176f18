"""Of two stages with one name, only the later can be meant."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.history import quoted
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    known: set[str] = set()
    for stage in subject.survey.dockerfile.stages:
        if stage.name is not None and stage.name in known:
            message = f"Duplicate stage name {quoted(stage.name)}, stage names should be unique"
            yield Hit(message, stage.from_.node)
        known |= {stage.name} if stage.name else set()


RULE = Rule("DuplicateStageName", "No two stages have the same name", find)
