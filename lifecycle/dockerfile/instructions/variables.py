"""ARG, ENV and LABEL: names with values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lifecycle.dockerfile.instructions.base import Instruction, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """Build arguments: name and default (None without one)."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """Environment variables of the image; ``legacy`` for ``ENV name the rest of the line``."""

    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """Labels of the image; ``legacy`` as for Env."""

    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False
