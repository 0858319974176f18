"""Of several in one stage the last one holds, and the others say something that is not so."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.instructions.commands import Cmd, Entrypoint
from lifecycle.dockerfile.instructions.healthcheck import HealthCheck
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        earlier: dict[type, Node] = {}
        for seen in stage.seen:
            kind = type(seen.expanded)
            if kind in (Cmd, Entrypoint, HealthCheck):
                if kind in earlier:
                    why = "should not be used in the same stage because only the last one will be used"
                    yield Hit(f"Multiple {seen.node.original} instructions {why}", earlier[kind], seen.node)
                earlier[kind] = seen.node


RULE = Rule("MultipleInstructionsDisallowed", "CMD, ENTRYPOINT and HEALTHCHECK stand once in a stage", find)
