"""From a node to the instruction that it is."""

from __future__ import annotations

from lifecycle.dockerfile.ast import File, Node
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.instructions.base import Instruction


class UnknownInstruction(DockerfileError):
    """A line begins with a word that is no instruction."""

    code = "dockerfile.unknown-instruction"
    fix = "Each line begins with an instruction, or goes on from a line that ends with the escape character."


def parse_instruction(node: Node, file: File) -> Instruction:
    """What ``node`` says; raises UnknownInstruction or another DockerfileError."""
    raise NotImplementedError
