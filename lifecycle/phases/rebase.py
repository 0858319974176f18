"""Rebase: a new run image under an app image, without a build and without reading a layer.

Source: CNB Platform API, "Rebase".
"""

from __future__ import annotations

from dataclasses import replace

from lifecycle.buildpack.labels import (
    LIFECYCLE_METADATA,
    REBASABLE,
    AppMetadata,
    RunImageMetadata,
    decode_app_metadata,
)
from lifecycle.buildpack.target import BaseTarget
from lifecycle.errors import PylifeError
from lifecycle.image import Image
from lifecycle.image.edit import rebase as exchange_base
from lifecycle.oci import BadReference, Digest, Reference
from lifecycle.phases.analyze import RunImage

_SYNCED = ("io.buildpacks.stack.", "io.buildpacks.base.")


class NotRebasable(PylifeError):
    """An image cannot get another run image without a build."""

    code = "rebase.not-rebasable"
    exit_code = 72
    fix = "Build the app again on the new run image."


class WrongRunImage(PylifeError):
    """The new run image is not one that the app image was built for."""

    code = "rebase.wrong-run-image"
    exit_code = 72
    fix = "Name a run image of the same family, or give --force when you know that it fits."


def app_metadata(image: Image, name: str) -> AppMetadata:
    """The lifecycle's metadata of an app image; raises NotRebasable when it has none."""
    metadata, why = decode_app_metadata(image.config.labels.get(LIFECYCLE_METADATA))
    if metadata is None:
        raise NotRebasable(f"{name} was not built with buildpacks", why=f"its metadata label: {why}")
    return metadata


def rebase(image: Image, run: RunImage, name: str, *, force: bool = False) -> Image:
    """The app image on ``run``: its own layers stay, everything below them is exchanged. Pure.

    ``force`` accepts a run image of another name and a label that forbids it, never another platform.
    """
    metadata = app_metadata(image, name)
    labels = image.config.labels
    if labels.get(REBASABLE) == "false" and not force:
        raise NotRebasable(f"{name} cannot be rebased", why=f"its label {REBASABLE} is false")
    _check_target(image, run, name)
    known = metadata.run_image
    names = {known.image, *known.mirrors}
    if metadata.stack_run_image:
        names |= {metadata.stack_run_image.image, *metadata.stack_run_image.mirrors}
    families = {family for name_ in names if (family := _family(name_))}
    if not force and not families & {_family(name_) for name_ in (run.name, *run.mirrors)}:
        raise WrongRunImage(
            f"{run.name} is not the run image of {name}", why=f"it was built for {', '.join(sorted(names - {''}))}"
        )
    diff_ids = [str(layer.diff_id) for layer in image.layers]
    if known.top_layer not in diff_ids:
        raise NotRebasable(f"{name} cannot be rebased", why="the run image's last layer is not among its layers")
    rebased = exchange_base(image, diff_ids.index(known.top_layer) + 1, run.image)
    top: Digest = run.image.layers[-1].diff_id
    new = replace(
        metadata,
        run_image=RunImageMetadata(str(top), run.reference, known.image or run.name, known.mirrors),
    )
    synced = {key: value for key, value in run.image.config.labels.items() if key.startswith(_SYNCED)}
    kept = {key: value for key, value in labels.items() if not key.startswith(_SYNCED)}
    config = rebased.config.with_container(Labels=None).with_labels(
        {**kept, **synced, LIFECYCLE_METADATA: new.encode()}
    )
    return replace(rebased, config=config)


def _family(name: str) -> str:
    """The repository of a run image: another tag of it, or a digest, is the same family. Empty for no image name."""
    try:
        return Reference.parse(name).name
    except BadReference:
        return ""


def _check_target(image: Image, run: RunImage, name: str) -> None:
    old = BaseTarget.of_image(image.config.platform, image.config.labels)
    new = BaseTarget.of_image(run.image.config.platform, run.image.config.labels)
    same = (
        (old.os, old.arch) == (new.os, new.arch)
        and (not old.variant or not new.variant or old.variant == new.variant)
        and (old.distro is None or new.distro is None or old.distro == new.distro)
    )
    if not same:
        raise WrongRunImage(f"{run.name} cannot be put under {name}", why=f"it is {new}, the app was built for {old}")
