"""What the ignore file leaves out cannot be copied."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lifecycle.dockerfile.history import quoted
from lifecycle.dockerfile.ignore import IgnoreRules
from lifecycle.dockerfile.instructions.copy import Add, Copy
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject
from lifecycle.dockerfile.patterns import clean

_REMOTE = re.compile(r"[a-z+]+://|[\w.-]+@[\w.-]+:")
_WHOLE = ("*", "**", "**/*")


def find(subject: Subject) -> Iterator[Hit]:
    rules = subject.ignore_rules
    if not rules or rules.takes_back:  # a ! pattern may take back something beneath what is left out
        return
    for stage in subject.survey.stages:
        for seen in stage.seen:
            step = seen.expanded
            if isinstance(step, Add) or (isinstance(step, Copy) and step.from_ is None):
                verb = "Add" if isinstance(step, Add) else "Copy"
                for source in step.sources:
                    if not _REMOTE.match(source) and _ignored(source, rules):
                        what = f"Attempting to {verb} file {quoted(clean(source))} that is excluded by .dockerignore"
                        yield Hit(what, seen.node)


def _ignored(source: str, rules: IgnoreRules) -> bool:
    path = clean(f"/{source}").removeprefix("/")
    if not path:
        return any(pattern.text in _WHOLE for pattern in rules.matcher.patterns)
    return rules.ignores(path)


RULE = Rule("CopyIgnoredFile", "COPY and ADD name nothing that the ignore file leaves out", find)
