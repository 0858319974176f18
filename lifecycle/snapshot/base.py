"""The port: root filesystems from layers, whichever way this host allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from lifecycle.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory tree kept outside any image, to appear at ``at`` ("/layers/x/y") in a root.

    ``root`` holds it *with its full path*: the content is at ``root`` + ``at``, the directories on the way carry the
    owners and modes that they shall have. So it can be a lower layer as it is.
    """

    root: Path
    at: str

    @property
    def content(self) -> Path:
        """Where the tree itself is on disk."""
        return self.root / self.at.strip("/")


class Root(Protocol):
    """A writable root filesystem, thrown away when closed. A context manager."""

    @property
    def path(self) -> Path:
        """Its place on this host, for this process and the sandboxes it starts."""
        ...

    def changed(self, at: str) -> bool:
        """Whether anything at or below ``at`` differs from what was prepared: content, names, modes, owners."""
        ...

    def take(self, at: str, destination: Path) -> Tree:
        """Move the directory ``at`` out, into the layout of ``Tree`` at ``destination`` (must not exist).

        For when the build is over: the root no longer has it. Atomic: ``destination`` is whole or not there.
        Raises SnapshotFailed.
        """
        ...

    def close(self) -> None:
        """Unmount and remove. Idempotent; what cannot be removed is left to the next ``sweep``."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Snapshotter(Protocol):
    """Keeps unpacked layers and makes roots from them. Safe from several threads and processes."""

    def has(self, diff_id: Digest) -> bool:
        """Whether the layer is unpacked already."""
        ...

    def unpack(self, diff_id: Digest, open_tar: Callable[[], BinaryIO]) -> None:
        """See to it that the layer is unpacked; ``open_tar`` gives its uncompressed tar and is called when needed.

        Idempotent and atomic; of several processes one does the work. Raises what ``archive.extract`` raises.
        """
        ...

    def prepare(self, layers: Sequence[Digest], trees: Sequence[Tree] = (), *, writer_uid: int = 0) -> Root:
        """A root of ``layers``, bottom first, and ``trees`` on top.

        ``writer_uid`` is the user that will run in it: the copying fallback shares those files that this user cannot
        write. Raises LayerNotUnpacked, MountFailed, SnapshotFailed.
        """
        ...

    def sweep(self) -> int:
        """Remove what killed processes left behind; how many pieces."""
        ...

    def collect(self, keep: Callable[[str], bool]) -> int:
        """Remove unpacked layers for whose diffID (as a string) ``keep`` is false and that no root uses; how many."""
        ...
