"""Packing layers in the background, while the next steps go on."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from lifecycle.archive.compress import Profile
from lifecycle.archive.entry import EPOCH_1980, Member
from lifecycle.events import NullSink, Sink, StepEnded, StepProgress, StepStarted
from lifecycle.graph.cancel import Cancelled
from lifecycle.graph.state import KnownLayer
from lifecycle.image.layer import BlobLayer, Layer, compress_layer, in_dialect, write_layer
from lifecycle.oci import Dialect, mediatypes
from lifecycle.store import LocalStore

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_THREADS = 2
_QUIET = 8 << 20
"""Bytes of file content that are packed before anything is shown."""
_EVERY = 8 << 20
"""Bytes between two signs of progress."""


class Packer:
    """A few threads that turn members into stored layers. Starts none before the first layer comes.

    Used as a context manager: leaving it waits for what was handed in (when the block failed, it is given up), then
    lets go of everything handed to ``keep``. ``mtime`` is the one time of entries in new layers, in
    seconds.
    """

    def __init__(
        self,
        store: LocalStore,
        *,
        sink: Sink | None = None,
        profile: Profile = Profile.GZIP_FAST,
        dialect: Dialect = Dialect.OCI,
        mtime: int = EPOCH_1980,
    ) -> None:
        self.store = store
        self.profile = profile
        self.dialect = dialect
        self.mtime = mtime
        self._stopped = False
        self._sink = sink or NullSink()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._kept = ExitStack()
        self._numbers = itertools.count(1)
        self._nothing: BlobLayer | None = None

    def pack(
        self, members: Iterable[Member], title: str = "", then: Callable[[BlobLayer], None] | None = None
    ) -> Future[BlobLayer]:
        """The layer of ``members``, some time later; ``then`` is called with it before anyone else gets it.

        Its error is what the future raises: that of reading the members, of the store, or Cancelled.
        """
        return self.submit(lambda: self._pack(members, title, then))

    def submit(self, work: Callable[[], BlobLayer]) -> Future[BlobLayer]:
        """Any work that ends in a stored layer, in the packer's threads."""
        from concurrent.futures import ThreadPoolExecutor  # here: it is dear, and a build of known steps packs nothing

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="pack")
            return self._pool.submit(work)

    def known(self, layer: Layer) -> KnownLayer:
        """A layer of a cache, compressed anew for an image if it is not compressed as this packer does it."""
        layer = in_dialect(layer, self.dialect)
        if mediatypes.layer_codec(layer.descriptor.media_type) == self.profile.codec:
            return KnownLayer(layer, self.store)
        return KnownLayer(
            layer, self.store, lambda found: compress_layer(found, self.store, self.profile, self.dialect)
        )

    def keep(self, close: Callable[[], object]) -> None:
        """Have ``close`` called with the packer's end: what members are read from must last that long."""
        with self._lock:
            self._kept.callback(close)

    def _pack(self, members: Iterable[Member], title: str, then: Callable[[BlobLayer], None] | None) -> BlobLayer:
        self._check()
        nothing = isinstance(members, Sequence) and not members
        if nothing and self._nothing is not None:  # a step that changes nothing: they all have the same layer
            if then is not None:
                then(self._nothing)
            return self._nothing
        watch = _Watch(self._sink, f"pack/{next(self._numbers)}", f"Pack {title}" if title else "Pack a layer")
        done = False
        try:
            watched = self._watched(members, watch)
            layer = write_layer(
                watched,
                self.store,
                profile=self.profile,
                dialect=self.dialect,
                mtime=self.mtime,
                check=self._check,
            )
            if then is not None:
                then(layer)
            done = True
        finally:
            watch.end(done=done)
        if nothing:
            self._nothing = layer
        return layer

    def _watched(self, members: Iterable[Member], watch: _Watch) -> Iterator[Member]:
        for member in members:
            self._check()
            yield member
            watch.advance(member[0].size)

    def _check(self) -> None:
        if self._stopped:
            raise Cancelled("Packing a layer was given up")

    def close(self, *, drop: bool = False) -> None:
        """Wait for all that was handed in; with ``drop`` it is given up. Idempotent."""
        self._stopped = drop
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=drop)
        self._kept.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(drop=kind is not None)


class _Watch:
    """Tells of a layer being packed once it is large enough to be waited for."""

    def __init__(self, sink: Sink, step: str, title: str) -> None:
        self._sink, self._step, self._title = sink, step, title
        self._began = time.monotonic()
        self._done = 0
        self._shown = 0

    def advance(self, count: int) -> None:
        self._done += count
        if self._done < _QUIET or self._done - self._shown < _EVERY:
            return
        if not self._shown:
            self._sink.emit(StepStarted(self._step, self._title))
        self._shown = self._done
        self._sink.emit(StepProgress(self._step, self._done))

    def end(self, *, done: bool) -> None:
        if self._shown:
            self._sink.emit(StepEnded(self._step, "done" if done else "failed", time.monotonic() - self._began))
