"""FROM with as, or from with AS, reads as a slip."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.dockerfile.stages:
        node = stage.from_.node
        if len(node.words) == 3 and not _same_case(node.original, node.words[1]):
            yield Hit(f"'{node.words[1]}' and '{node.original}' keywords' casing do not match", node)


def _same_case(keyword: str, other: str) -> bool:
    if keyword == keyword.lower():
        return other == other.lower()
    return other == other.upper() or keyword != keyword.upper()  # From: ConsistentInstructionCasing speaks of it


RULE = Rule("FromAsCasing", "FROM and its AS are written in the same case", find)
