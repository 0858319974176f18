"""COPY and ADD: files from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lifecycle.dockerfile.ast import Heredoc
from lifecycle.dockerfile.instructions.base import Instruction, Scope
from lifecycle.dockerfile.modes import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """``COPY``: ``files`` are the here-documents among the sources (name: file name), ``sources`` all others."""

    sources: tuple[str, ...]
    destination: str
    files: tuple[Heredoc, ...] = ()
    from_: str | None = None
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()

    @property
    def mode(self) -> Mode | None:
        """What ``--chmod`` asks for; of an expanded instruction."""
        return Mode.parse(self.chmod) if self.chmod else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Instruction):
    """``ADD``: as Copy, from the context, URLs and git repositories. ``unpack``, ``keep_git_dir``: None if not given."""

    sources: tuple[str, ...]
    destination: str
    files: tuple[Heredoc, ...] = ()
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str | None = None
    keep_git_dir: bool | None = None
    unpack: bool | None = None

    @property
    def mode(self) -> Mode | None:
        """What ``--chmod`` asks for; of an expanded instruction."""
        return Mode.parse(self.chmod) if self.chmod else None
