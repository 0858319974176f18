"""What ARG and ENV hold is in the image's configuration and history for everyone to read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lifecycle.dockerfile.history import quoted
from lifecycle.dockerfile.instructions.variables import Arg, Env
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject

_WORDS = "apikey|auth|credentials?|key|password|pword|passwd|secret|token"
_SECRET = re.compile(rf"(?:_|^)(?:{_WORDS})(?:_|$)", re.IGNORECASE)
_HARMLESS = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        for seen in stage.seen:
            if isinstance(seen.expanded, (Arg, Env)):
                keyword = seen.node.keyword.upper()
                for name, _ in seen.expanded.pairs:
                    if _SECRET.search(name) and not _HARMLESS.search(name):
                        what = f"Do not use ARG or ENV instructions for sensitive data ({keyword} {quoted(name)})"
                        yield Hit(what, seen.node)


RULE = Rule("SecretsUsedInArgOrEnv", "ARG and ENV hold no secrets", find)
