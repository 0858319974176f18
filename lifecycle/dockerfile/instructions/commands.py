"""CMD, ENTRYPOINT and SHELL: how a container of the image starts."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.dockerfile.instructions.base import Command, Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """``CMD``: the default command, or the arguments of ENTRYPOINT."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """``ENTRYPOINT``."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """``SHELL``: what shell forms are run with."""

    args: tuple[str, ...]
