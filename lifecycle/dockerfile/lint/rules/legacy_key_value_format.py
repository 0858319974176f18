"""Without the equals sign everything to the end of the line is the value."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.instructions.variables import Env, Label
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        for seen in stage.seen:
            if isinstance(seen.expanded, (Env, Label)) and seen.expanded.legacy:
                name = seen.node.original
                what = f'"{name} key=value" should be used instead of legacy "{name} key value" format'
                yield Hit(what, seen.node)


RULE = Rule("LegacyKeyValueFormat", "ENV and LABEL join names and values with =", find)
