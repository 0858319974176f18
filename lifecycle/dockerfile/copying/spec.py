"""What one COPY or ADD asks for, once its words are expanded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.archive.writer import OnDisk
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.dockerfile.modes import Mode


@dataclass(frozen=True, slots=True)
class Inline:
    """A file that comes with the instruction: a heredoc's text, or what was fetched from a URL.

    ``name`` is its name where the destination is a directory.
    """

    name: str
    data: bytes | OnDisk
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class CopySpec:
    """One COPY or ADD: what to take, where to put it, and what to change on the way.

    ``sources`` are paths and patterns of the tree that is copied from, ``inlines`` files that come with the
    instruction, after them. ``destination`` is absolute (WORKDIR already joined); a slash at its end is kept, it means
    a directory. ``unpack`` spreads out archives (ADD). ``what`` names the instruction in messages.
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

    @property
    def linked(self) -> bool:
        """Whether ``--link`` holds: the layer is made without a look at what is below. ``--chmod`` annuls it."""
        return self.link and self.chmod is None

    @property
    def keeps_mode(self) -> bool:
        """Whether the modes of the sources matter: no octal ``--chmod`` replaces them."""
        return self.chmod is None or self.chmod.bits is None
