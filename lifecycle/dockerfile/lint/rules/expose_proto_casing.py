"""The image's configuration has protocols in lower case."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.ports import exposed
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for seen, word in exposed(subject.survey):
        protocol = word.rpartition(":")[2].partition("/")[2]
        if protocol != protocol.lower():
            yield Hit(f"Defined protocol '{word}' in EXPOSE instruction should be lowercase", seen.node)


RULE = Rule("ExposeProtoCasing", "EXPOSE writes protocols in lower case", find)
