"""An empty line after a continuation looks like the instruction's end, and is none."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    file = subject.survey.file
    for location in file.empty_continuations:
        for node in file.nodes:
            if node.location.line <= location.line <= node.location.end:
                yield Hit("Empty continuation line", node, location=location)


RULE = Rule("NoEmptyContinuation", "No empty line stands within an instruction", find)
