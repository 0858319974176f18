"""Stage names are case-blind: one spelling, in lower case, is less to be wrong about."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.dockerfile.stages:
        node = stage.from_.node
        if len(node.words) == 3 and node.words[2] != node.words[2].lower():
            yield Hit(f"Stage name '{node.words[2]}' should be lowercase", node)


RULE = Rule("StageNameCasing", "A stage's name is written in lower case", find)
