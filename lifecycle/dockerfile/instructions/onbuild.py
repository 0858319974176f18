"""ONBUILD: an instruction for the images that are built from this one."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.dockerfile.instructions.base import Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    """``ONBUILD``: ``text`` is the instruction as the image config keeps it, bodies of here-documents included."""

    text: str
