"""The comment right above an ARG or a named FROM is its description in the outline."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.instructions.variables import Arg
from lifecycle.dockerfile.lint.options import is_option
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    dockerfile = subject.survey.dockerfile
    for arg in dockerfile.globals:
        yield from _described("ARG", [name for name, _ in arg.pairs], arg.node)
    for stage in dockerfile.stages:
        yield from _described("FROM", [stage.name] if stage.name else [], stage.from_.node)
        for instruction in stage.instructions:
            if isinstance(instruction, Arg):
                yield from _described("ARG", [name for name, _ in instruction.pairs], instruction.node)


def _described(keyword: str, names: list[str], node: Node) -> Iterator[Hit]:
    comments = [comment.strip() for comment in node.comments if not is_option(comment)]
    if names and comments and comments[-1].partition(" ")[0] not in names:
        example = names[0] if len(names) == 1 else "<arg_key>"
        yield Hit(f"Comment for {keyword} should follow the format: `# {example} <description>`", node)


RULE = Rule(
    "InvalidDefinitionDescription",
    "A comment right above ARG or FROM describes what is defined there",
    find,
    experimental=True,
)
