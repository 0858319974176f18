"""Edits: functions that take an image and return another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lifecycle.archive.compress import Profile
from lifecycle.image.errors import CannotRebase
from lifecycle.image.filesystem import filesystem
from lifecycle.image.image import Image
from lifecycle.image.layer import Layer, compress_layer, in_dialect, write_layer
from lifecycle.oci import Dialect, History, ImageConfig, mediatypes
from lifecycle.store import LocalStore


def empty(config: ImageConfig, dialect: Dialect = Dialect.OCI) -> Image:
    """An image without layers."""
    return Image(config.with_layers((), ()), (), dialect)


def append(image: Image, layers: Sequence[tuple[Layer, History]]) -> Image:
    """The image with more layers on top, each with the line of history that tells where it came from.

    The history below stays as it is, except that missing lines are added blank, so that each layer has one.
    """
    history = list(image.config.history)
    if history or layers:
        history = padded(history, len(image.layers))
    new = [in_dialect(layer, image.dialect) for layer, _ in layers]
    return _with_layers(image, [*image.layers, *new], [*history, *(line for _, line in layers)])


def with_config(image: Image, config: ImageConfig) -> Image:
    """The image with another configuration; its layers and their history stay the image's own."""
    diff_ids = tuple(layer.diff_id for layer in image.layers)
    return replace(
        image, config=config if config.diff_ids == diff_ids else config.with_layers(diff_ids, config.history)
    )


def with_labels(image: Image, labels: Mapping[str, str]) -> Image:
    """The image with labels set."""
    return replace(image, config=image.config.with_labels(labels))


def with_env(image: Image, env: Mapping[str, str]) -> Image:
    """The image with variables set, in place or appended."""
    return replace(image, config=image.config.with_env(env))


def with_annotations(image: Image, annotations: Mapping[str, str]) -> Image:
    """The image with annotations of the manifest set."""
    return replace(image, annotations={**image.annotations, **annotations})


def with_dialect(image: Image, dialect: Dialect) -> Image:
    """The same image in the media types of the other dialect."""
    return replace(image, dialect=dialect, layers=tuple(in_dialect(layer, dialect) for layer in image.layers))


def aligned_history(config: ImageConfig) -> tuple[History, ...]:
    """One line of history per layer: lines without a layer are left out; all are blank when the numbers disagree."""
    lines = tuple(line for line in config.history if not line.empty_layer)
    count = len(config.diff_ids)
    return lines if len(lines) == count else (History(),) * count


def with_aligned_history(image: Image) -> Image:
    """The image with exactly one line of history per layer, as buildpack tools need to exchange layers."""
    return _with_layers(image, image.layers, aligned_history(image.config))


def padded(history: Sequence[History], count: int) -> list[History]:
    """``history`` with blank lines put below, until ``count`` lines tell of a layer."""
    missing = count - sum(not line.empty_layer for line in history)
    return [*(History() for _ in range(missing)), *history]


def rebase(image: Image, old_base_layers: int, new_base: Image) -> Image:
    """The image with its lowest ``old_base_layers`` layers exchanged for those of ``new_base``.

    The configuration stays the image's; history is aligned with the layers on both sides. Raises CannotRebase when
    the image has fewer layers, or the operating system or architecture differ.
    """
    if not 0 <= old_base_layers <= len(image.layers):
        raise CannotRebase(
            f"The image {image.digest} cannot be rebased",
            why=f"it has {len(image.layers)} layers, and {old_base_layers} are said to be its base",
        )
    ours, theirs = image.platform, new_base.platform
    if (ours.os, ours.architecture) != (theirs.os, theirs.architecture):
        raise CannotRebase(
            f"The image {image.digest} cannot be rebased", why=f"it is for {ours}, the new base for {theirs}"
        )
    base = [in_dialect(layer, image.dialect) for layer in new_base.layers]
    layers = [*base, *image.layers[old_base_layers:]]
    history = [*aligned_history(new_base.config), *aligned_history(image.config)[old_base_layers:]]
    return _with_layers(image, layers, history)


def flatten(image: Image, store: LocalStore, profile: Profile = Profile.GZIP_FAST) -> Image:
    """The image with all layers merged into one, which is written to the store."""
    if not image.layers:
        return image
    layer = write_layer(filesystem(image.layers), store, profile=profile, dialect=image.dialect)
    line = History(created=image.config.created, created_by="pylife: all layers merged")
    return _with_layers(image, [layer], [line])


def compressed(image: Image, store: LocalStore, profile: Profile) -> Image:
    """The image with its plain tar layers compressed; others stay as they are."""
    layers = tuple(
        compress_layer(layer, store, profile, image.dialect)
        if mediatypes.layer_codec(layer.descriptor.media_type) == "none"
        else layer
        for layer in image.layers
    )
    return replace(image, layers=layers)


def _with_layers(image: Image, layers: Sequence[Layer], history: Sequence[History]) -> Image:
    config = image.config.with_layers([layer.diff_id for layer in layers], history)
    return replace(image, config=config, layers=tuple(layers))
