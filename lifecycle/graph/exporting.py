"""Writing a cache where other machines find it."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink
from lifecycle.graph.cache import Record
from lifecycle.graph.document import Mounts, cache_image
from lifecycle.graph.remote import ImageCache
from lifecycle.graph.spec import CacheSource, CacheTarget
from lifecycle.image import Ports
from lifecycle.image.layer import Layer, compress_layer, in_dialect
from lifecycle.image.places import send
from lifecycle.oci import Platform, mediatypes


def export_cache(
    target: CacheTarget,
    records: Sequence[Record],
    mounts: Mounts,
    ports: Ports,
    sink: Sink,
    *,
    platform: Platform | None = None,
) -> None:
    """Write ``records`` and cache ``mounts`` to a target that is not inline; layers it has already are not sent.

    Raises what writing raises, unless the target says that errors do not matter.
    """
    assert target.place is not None

    def convert(layer: Layer) -> Layer:
        profile = target.profile
        if profile and mediatypes.layer_codec(layer.descriptor.media_type) != profile.codec:
            return compress_layer(layer, ports.store, profile, target.dialect)
        return in_dialect(layer, target.dialect)

    try:
        image = cache_image(records, mounts, platform=platform, dialect=target.dialect, convert=convert)
        send(image, target.place, ports, sink)
    except PylifeError as error:
        if not target.ignore_error:
            raise
        sink.emit(Message(f"The cache could not be written to {target.place}: {error}", "warning", error.code))


def open_cache(source: CacheSource, ports: Ports, sink: Sink) -> ImageCache:
    """The cache that ``--cache-from`` names."""
    return ImageCache(source.place, ports, digest=source.digest, sink=sink)
