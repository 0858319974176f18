"""What a COPY or ADD takes: the files themselves, and one digest that stands for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from lifecycle.archive.entry import Member
from lifecycle.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that is copied: a file, or a directory whose contents are.

    ``path`` is its real place in the tree; ``name`` the name it lands under when the destination is a directory.
    ``parents`` are the directories that ``--parents`` keeps above it, outermost first, as entry names.
    """

    path: bytes
    name: bytes
    directory: bool
    parents: tuple[bytes, ...] = ()


class Selection(Protocol):
    """What was selected. ``digest`` covers all that can end up in the layer, and no times; it is found on first use."""

    @property
    def sources(self) -> tuple[Source, ...]: ...

    @property
    def digest(self) -> Digest: ...

    @property
    def files(self) -> Mapping[str, str]:
        """The name of each file → its content's digest: for saying which one changed."""
        ...

    def members(self, source: Source) -> Iterator[Member]:
        """The entries of one source, the source itself first; names as in the tree it was taken from.

        Reading a file that is no longer what was hashed raises SourceChanged.
        """
        ...
