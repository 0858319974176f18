"""HEALTHCHECK: how to see that a container is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lifecycle.dockerfile.instructions.base import Instruction, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck(Instruction):
    """``HEALTHCHECK``: ``test`` as the image config has it; times in nanoseconds, 0 when not given."""

    test: tuple[str, ...]  # ("NONE",), ("CMD", …) or ("CMD-SHELL", line)
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0
