"""Small real images for tests: given files, or random ones from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from lifecycle.archive.compress import Profile
from lifecycle.archive.entry import Entry, Kind, Member
from lifecycle.image import Image, Layer, append, empty, write_layer
from lifecycle.oci import Dialect, History, ImageConfig, Platform
from lifecycle.store import LocalStore

Files = Mapping[str, "bytes | str | Entry | None"]
"""Paths to content: bytes are a file, text is the target of a symbolic link, None is a directory."""

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def members(files: Files) -> list[Member]:
    """The tar members of ``files``, in the order given; directories above them are not added."""
    return [_member(name.encode(), content) for name, content in files.items()]


def _member(name: bytes, content: bytes | str | Entry | None) -> Member:
    match content:
        case Entry():
            return content, None
        case None:
            return Entry(name, Kind.DIR, 0o755), None
        case str():
            return Entry(name, Kind.SYMLINK, 0o777, linkname=content.encode()), None
        case bytes():
            return Entry(name, Kind.FILE, 0o644, size=len(content)), content


def layer_of(
    store: LocalStore, files: Files, *, profile: Profile = Profile.GZIP_FAST, dialect: Dialect = Dialect.OCI
) -> Layer:
    """A layer of ``files``, in the store."""
    return write_layer(members(files), store, profile=profile, dialect=dialect)


def tiny_image(
    store: LocalStore,
    *layers: Files,
    platform: Platform = AMD64,
    dialect: Dialect = Dialect.OCI,
    labels: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    profile: Profile = Profile.GZIP_FAST,
) -> Image:
    """An image of the layers given, bottom first; of one layer with one file when there are none."""
    config = ImageConfig.empty(platform).with_env({"PATH": "/usr/bin:/bin", **(env or {})})
    if labels:
        config = config.with_labels(labels)
    stack = layers or ({"hello.txt": b"hello\n"},)
    made = [layer_of(store, files, profile=profile, dialect=dialect) for files in stack]
    lines = [History(created="1980-01-01T00:00:01Z", created_by=f"layer {n}") for n in range(1, len(made) + 1)]
    return append(empty(config, dialect), list(zip(made, lines, strict=True)))


def random_image(
    store: LocalStore,
    *,
    seed: int = 0,
    layers: int = 3,
    files: int = 5,
    size: int = 1000,
    platform: Platform = AMD64,
    dialect: Dialect = Dialect.OCI,
) -> Image:
    """An image of ``layers`` layers with ``files`` incompressible files of ``size`` bytes each, by a seed."""
    dice = random.Random(seed)
    stack: Sequence[Files] = [
        {f"layer{layer}/file{number}": dice.randbytes(size) for number in range(files)} for layer in range(layers)
    ]
    return tiny_image(store, *stack, platform=platform, dialect=dialect, labels={"seed": str(seed)})


def names(found: Iterable[Member]) -> list[str]:
    """The names of tar members, in their order."""
    return [entry.name.decode() for entry, _ in found]
