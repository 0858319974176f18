"""An argument that FROM uses and nothing declares is empty."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.nearest import nearest
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    survey = subject.survey
    known = [*survey.globals, *survey.declared]
    for stage in survey.stages:
        for expansion in filter(None, (stage.image, stage.platform)):
            for name in expansion.unset:
                if name not in survey.declared and name not in survey.globals:
                    message = f"FROM argument '{name}' is not declared{nearest(name, known)}"
                    yield Hit(message, stage.stage.from_.node)


RULE = Rule("UndefinedArgInFrom", "FROM uses arguments that are declared before the first FROM", find)
