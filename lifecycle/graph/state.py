"""Filesystems as stacks of layers, whether the layers are stored, unpacked, or still being packed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from lifecycle.archive.entry import Member
from lifecycle.archive.errors import BadCompression
from lifecycle.errors import PylifeError
from lifecycle.image.layer import BlobLayer, Layer, RemoteLayer
from lifecycle.oci import DigestMismatch
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass
from lifecycle.store import LocalStore, copy_blob

if TYPE_CHECKING:
    from concurrent.futures import Future

    from lifecycle.graph.packing import Packer
    from lifecycle.snapshot import Diff, Snapshotter, Virtual


class StateLayer(Protocol):
    """One layer of a filesystem. It can be built upon before its digest is known. Thread-safe."""

    @property
    def settled(self) -> bool:
        """Whether ``diff_id`` and ``layer`` answer without waiting (if only by raising)."""
        ...

    @property
    def diff_id(self) -> Digest:
        """Waits until the layer is packed; raises what packing it raised."""
        ...

    def layer(self) -> Layer:
        """The layer for an image; waits and raises as ``diff_id`` does."""
        ...

    def stratum(self, snapshotter: Snapshotter) -> Digest | Diff:
        """What ``Snapshotter.prepare`` takes for it; unpacks it when that is needed."""
        ...

    def view_stratum(self, snapshotter: Snapshotter) -> Digest | Diff | Virtual:
        """What ``Snapshotter.view`` takes for it, which may be less work."""
        ...


@dataclass(frozen=True)
class State:
    """A filesystem: its layers, bottom first."""

    layers: tuple[StateLayer, ...] = ()

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """Waits until every layer is packed."""
        return tuple(layer.diff_id for layer in self.layers)

    @property
    def settled(self) -> bool:
        """Whether every layer is packed."""
        return all(layer.settled for layer in self.layers)

    def image_layers(self) -> tuple[Layer, ...]:
        """The layers for an image; waits until every one is packed."""
        return tuple(layer.layer() for layer in self.layers)

    def with_layer(self, *layers: StateLayer) -> State:
        """This filesystem with layers on top."""
        return State((*self.layers, *layers))

    def strata(self, snapshotter: Snapshotter) -> list[Digest | Diff]:
        """What ``Snapshotter.prepare`` takes, every layer unpacked."""
        return [layer.stratum(snapshotter) for layer in self.layers]

    def view_strata(self, snapshotter: Snapshotter) -> list[Digest | Diff | Virtual]:
        """What ``Snapshotter.view`` takes."""
        return [layer.view_stratum(snapshotter) for layer in self.layers]


EMPTY = State()


class LostLayer(PylifeError):
    """A layer that a cache promised cannot be read; the solver makes it again."""

    code = "graph.lost-layer"
    fix = "Leave that cache out, or build with --no-cache."

    def __init__(self, layer: Layer, why: PylifeError) -> None:
        super().__init__(f"The cached layer {layer.diff_id.short} cannot be read", why=str(why))
        self.layer = layer
        self.damaged = isinstance(why, DigestMismatch | BadCompression)


class KnownLayer:
    """A layer whose bytes are somewhere: in the store, a registry, a layout. Fetched and unpacked when first needed.

    A layer of a cache comes with the store that it is fetched into, and is a LostLayer when it cannot be read.
    ``repack`` makes of it the layer for an image, when it is not stored as images shall have it.
    """

    settled = True

    def __init__(
        self, layer: Layer, cached_in: LocalStore | None = None, repack: Callable[[Layer], Layer] | None = None
    ) -> None:
        self._layer = layer
        self._store = cached_in
        self._repack = repack
        self._lock = threading.Lock()
        self._unpacked = False

    @property
    def diff_id(self) -> Digest:
        return self._layer.diff_id

    def layer(self) -> Layer:
        with self._lock:
            if self._repack is not None:
                self._layer, self._repack = self._repack(self._layer), None
        return self._layer

    def stratum(self, snapshotter: Snapshotter) -> Digest:
        with self._lock:
            if not self._unpacked:
                self._unpack(snapshotter)
                self._unpacked = True
        return self._layer.diff_id

    def view_stratum(self, snapshotter: Snapshotter) -> Digest:
        return self.stratum(snapshotter)

    def _unpack(self, snapshotter: Snapshotter) -> None:
        try:
            if self._store is not None and not snapshotter.has(self.diff_id):
                self._layer = fetched(self._layer, self._store)
            snapshotter.unpack(self.diff_id, self._layer.uncompressed)
        except PylifeError as error:
            if self._store is not None and error.code.startswith(_UNREADABLE):
                raise LostLayer(self._layer, error) from error
            raise


_UNREADABLE = ("registry.", "image.", "store.missing-blob", "layer.bad-", "layer.not-a-tar", "layer.truncated")
"""What the codes of errors begin with that are a layer's, not those of the disk it is unpacked to."""


def fetched(layer: Layer, store: LocalStore) -> Layer:
    """The layer with its bytes in the store: what is unpacked is soon wanted again."""
    if not isinstance(layer, RemoteLayer):
        return layer
    digest = layer.descriptor.digest
    if store.blobs.size(digest) != layer.descriptor.size:
        copy_blob(layer.compressed(), store.blobs, digest)
        store.note_origin(digest, layer.origin)
    return BlobLayer(layer.descriptor, layer.diff_id, store.blobs, layer.origin)


class MemberLayer:
    """A layer made of tar members (a COPY's), packed in the background.

    The layer has one time for all; unpacked for the steps that follow, its files have their members' times, so that
    programs which compare times (make, with what it left in a cache mount) see which are new. Until it is
    unpacked, its entries are enough to look at it: the members' contents stay readable until the packer
    is closed (hand what they need to ``Packer.keep``).
    """

    def __init__(self, members: Iterable[Member], packer: Packer, title: str = "") -> None:
        self._members: Sequence[Member] = members if isinstance(members, Sequence) else list(members)
        self._packed: Future[BlobLayer] = packer.pack(self._members, title)
        self._lock = threading.Lock()
        self._unpacked = False

    @property
    def settled(self) -> bool:
        return self._packed.done()

    @property
    def diff_id(self) -> Digest:
        return self._packed.result().diff_id

    def layer(self) -> Layer:
        return self._packed.result()

    def stratum(self, snapshotter: Snapshotter) -> Digest:
        layer = self._packed.result()
        with self._lock:
            if not self._unpacked:
                from lifecycle.archive.piping import open_tar

                snapshotter.unpack(layer.diff_id, lambda: open_tar(self._members))
                self._unpacked = True
        return layer.diff_id

    def view_stratum(self, snapshotter: Snapshotter) -> Digest | Virtual:
        from lifecycle.snapshot import Virtual

        return self._packed.result().diff_id if self._unpacked else Virtual(self._members)


class DiffLayer:
    """A layer made of what changed in a root (a RUN's), packed in the background and then kept as unpacked.

    The diff is closed with the packer.
    """

    def __init__(self, diff: Diff, packer: Packer, title: str = "") -> None:
        self._diff = diff
        packer.keep(diff.close)
        self._packed: Future[BlobLayer] = packer.pack(list(diff.members(packer.mtime)), title, self._adopt)

    def _adopt(self, layer: BlobLayer) -> None:
        self._diff.adopt(layer.diff_id)

    @property
    def settled(self) -> bool:
        return self._packed.done()

    @property
    def diff_id(self) -> Digest:
        return self._packed.result().diff_id

    def layer(self) -> Layer:
        return self._packed.result()

    def stratum(self, snapshotter: Snapshotter) -> Diff:
        return self._diff

    def view_stratum(self, snapshotter: Snapshotter) -> Diff:
        return self._diff
