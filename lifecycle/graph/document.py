"""Records inside an image: as a property of its configuration, which every tool carries along.

An image that is only a cache has as layers all that its records name; an image with an inline cache is an image like
any other, and its records name its own layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from lifecycle.errors import PylifeError
from lifecycle.graph.cache import Record
from lifecycle.graph.key import SCHEMA, Key
from lifecycle.image import Image
from lifecycle.image.layer import Layer
from lifecycle.oci import Dialect, Digest, ImageConfig, Platform
from lifecycle.record import dataclass

PROPERTY = "io.pylife.cache"

Mounts = Sequence[tuple[str, Layer]]
"""Cache mounts by name, each as a layer of what is in it."""


class BrokenCache(PylifeError):
    """An image that should hold a build cache does not make sense as one."""

    code = "cache.broken"
    fix = "Write the cache again with --cache-to; a cache can always be thrown away."


@dataclass(frozen=True, slots=True)
class Contents:
    """What an image holds as a cache."""

    definitions: Mapping[Key, Record] = field(default_factory=dict)
    contents: Mapping[Key, Layer] = field(default_factory=dict)
    operations: frozenset[Key] = frozenset()
    mounts: Mounts = ()


def with_inline_cache(config: ImageConfig, records: Iterable[Record]) -> ImageConfig:
    """The configuration of an image with those records that its own layers are enough for."""
    own = set(config.diff_ids)
    fitting = [record for record in records if all(layer.diff_id in own for layer in record.layers)]
    return config.with_data(**{PROPERTY: _describe(fitting, config.diff_ids, ())})


def cache_image(
    records: Sequence[Record],
    mounts: Mounts = (),
    *,
    platform: Platform | None = None,
    dialect: Dialect = Dialect.OCI,
    convert: Callable[[Layer], Layer] = lambda layer: layer,
) -> Image:
    """An image that is nothing but a cache; the same records give the same image. ``convert`` gets every layer."""
    layers: dict[Digest, Layer] = {}
    for layer in (*(layer for record in records for layer in record.layers), *(layer for _, layer in mounts)):
        if layer.diff_id not in layers:
            layers[layer.diff_id] = convert(layer)
    config = ImageConfig.empty(platform or Platform.host()).with_layers(tuple(layers), ())
    config = config.with_data(**{PROPERTY: _describe(records, tuple(layers), mounts)})
    return Image(config, tuple(layers.values()), dialect)


def _describe(records: Iterable[Record], diff_ids: Sequence[Digest], mounts: Mounts) -> dict[str, Any]:
    place = {diff_id: number for number, diff_id in reversed(list(enumerate(diff_ids)))}
    rows = [
        {
            "definition": record.definition.hex,
            "operation": record.operation.hex,
            "content": record.content.hex,
            "layers": [place[layer.diff_id] for layer in record.layers],
        }
        for record in records
    ]
    described: dict[str, Any] = {"schema": SCHEMA, "records": rows}
    if mounts:
        described["mounts"] = {name: place[layer.diff_id] for name, layer in mounts}
    return described


def read_contents(image: Image) -> Contents:
    """What ``image`` holds as a cache; nothing when it is an image like any other.

    Raises BrokenCache for what cannot be understood, also when another version of pylife wrote it.
    """
    found = image.config.data.get(PROPERTY)
    if found is None:
        return Contents()
    try:
        if found["schema"] != SCHEMA:
            raise BrokenCache(f"The build cache in {image.digest} is of another version", why=f"{found['schema']!r}")
        records = [_record(row, image.layers) for row in found["records"]]
        mounts = [(str(name), image.layers[_index(number)]) for name, number in (found.get("mounts") or {}).items()]
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise BrokenCache(f"The build cache in {image.digest} cannot be read", why=repr(error)) from error
    return Contents(
        {record.definition: record for record in records},
        {record.content: record.own for record in records},
        frozenset(record.operation for record in records),
        mounts,
    )


def _record(row: Mapping[str, Any], layers: Sequence[Layer]) -> Record:
    own = tuple(layers[_index(number)] for number in row["layers"])
    if not own:
        raise ValueError("a record without layers")
    return Record(_key(row["definition"]), _key(row["operation"]), _key(row["content"]), own)


def _index(number: object) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"{number!r} is no place of a layer")
    return number


def _key(text: object) -> Key:
    if not isinstance(text, str) or len(text) != 64:
        raise ValueError(f"{text!r} is no key")
    return Key(text)
