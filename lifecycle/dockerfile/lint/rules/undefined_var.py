"""A variable that nothing has set is replaced by nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.nearest import nearest
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        for seen in stage.seen:
            for name in seen.unset:
                if name not in seen.scope.arguments:
                    hint = nearest(name, seen.scope.env, prefix="$")
                    if name in subject.survey.declared:
                        hint = f" (its ARG is before the first FROM: declare `ARG {name}` again in the stage)"
                    yield Hit(f"Usage of undefined variable '${name}'{hint}", seen.node)


RULE = Rule("UndefinedVar", "Variables are set before they are used", find)
