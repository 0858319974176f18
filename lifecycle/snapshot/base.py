"""The port: root filesystems from layers, whichever way this host allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from lifecycle.archive.entry import Content, Entry, Member
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass


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


@dataclass(frozen=True, slots=True, eq=False)
class Virtual:
    """A layer that is on no disk as a tree: for a look through it, its members are enough, in the archive's order."""

    members: Sequence[Member]


class Diff(Protocol):
    """What a run changed in its root, frozen: a layer whose digest nobody knows yet, and a lower tree for more roots.

    Its tree is exactly what unpacking its members would give. Drop it with ``close``, in any order with the roots and
    views that were made of it; a process that dies leaves it to the next ``sweep``.
    """

    def members(self, mtime: int) -> Iterator[Member]:
        """The layer's members: sorted, parents before children, every one with ``mtime`` (seconds).

        The same on every rung. Files are opened when the writer comes to them, until ``close``. May be called again.
        """
        ...

    def adopt(self, diff_id: Digest) -> None:
        """Make the tree the unpacked layer of ``diff_id``: ``Snapshotter.has`` is true from here on.

        Without effect when that layer is there already. Raises SnapshotFailed.
        """
        ...

    def close(self) -> None:
        """Let go; what was not adopted is removed once nothing uses it. Idempotent."""
        ...


class View(Protocol):
    """Layers laid over each other, to be read without a mount: an ``archive.FileTree``. A context manager."""

    def lookup(self, path: bytes) -> Entry | None: ...

    def names(self, path: bytes) -> list[bytes]: ...

    def content(self, path: bytes) -> Content: ...

    def walk(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Member]: ...

    def close(self) -> None:
        """Let go of the layers. Idempotent."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


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

    def commit(self, *, owner: tuple[int, int] = (0, 0), mtime: int | None = None) -> Diff:
        """Freeze what changed since the root was prepared; the root is closed by it.

        ``owner`` (uid, gid) is whom new files belong to where files on disk cannot have owners (one id stands for
        all). ``mtime`` (seconds) is given to the frozen files too: later steps then see the times that they will see
        when the layer comes from a cache. Raises SnapshotFailed, ReservedName.
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

    def prepare(self, layers: Sequence[Digest | Diff], trees: Sequence[Tree] = (), *, writer_uid: int = 0) -> Root:
        """A root of ``layers``, bottom first, and ``trees`` on top.

        ``writer_uid`` is the user that will run in it: the copying fallback shares those files that this user cannot
        write. Raises LayerNotUnpacked, MountFailed, SnapshotFailed.
        """
        ...

    def view(self, layers: Sequence[Digest | Diff | Virtual]) -> View:
        """A read-only look at ``layers``, bottom first, as one tree. Raises LayerNotUnpacked."""
        ...

    def close(self) -> None:
        """Remove what is kept for the next root: the copying fallback keeps one to clone from. Idempotent."""
        ...

    def sweep(self) -> int:
        """Remove what killed processes left behind; how many pieces."""
        ...

    def collect(self, keep: Callable[[str], bool]) -> int:
        """Remove unpacked layers for whose diffID (as a string) ``keep`` is false and that no root uses; how many."""
        ...
