"""Caches that other machines see: images in registries and layouts."""

from __future__ import annotations

import threading
from dataclasses import replace

from lifecycle.errors import PylifeError
from lifecycle.events import Message, NullSink, Sink
from lifecycle.graph.cache import Record
from lifecycle.graph.document import Contents, Mounts, read_contents
from lifecycle.graph.key import Key
from lifecycle.image import Image, ImageIndex, OciPlace, Place, Ports, load, select
from lifecycle.image.layer import Layer, RemoteLayer, known_layer
from lifecycle.image.source import BlobSource, read
from lifecycle.oci import Digest
from lifecycle.store import Layout

_ABSENT = frozenset({"registry.not-found", "image.not-found", "image.no-platform", "store.not-a-layout"})


def load_or_none(place: Place, ports: Ports, digest: Digest | None = None) -> Image | ImageIndex | None:
    """The image or index at a place, in a layout the one with that ``digest``; None when there is none.

    Raises whatever else keeps it from being read.
    """
    try:
        if digest is None or not isinstance(place, OciPlace):
            return load(place, ports)
        layout = Layout.open(place.path)
        chosen = [item for item in layout.index().manifests if item.digest == digest]
        return read(BlobSource(chosen[0], layout.blobs)) if chosen else None
    except PylifeError as error:
        if error.code in _ABSENT:
            return None
        raise


class Reach:
    """Which layers of remote images can really be had: the store's own at once, others after one look. Thread-safe."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._seen: dict[Digest, bool] = {}

    def layers(self, layers: tuple[Layer, ...]) -> tuple[Layer, ...] | None:
        """The layers, each from the nearest place that has it; None when one is nowhere."""
        found = [self.layer(layer) for layer in layers]
        return tuple(layer for layer in found if layer) if all(found) else None

    def layer(self, layer: Layer) -> Layer | None:
        """The layer, from the nearest place that has it."""
        known = known_layer(layer.diff_id, self._ports.store)
        if known is not None:
            return known
        digest = layer.descriptor.digest
        if digest not in self._seen:
            self._seen[digest] = self._there(layer)
        return layer if self._seen[digest] else None

    def _there(self, layer: Layer) -> bool:
        if isinstance(layer, RemoteLayer):
            return layer.registry.has_blob(layer.origin, layer.descriptor.digest)
        try:
            layer.compressed().close()
        except PylifeError:
            return False
        return True


class ImageCache:
    """An image as a cache that is read: one that is nothing else, or one with an inline cache.

    Of an index, every platform's image counts. The documents are fetched with the first question, layers when a step
    needs them.
    """

    def __init__(
        self,
        place: Place,
        ports: Ports,
        *,
        digest: Digest | None = None,
        sink: Sink | None = None,
    ) -> None:
        self.place = place
        self.name = f"the cache {place}"
        self._ports = ports
        self._digest = digest
        self._sink = sink or NullSink()
        self._reach = Reach(ports)
        self._lock = threading.Lock()
        self._loaded: Contents | None = None

    def get(self, definition: Key) -> Record | None:
        record = self._contents().definitions.get(definition)
        layers = self._reach.layers(record.layers) if record else None
        return replace(record, layers=layers) if record and layers else None

    def by_content(self, content: Key) -> Layer | None:
        layer = self._contents().contents.get(content)
        return self._reach.layer(layer) if layer else None

    def seen(self, operation: Key) -> bool:
        return operation in self._contents().operations

    def lost(self, definition: Key) -> bool:
        return definition in self._contents().definitions and self.get(definition) is None

    def put(self, record: Record) -> None:
        return None

    def flush(self) -> None:
        return None

    def mounts(self) -> Mounts:
        """The cache mounts that travelled with the image, as far as their layers can be had."""
        return [(name, found) for name, layer in self._contents().mounts if (found := self._reach.layer(layer))]

    def _contents(self) -> Contents:
        with self._lock:
            if self._loaded is None:
                self._loaded = Contents()  # a failure is told once, and then there is nothing here
                found = load_or_none(self.place, self._ports, self._digest)
                if found is None:
                    self._sink.emit(Message(f"There is no cache at {self.place} yet", "warning"))
                else:
                    self._loaded = _merged(found)
            return self._loaded


def _merged(found: Image | ImageIndex) -> Contents:
    """What an image holds as a cache, or all images of an index together."""
    if isinstance(found, Image):
        return read_contents(found)
    all_contents = [_merged(select(found, platform)) for platform in found.platforms]
    return Contents(
        {key: record for item in all_contents for key, record in item.definitions.items()},
        {key: layer for item in all_contents for key, layer in item.contents.items()},
        frozenset(key for item in all_contents for key in item.operations),
        [mount for item in all_contents for mount in item.mounts],
    )
