"""RUN: a command in the stage's root filesystem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from lifecycle.dockerfile.instructions.base import Command, Instruction, Scope
from lifecycle.dockerfile.instructions.mounts import Mount

Network = Literal["default", "none", "host"]
Security = Literal["sandbox", "insecure"]


@dataclass(frozen=True, slots=True)
class Device:
    """A CDI device: ``[name=]vendor/class=device[,required]``."""

    device: str
    name: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """``RUN``. Mounts and devices are read when expanded; before that they are empty and stand in ``node.flags``."""

    command: Command
    mounts: tuple[Mount, ...] = ()
    network: Network = "default"
    security: Security = "sandbox"
    devices: tuple[Device, ...] = ()
