"""From a node to the instruction that it is."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from lifecycle.dockerfile.ast import File, Node
from lifecycle.dockerfile.errors import DockerfileError, near
from lifecycle.dockerfile.instructions.base import Instruction
from lifecycle.dockerfile.text import NOT_UTF8

_KINDS = {  # keyword: module, class
    "add": ("copy", "Add"),
    "arg": ("variables", "Arg"),
    "cmd": ("commands", "Cmd"),
    "copy": ("copy", "Copy"),
    "entrypoint": ("commands", "Entrypoint"),
    "env": ("variables", "Env"),
    "expose": ("expose", "Expose"),
    "from": ("from_", "From"),
    "healthcheck": ("healthcheck", "HealthCheck"),
    "label": ("variables", "Label"),
    "maintainer": ("settings", "Maintainer"),
    "onbuild": ("onbuild", "OnBuild"),
    "run": ("run", "Run"),
    "shell": ("commands", "Shell"),
    "stopsignal": ("settings", "StopSignal"),
    "user": ("settings", "User"),
    "volume": ("settings", "Volume"),
    "workdir": ("settings", "Workdir"),
}

KEYWORDS = tuple(_KINDS)


class UnknownInstruction(DockerfileError):
    """A line begins with a word that is no instruction."""

    code = "dockerfile.unknown-instruction"
    fix = "Each line begins with an instruction, or goes on from a line that ends with the escape character."


class NotUtf8(DockerfileError):
    """An instruction has bytes that are no text, or a NUL."""

    code = "dockerfile.not-utf8"
    fix = "Save the Dockerfile as UTF-8."


def parse_instruction(node: Node, file: File) -> Instruction:
    """What ``node`` of ``file`` says; raises UnknownInstruction or another DockerfileError."""
    kind = _KINDS.get(node.keyword)
    if kind is None:
        raise _unknown(node, file)
    texts = [node.text, *[heredoc.content for heredoc in node.heredocs if node.keyword == "run"]]
    if bad := next(filter(None, map(NOT_UTF8.search, texts)), None):
        raise node.error(NotUtf8, f"{node.original} has bytes that are not UTF-8", word=bad[0])
    if any("\0" in text for text in (*texts, *node.words)):
        fix = "Take it out: no command, variable or name can hold one."
        raise node.error(NotUtf8, f"{node.original} has a NUL character", fix=fix)
    if node.nested and node.nested.keyword not in _KINDS:
        raise _unknown(node.nested, file)
    module, name = kind
    reader = getattr(import_module(f"lifecycle.dockerfile.instructions.{module}"), name)
    return cast(Instruction, reader.read(node))


def _unknown(node: Node, file: File) -> UnknownInstruction:
    if not node.keyword:
        remove = "Remove the line, or write an instruction behind the escape character."
        return node.error(UnknownInstruction, "a line goes on that never began", fix=remove)
    fix = near(node.original, [keyword.upper() for keyword in KEYWORDS])
    return node.error(UnknownInstruction, f"unknown instruction: {node.original}", word=node.original, fix=fix)
