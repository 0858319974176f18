"""Moving an image from where it is to where it shall be: blobs in parallel, documents after them, the name last."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import BinaryIO

from lifecycle.events import Sink, Step, step
from lifecycle.image.destination import Destination, Put
from lifecycle.image.errors import NoPlatform
from lifecycle.image.image import Source
from lifecycle.oci import Descriptor, Digest, Index, Manifest, parse_document
from lifecycle.record import dataclass
from lifecycle.store import MissingBlob

_THREADS = 4


@dataclass(frozen=True, slots=True)
class Transfer:
    """What moving an image did: the image, and its blobs (configs and layers) by what became of them."""

    descriptor: Descriptor
    sent: tuple[Descriptor, ...]
    mounted: tuple[Descriptor, ...]
    present: tuple[Descriptor, ...]

    @property
    def bytes_sent(self) -> int:
        return sum(item.size for item in self.sent)


def transfer(source: Source, destination: Destination, sink: Sink, *, name: str, title: str) -> Transfer:
    """Move everything that ``source.top`` refers to, then give it its name; ``title`` is shown to the user.

    Blobs that are there already are not read. The first failure stops the rest.
    """
    with step(sink, f"save/{name}", title) as progress, destination:
        documents, blobs = plan(source)
        if destination.has(source.top):
            progress.outcome, progress.detail = "reused", "the very image is there already"
            return Transfer(source.top, (), (), tuple(blobs.values()))
        done = _move(source, destination, list(blobs.values()), progress)
        for descriptor, raw in documents:
            destination.put_document(descriptor, raw, top=descriptor.digest == source.top.digest)
        destination.finish(source.top)
        groups = {put: tuple(item for item, how in done if how == put) for put in ("sent", "mounted", "present")}
        moved = Transfer(source.top, groups["sent"], groups["mounted"], groups["present"])
        progress.detail = f"{len(moved.sent)} blobs sent, {len(moved.mounted) + len(moved.present)} there already"
        if not moved.sent:
            progress.outcome = "reused"
        return moved


def plan(source: Source) -> tuple[list[tuple[Descriptor, bytes]], dict[Digest, Descriptor]]:
    """The documents to move, members before their index, and the blobs they name."""
    documents: list[tuple[Descriptor, bytes]] = []
    blobs: dict[Digest, Descriptor] = {}
    seen: set[Digest] = set()

    def visit(descriptor: Descriptor) -> None:
        if descriptor.digest in seen:
            return
        seen.add(descriptor.digest)
        raw = source.document(descriptor)
        match parse_document(raw, descriptor.media_type):
            case Index() as index:
                for member in index.manifests:
                    try:
                        visit(member)
                    except MissingBlob as error:
                        raise NoPlatform(
                            f"The index {index.digest} is here only in part",
                            why=f"its image for {member.platform or member.digest} was never fetched",
                            fix="Name one platform with --platform, or pull the image with all its platforms.",
                        ) from error
            case Manifest() as manifest:
                for blob in (manifest.config, *manifest.layers):
                    blobs.setdefault(blob.digest, blob)
        documents.append((descriptor, raw))

    visit(source.top)
    return documents, blobs


def _move(
    source: Source, destination: Destination, blobs: list[Descriptor], progress: Step
) -> list[tuple[Descriptor, Put]]:
    meter = _Meter(progress, sum(item.size for item in blobs))

    def move(descriptor: Descriptor) -> tuple[Descriptor, Put]:
        def open_blob() -> BinaryIO:
            return meter.metered(descriptor.digest, source.open(descriptor))

        put = destination.put_blob(descriptor, open_blob, source.origin(descriptor))
        meter.done(descriptor.digest, descriptor.size)
        return descriptor, put

    if not destination.parallel or len(blobs) < 2:
        return [move(item) for item in blobs]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs") as pool:
        futures = [pool.submit(move, item) for item in blobs]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            for future in futures:
                future.cancel()
    failed = next((error for future in futures if not future.cancelled() and (error := future.exception())), None)
    if failed is not None:
        raise failed
    return [future.result() for future in futures]


class _Meter:
    """Adds up what all threads have read, and tells the step now and then."""

    def __init__(self, progress: Step, total: int) -> None:
        self._progress = progress
        self._total = total
        self._counts: dict[Digest, int] = {}
        self._told = 0
        self._lock = threading.Lock()

    def done(self, digest: Digest, count: int) -> None:
        """``count`` bytes of the blob are over."""
        with self._lock:
            self._counts[digest] = count
            now = sum(self._counts.values())
            if now - self._told < max(1 << 20, self._total // 100) and now != self._total:
                return
            self._told = now
        self._progress.progress(now, self._total)

    def metered(self, digest: Digest, stream: BinaryIO) -> BinaryIO:
        return io.BufferedReader(_Metered(stream, lambda count: self.done(digest, count)), 1 << 20)


class _Metered(io.RawIOBase):
    def __init__(self, stream: BinaryIO, tell: Callable[[int], None]) -> None:
        self._stream = stream
        self._tell = tell
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        self._tell(self._count)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
