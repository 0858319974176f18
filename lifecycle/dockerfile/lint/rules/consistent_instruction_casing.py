"""Instructions in mixed case make a file hard to skim."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    nodes = [
        instruction.node
        for stage in subject.survey.dockerfile.stages
        for instruction in (stage.from_, *stage.instructions)
    ]
    lower = sum(node.original.islower() for node in nodes)
    upper = sum(node.original.isupper() for node in nodes)
    wanted = "lowercase" if lower > upper else "uppercase"
    for node in nodes:
        right = node.original.lower() if lower > upper else node.original.upper()
        if node.original != right:
            message = f"Command '{node.original}' should match the case of the command majority ({wanted})"
            yield Hit(message, node)


RULE = Rule("ConsistentInstructionCasing", "All instructions are written in the same case", find)
