"""FROM: where a stage begins."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Node
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.instructions.base import BadValue, Instruction, Scope
from lifecycle.dockerfile.instructions.flags import Flags
from lifecycle.record import dataclass

_NAME = re.compile(r"[a-z][a-z0-9-_.]*")


class BadStageName(DockerfileError):
    """The name after AS is not one that a stage can have."""

    code = "dockerfile.bad-stage-name"
    fix = "Begin the name with a letter; letters, digits, `-`, `_` and `.` may follow."


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """``FROM [--platform=P] [--after=stage] image [AS name]``; ``name`` is lower case."""

    image: str
    platform: str | None = None
    name: str | None = None
    after: tuple[str, ...] = ()  # Buildah: stages that must be done before this one begins

    @classmethod
    def read(cls, node: Node) -> Self:
        """The FROM that ``node`` is."""
        flags = Flags(node, words=("platform",), lists=("after",))
        words = node.words
        if len(words) != 1 and not (len(words) == 3 and words[1].lower() == "as"):
            what = "FROM requires either one or three arguments: an image, or an image, AS and a name"
            raise node.error(BadArguments, what, fix="Write `FROM image` or `FROM image AS name`.")
        written = words[-1] if len(words) > 1 else None
        name = written.lower() if written is not None else None
        if name is not None and not _NAME.fullmatch(name):
            raise node.error(BadStageName, f"invalid name for build stage: {written!r}", word=written)
        platform = flags.text("platform")
        return cls(node=node, image=words[0], platform=platform, name=name, after=flags.list("after"))

    def expand(self, scope: Scope) -> Self:
        """With image, platform and ``--after`` expanded (``scope``: global arguments); neither may become empty."""
        node = self.node
        image = scope.word(self.image, node)
        if not image:
            raise node.error(BadValue, f"base name ({self.image}) should not be blank", word=self.image, fix=_SET)
        platform = scope.word(self.platform, node) if self.platform else None
        if platform == "":
            what = f"empty platform value from expression {self.platform}"
            raise node.error(BadValue, what, word=self.platform, fix=_SET)
        after = tuple([scope.variables(name, node) for name in self.after])
        return replace(self, image=image, platform=platform, after=after)


_SET = "Give the variable a value: ARG name=default before the first FROM, or --build-arg name=value."
