"""Content digests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import BinaryIO

from lifecycle.oci.errors import BadDigest
from lifecycle.record import dataclass

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The name of some bytes: ``algorithm`` and lower-case ``hex``.

    Source: OCI image-spec v1.1, descriptor.md, "Digests".
    """

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: object) -> Digest:
        """The digest written as ``algorithm:hex``; raises BadDigest for anything else."""
        if not isinstance(text, str):
            raise BadDigest(f"A digest must be a string, not {type(text).__name__}")
        algorithm, colon, hex_ = text.partition(":")
        length = _HEX_LENGTH.get(algorithm)
        if not colon or length is None:
            raise BadDigest(f"{text[:200]!r} is not a digest", why="it does not begin with sha256: or sha512:")
        if len(hex_) != length or not _HEX.fullmatch(hex_):
            raise BadDigest(f"{text[:200]!r} is not a digest", why=f"{algorithm} needs {length} digits of 0-9a-f")
        return cls(algorithm, hex_)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The sha256 of ``data``."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    @classmethod
    def of_stream(cls, stream: BinaryIO, chunk: int = 1 << 20) -> Digest:
        """The sha256 of everything left in ``stream``, read in chunks."""
        total = hashlib.sha256()
        while data := stream.read(chunk):
            total.update(data)
        return cls("sha256", total.hexdigest())

    def hasher(self) -> hashlib._Hash:
        """A fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def chain_id(diff_ids: Iterable[Digest]) -> Digest:
    """The digest that names a stack of layers, bottom first; at least one is needed.

    Source: OCI image-spec v1.1, config.md, "Layer ChainID".
    """
    current: Digest | None = None
    for diff_id in diff_ids:
        current = diff_id if current is None else Digest.of(f"{current} {diff_id}".encode())
    if current is None:
        raise BadDigest("A chain of no layers has no digest")
    return current
