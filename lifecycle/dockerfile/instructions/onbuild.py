"""ONBUILD: an instruction for the images that are built from this one."""

from __future__ import annotations

import re
from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Node
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.instructions.base import Instruction
from lifecycle.dockerfile.instructions.flags import Flags
from lifecycle.record import dataclass

FORBIDDEN = ("onbuild", "from", "maintainer")

_ONBUILD = re.compile(r"\s*ONBUILD\s*", re.IGNORECASE)


class BadTrigger(DockerfileError):
    """ONBUILD is given an instruction that cannot be a trigger."""

    code = "dockerfile.bad-onbuild"
    fix = "Put the instruction into the Dockerfile of the image that is built from this one."


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    """``ONBUILD``: ``text`` is the instruction as the image config keeps it, bodies of here-documents included.

    Nothing is expanded before the trigger runs.
    """

    text: str

    @classmethod
    def read(cls, node: Node) -> Self:
        """The ONBUILD that ``node`` is."""
        Flags(node)
        nested = node.nested
        if nested is None:
            raise node.error(BadArguments, "ONBUILD requires at least one argument")
        if nested.keyword in FORBIDDEN:
            what = f"{nested.original.upper()} is not allowed as an ONBUILD trigger"
            raise node.error(BadTrigger, what, word=nested.text)
        bodies = [f"\n{heredoc.content}{heredoc.name}" for heredoc in node.heredocs]
        return cls(node=node, text=_ONBUILD.sub("", node.text, count=1) + "".join(bodies))
