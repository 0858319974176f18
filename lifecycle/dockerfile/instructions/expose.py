"""EXPOSE: ports that the image listens on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lifecycle.dockerfile.instructions.base import Instruction, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """``EXPOSE``: ``words`` as written; ``ports`` (``80/tcp``, ranges unrolled) once expanded."""

    words: tuple[str, ...]
    ports: tuple[str, ...] = ()
