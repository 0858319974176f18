"""MAINTAINER has been given up in favour of a label."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.instructions.settings import Maintainer
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.dockerfile.stages:
        for instruction in stage.instructions:
            if isinstance(instruction, Maintainer):
                yield Hit("Maintainer instruction is deprecated in favor of using label", instruction.node)


RULE = Rule("MaintainerDeprecated", "MAINTAINER is not used", find)
