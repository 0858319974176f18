"""Addresses and ports of the host are chosen when a container is started."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.ports import exposed
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for seen, word in exposed(subject.survey):
        if word.rpartition(":")[0].strip(":"):
            what = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
            yield Hit(what, seen.node)


RULE = Rule("ExposeInvalidFormat", "EXPOSE names ports of the container alone", find)
