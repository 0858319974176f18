"""``check=skip=A,B;error=true;experimental=C``: which checks count, and whether they end the build.

Source: the Dockerfile reference, "check" under "Parser directives"; a comment above an instruction may say the same
of that instruction alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lifecycle.dockerfile.ast import File, Node
from lifecycle.dockerfile.errors import DockerfileError, near
from lifecycle.record import dataclass

VARIABLE = "BUILDKIT_DOCKERFILE_CHECK"
_COMMENT = re.compile(r"check\s*=\s*(.*)", re.IGNORECASE)
_KEYS = ("skip", "experimental", "error")
_TRUTH = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


class BadCheckOption(DockerfileError):
    """The ``check`` directive, or the build argument in its place, cannot be read."""

    code = "dockerfile.bad-check-option"
    fix = "Write it as # check=skip=RULE,RULE;error=true with skip, error or experimental, each once."


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Names of checks to leave out and of experimental ones to take in; ``all`` stands for every one."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> CheckOptions:
        """The options in ``text``, which may be empty; raises BadCheckOption."""
        names: dict[str, frozenset[str]] = {}
        error = False
        for part in filter(None, (part.strip() for part in text.split(";"))):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if key not in _KEYS:
                raise BadCheckOption(f"There is no check option {key!r}", fix=near(key, _KEYS, BadCheckOption.fix))
            if not equals:
                raise BadCheckOption(f"The check option {key} has no value")
            if key != "error":
                names[key] = frozenset(name.strip() for name in value.split(",") if name.strip())
            elif value in _TRUTH:
                error = _TRUTH[value]
            else:
                raise BadCheckOption(f"The check option error={value} is neither true nor false")
        return cls(names.get("skip", frozenset()), names.get("experimental", frozenset()), error)

    def merged(self, other: CheckOptions) -> CheckOptions:
        """These options and those of a comment, which says nothing about what ends the build."""
        return CheckOptions(self.skip | other.skip, self.experimental | other.experimental, self.error)

    def wants(self, name: str, *, experimental: bool) -> bool:
        """True when the check ``name`` counts."""
        if experimental:
            return name in self.experimental or "all" in self.experimental
        return name not in self.skip and "all" not in self.skip


def read_options(file: File, build_args: Mapping[str, str]) -> CheckOptions:
    """What the build argument BUILDKIT_DOCKERFILE_CHECK says, else the file's directive; raises BadCheckOption."""
    if VARIABLE in build_args:
        return CheckOptions.parse(build_args[VARIABLE])
    directive = file.directives.get("check")
    if directive is None:
        return CheckOptions()
    try:
        return CheckOptions.parse(directive.value.partition(" ")[0])
    except BadCheckOption as error:
        raise BadCheckOption.at(directive.location, file.lines, error.what, fix=error.fix) from error


def is_option(comment: str) -> bool:
    """True when a comment above an instruction is meant for the checks."""
    return _COMMENT.match(comment.strip()) is not None


def options_above(node: Node) -> CheckOptions:
    """What the comments right above an instruction say of it; a comment that is no such option says nothing."""
    for comment in node.comments:
        match = _COMMENT.match(comment.strip())
        if match:
            try:
                return CheckOptions.parse(match[1].partition(" ")[0])
            except BadCheckOption:
                return CheckOptions()  # as in BuildKit: it may as well be a sentence
    return CheckOptions()
