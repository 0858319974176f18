"""A repository as a cache, a tag for each key: kaniko's ``--cache-repo``."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from lifecycle.events import NullSink, Sink, step
from lifecycle.graph.cache import Record
from lifecycle.graph.document import BrokenCache, cache_image, read_contents
from lifecycle.graph.key import Key
from lifecycle.graph.remote import Reach, load_or_none
from lifecycle.image import Image, OciPlace, Place, Ports, RegistryPlace
from lifecycle.image.layer import Layer
from lifecycle.image.places import send
from lifecycle.oci import BadReference, Platform, Reference

_THREADS = 4
DEFAULT_TTL = 14 * 86400.0
"""Seconds for which a step's result is good, unless the user says otherwise: kaniko's two weeks."""


class RepositoryCache:
    """Steps by tag in ``place`` (a repository or an OCI layout), each good for ``ttl`` seconds after it was made.

    Under a step's definition key is an image of all layers above the base, under its content key one of its own
    layer, under its operation key one without layers. New ones are pushed by ``flush``; none when ``read_only``.
    """

    def __init__(
        self,
        place: RegistryPlace | OciPlace,
        ports: Ports,
        *,
        ttl: float = DEFAULT_TTL,
        sink: Sink | None = None,
        platform: Platform | None = None,
        read_only: bool = False,
    ) -> None:
        self.name = f"the cache repository {_shown(place)}"
        self._place = place
        self._ports = ports
        self._ttl = ttl
        self._sink = sink or NullSink()
        self._platform = platform or Platform.host()
        self._read_only = read_only
        self._reach = Reach(ports)
        self._lock = threading.Lock()
        self._new: list[Record] = []

    def get(self, definition: Key) -> Record | None:
        image = self._load(definition)
        record = read_contents(image).definitions.get(definition) if image else None
        if image is None or record is None:
            return None
        layers = self._reach.layers(record.layers)
        return Record(definition, record.operation, record.content, layers, int(_made(image))) if layers else None

    def by_content(self, content: Key) -> Layer | None:
        image = self._load(content)
        return self._reach.layer(image.layers[0]) if image and len(image.layers) == 1 else None

    def seen(self, operation: Key) -> bool:
        return self._load(operation) is not None

    def lost(self, definition: Key) -> bool:
        return False

    def put(self, record: Record) -> None:
        if not self._read_only:
            with self._lock:
                self._new.append(record)

    def flush(self) -> None:
        with self._lock:
            new, self._new = self._new, []
        if not new:
            return
        from concurrent.futures import ThreadPoolExecutor

        with (
            step(self._sink, f"cache/{_shown(self._place)}", f"Push {len(new)} steps to {self.name}"),
            ThreadPoolExecutor(_THREADS, thread_name_prefix="cache") as pool,
        ):
            for _ in pool.map(self._push, new):
                pass

    def _push(self, record: Record) -> None:
        own = Record(record.definition, record.operation, record.content, (record.own,), record.made)
        for key, image in (
            (record.definition, self._image((record,), record.made)),
            (record.content, self._image((own,), record.made)),
            (record.operation, self._image((), record.made)),
        ):
            send(image, self._at(key), self._ports, NullSink())

    def _image(self, records: Iterable[Record], made: int) -> Image:
        image = cache_image(tuple(records), platform=self._platform)
        created = datetime.fromtimestamp(made or time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Image(image.config.with_data(created=created), image.layers, image.dialect)

    def _load(self, key: Key) -> Image | None:
        image = load_or_none(self._at(key), self._ports)
        return image if isinstance(image, Image) and time.time() - _made(image) <= self._ttl else None

    def _at(self, key: Key) -> Place:
        match self._place:
            case RegistryPlace(ref):
                return RegistryPlace(ref.with_tag(key.hex))
            case OciPlace(path):
                return OciPlace(path, key.hex)


def cache_repository(text: str) -> RegistryPlace | OciPlace:
    """The place that ``--cache-repo`` names: a repository, or ``oci:DIR``. Raises BadReference."""
    from pathlib import Path

    if text.startswith("oci:") and len(text) > 4:
        return OciPlace(Path(text[4:]))
    ref = Reference.parse(text.removeprefix("docker://"))
    if ref.tag or ref.digest:
        raise BadReference(f"{text!r} is not a repository", why="each step gets a tag of its own there")
    return RegistryPlace(ref)


def _shown(place: RegistryPlace | OciPlace) -> str:
    return place.ref.name if isinstance(place, RegistryPlace) else str(place)


def _made(image: Image) -> float:
    """When the image was made, in seconds since 1970; raises BrokenCache when it does not say."""
    try:
        return datetime.fromisoformat(image.config.created).timestamp()
    except ValueError as error:
        raise BrokenCache(f"The cached step {image.digest} does not say when it was made") from error
