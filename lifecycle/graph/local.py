"""The cache on this machine: a small file for each key, the layers in the local store."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lifecycle.graph.cache import Record
from lifecycle.graph.key import Key
from lifecycle.image.layer import BlobLayer, Layer, known_layer
from lifecycle.oci import Descriptor, Digest
from lifecycle.store import LocalStore
from lifecycle.store.errors import disk_errors
from lifecycle.store.partial import sweep, write_file

DAY = 86400
UNUSED_DAYS = 30
"""Days after which a record that no build used is removed by ``pylife gc``."""
MOST_RECORDS = 20_000
"""Records that ``pylife gc`` leaves; those used last stay."""
_TOUCH = 3600
"""Seconds for which a record's last use need not be noted again."""


class LocalCache:
    """Records in the directory ``root``, beside the store that has their layers.

    Safe with any number of processes, killed at any moment: each file appears whole, and one that is damaged is as
    good as none. A record whose layers the store does not have all is not handed out.
    """

    name = "the local cache"

    def __init__(self, root: Path, store: LocalStore) -> None:
        self.root = root
        self._store = store
        self._layers: dict[tuple[str, str], Layer] = {}
        self._texts: dict[tuple[str, ...], str] = {}

    # -- looking up ----------------------------------------------------------------------------------------------

    def get(self, definition: Key) -> Record | None:
        found = self._read("records", definition)
        if found is None:
            return None
        layers = self._known(found)
        if layers is None:
            return None
        return Record(definition, Key(found["operation"]), Key(found["content"]), layers, found["made"])

    def by_content(self, content: Key) -> Layer | None:
        found = self._read("content", content)
        layers = self._known(found) if found else None
        return layers[-1] if layers else None

    def seen(self, operation: Key) -> bool:
        return self._path("seen", operation).exists()

    def lost(self, definition: Key) -> bool:
        return self._path("records", definition).exists() and self.get(definition) is None

    def _read(self, kind: str, key: Key) -> dict[str, Any] | None:
        path = self._path(kind, key)
        found = _decode(path, key)
        if found is not None:
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _TOUCH:
                    os.utime(path)
        return found

    def _known(self, found: dict[str, Any]) -> tuple[Layer, ...] | None:
        layers = [self._layer(diff_id, item) for diff_id, item in found["layers"]]
        return tuple(layer for layer in layers if layer) if all(layers) else None

    def _layer(self, diff_id: str, item: dict[str, Any]) -> Layer | None:
        known = self._layers.get((diff_id, item["digest"]))
        if known is not None:
            return known
        digest, descriptor = Digest.parse(diff_id), Descriptor.from_json(item)
        layer: Layer | None
        if self._store.blobs.size(descriptor.digest) == descriptor.size:
            layer = BlobLayer(descriptor, digest, self._store.blobs, self._store.origin(descriptor.digest))
        else:
            layer = known_layer(digest, self._store)  # compressed in another way since
        if layer is not None:
            self._layers[diff_id, item["digest"]] = layer
        return layer

    # -- keeping -------------------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        layers = [self._described(layer) for layer in record.layers]
        common = f'"operation":"{record.operation.hex}","content":"{record.content.hex}"'
        self._write("content", record.content, common, layers[-1:])
        self._write("records", record.definition, f'"made":{record.made},{common}', layers)
        seen = self._path("seen", record.operation)
        if not seen.exists():
            self._place(seen, b"")

    def flush(self) -> None:
        return None

    def _described(self, layer: Layer) -> str:
        """The layer as records have it. In a chain each record has the layers of all steps before: written once."""
        names = str(layer.diff_id), layer.descriptor.digest.hex, layer.descriptor.media_type
        text = self._texts.get(names)
        if text is None:
            plain = [names[0], layer.descriptor.with_annotations({}).to_json()]
            text = self._texts[names] = json.dumps(plain, separators=(",", ":"))
        return text

    def _write(self, kind: str, key: Key, common: str, layers: Sequence[str]) -> None:
        body = f'{{"key":"{key.hex}",{common},"layers":[{",".join(layers)}]}}'.encode()
        self._place(self._path(kind, key), hashlib.sha256(body).hexdigest().encode() + b"\n" + body)

    def _place(self, path: Path, data: bytes) -> None:
        if not path.parent.is_dir():
            with disk_errors(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # none there, usually
            if path.read_bytes() == data:
                os.utime(path)  # a file made anew costs more, most of all soon after others were removed
                return
        write_file(path, data)

    def _path(self, kind: str, key: Key) -> Path:
        return self.root / kind / key.hex

    # -- cleaning ------------------------------------------------------------------------------------------------

    def collect(self, now: float | None = None) -> int:
        """Remove what is damaged, was not used for long, or lost its layers; how many records.

        Only while no build runs: the caller has the store for itself.
        """
        moment = time.time() if now is None else now
        aged: list[tuple[float, Path]] = []
        doomed: list[Path] = []
        for path in self._files():
            with suppress(FileNotFoundError):
                used = path.stat().st_mtime
                found = _decode(path, Key(path.name))
                if found is None or moment - used > UNUSED_DAYS * DAY or self._known(found) is None:
                    doomed.append(path)
                else:
                    aged.append((used, path))
        aged.sort(reverse=True)
        doomed += [path for _, path in aged[MOST_RECORDS:]]
        for path in doomed:
            path.unlink(missing_ok=True)
        operations = {found["operation"] for path in self._files() if (found := _decode(path, Key(path.name)))}
        for path in self._listed("seen"):
            if path.name not in operations:
                path.unlink(missing_ok=True)
        for kind in ("records", "content", "seen", "slots"):
            sweep(self.root / kind)
        return len(doomed)

    def layers(self) -> Iterator[Layer]:
        """Every layer that a record leads to; some may come several times."""
        for path in self._files():
            found = _decode(path, Key(path.name))
            yield from (self._known(found) or ()) if found else ()

    def _files(self) -> list[Path]:
        return [*self._listed("records"), *self._listed("content")]

    def _listed(self, kind: str) -> list[Path]:
        place = self.root / kind
        names = sorted(os.listdir(place)) if place.is_dir() else []
        return [place / name for name in names if not name.startswith(".")]


def _decode(path: Path, key: Key) -> dict[str, Any] | None:
    """The record in a file; None when there is none or it is damaged, which costs only time."""
    try:
        sum_, _, body = path.read_bytes().partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode() != sum_:
            return None
        data = json.loads(body)
    except (OSError, ValueError):
        return None
    return data if data.get("key") == key.hex else None
