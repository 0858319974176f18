"""CMD, ENTRYPOINT and SHELL: how a container of the image starts."""

from __future__ import annotations

from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Node
from lifecycle.dockerfile.instructions.base import Command, Instruction, some_arguments
from lifecycle.dockerfile.instructions.flags import Flags
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """``CMD``: the default command, or the arguments of ENTRYPOINT. Nothing in it is expanded."""

    command: Command

    @classmethod
    def read(cls, node: Node) -> Self:
        """The CMD that ``node`` is."""
        Flags(node)
        return cls(node=node, command=Command.read(node))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """``ENTRYPOINT``. Nothing in it is expanded."""

    command: Command

    @classmethod
    def read(cls, node: Node) -> Self:
        """The ENTRYPOINT that ``node`` is."""
        Flags(node)
        return cls(node=node, command=Command.read(node))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """``SHELL``: what shell forms are run with."""

    args: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> Self:
        """The SHELL that ``node`` is."""
        Flags(node)
        args = some_arguments(node)
        if not node.json:
            fix = 'Write it as a JSON array: SHELL ["/bin/bash", "-c"].'
            raise node.error(BadArguments, "SHELL requires the arguments to be in JSON form", word=args[0], fix=fix)
        return cls(node=node, args=args)
