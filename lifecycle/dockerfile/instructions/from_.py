"""FROM: where a stage begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lifecycle.dockerfile.instructions.base import Instruction, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """``FROM [--platform=P] [--after=stage] image [AS name]``; ``name`` is lower case."""

    image: str
    platform: str | None = None
    name: str | None = None
    after: str | None = None  # Buildah: a stage that must be done before this one begins
