"""VOLUME, USER, WORKDIR, STOPSIGNAL and MAINTAINER: one setting of the image each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lifecycle.dockerfile.instructions.base import Instruction, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """``VOLUME``."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """``USER name[:group]``."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """``WORKDIR``, not yet joined to the one before."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    """``STOPSIGNAL``, as written: a name or a number."""

    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """``MAINTAINER``."""

    author: str
