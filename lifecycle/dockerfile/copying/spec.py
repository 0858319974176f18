"""What one COPY or ADD asks for, once its words are expanded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.dockerfile.modes import Mode


@dataclass(frozen=True, slots=True)
class Inline:
    """A file written in the Dockerfile itself (a heredoc), or one fetched whole; ``name`` is where it lands."""

    name: str
    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class CopySpec:
    """One COPY or ADD: what to take, where to put it, and what to change on the way.

    ``sources`` are paths and patterns of the tree that is copied from, ``inlines`` files that come with the
    instruction. ``destination`` is absolute (WORKDIR already joined); a slash at its end is kept, it means a
    directory. ``unpack`` spreads out archives (ADD). ``what`` names the instruction in messages.
    """

    sources: tuple[str, ...]
    destination: str
    inlines: tuple[Inline, ...] = ()
    chown: str | None = None
    chmod: Mode | None = None
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    unpack: bool = False
    what: str = "COPY"
