"""Cache keys: digests of typed, length-framed ingredients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union

from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass

SCHEMA = "pylife-graph-1"
"""Part of every key: a change in what keys are made of makes all older ones unknown instead of wrong."""

Value: TypeAlias = Union[bool, int, str, bytes, Digest, "Key", Sequence["Value"], Mapping[str, "Value"], None]


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One thing that a step's result depends on.

    ``name`` is what people call it: ``instruction``, ``argument VERSION``, ``variable PATH``, ``file src/app.py``,
    ``base image``, ``url https://…``. ``value`` is kept beside the cache to tell later what changed: never a secret.
    """

    name: str
    value: Value


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The name of a step's result: 64 hexadecimal digits."""

    hex: str

    @classmethod
    def of(
        cls, kind: str, ingredients: Iterable[Ingredient], inputs: Iterable[Key | Digest | None] = (), level: str = ""
    ) -> Key:
        """The key of ``kind`` (the operation's) made of ``ingredients`` and of what names its inputs, in order.

        ``level`` keeps keys of different uses apart. Different arguments never give equal bytes to hash.
        """
        hasher = hashlib.sha256()
        pairs = [[item.name, item.value] for item in ingredients]
        hasher.update(encode([SCHEMA, level, kind, pairs, list(inputs)]))
        return cls(hasher.hexdigest())

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return self.hex


def encode(value: Value) -> bytes:
    """``value`` as bytes from which it could be read back: a tag for its type, its length, its content.

    Mappings are sorted by name, so that their order does not count; that of sequences does.
    """
    kind = type(value)  # most are of few types: asking those first halves what a key costs
    if kind is str:
        return _framed(b"s", value.encode("utf-8", "surrogatepass"))  # type: ignore[union-attr]
    if kind is list or kind is tuple:
        return _framed(b"l", b"".join([encode(item) for item in value]))  # type: ignore[union-attr]
    match value:
        case Digest():
            return _framed(b"d", f"{value.algorithm}:{value.hex}".encode())
        case Key():
            return _framed(b"k", value.hex.encode())
        case None:
            return _framed(b"n", b"")
        case bool():
            return _framed(b"?", b"1" if value else b"0")
        case int():
            return _framed(b"i", b"%d" % value)
        case str():
            return _framed(b"s", value.encode("utf-8", "surrogatepass"))
        case bytes():
            return _framed(b"b", value)
        case Mapping():
            pairs = sorted((encode(str(name)), encode(item)) for name, item in value.items())
            return _framed(b"m", b"".join(name + item for name, item in pairs))
        case Sequence():
            return _framed(b"l", b"".join(encode(item) for item in value))
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


def _framed(tag: bytes, content: bytes) -> bytes:
    return b"%b%d:%b" % (tag, len(content), content)
