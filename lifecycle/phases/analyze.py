"""Analyze: what the last build left in the image, and what the new one will run on.

Source: CNB Platform API, "Analyze".
"""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.buildpack.labels import LIFECYCLE_METADATA, AppMetadata, decode_app_metadata
from lifecycle.buildpack.layers import StoredBuildpack
from lifecycle.buildpack.target import BaseTarget
from lifecycle.image import Image, Layer
from lifecycle.oci import Digest


@dataclass(frozen=True, slots=True)
class RunImage:
    """The image that the app will run on: its value, the names it goes by, and the reference rebase compares."""

    image: Image
    name: str
    reference: str
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Analyzed:
    """The previous image with its metadata, or None and the reason for starting afresh; the run image; the target."""

    run_image: RunImage
    target: BaseTarget
    previous: Image | None = None
    metadata: AppMetadata | None = None
    why_not: str = ""

    @property
    def buildpacks(self) -> tuple[StoredBuildpack, ...]:
        """What the previous image remembers of each buildpack."""
        return self.metadata.buildpacks if self.metadata else ()

    def previous_layer(self, diff_id: Digest) -> Layer | None:
        """The previous image's layer of that diffID."""
        if self.previous is None:
            return None
        return next((layer for layer in self.previous.layers if layer.diff_id == diff_id), None)


def analyze(run_image: RunImage, previous: Image | None) -> Analyzed:
    """Read the previous image's metadata; an image that no lifecycle made, or another platform's, counts as none."""
    config = run_image.image.config
    target = BaseTarget.of_image(config.platform, config.labels)
    if previous is None:
        return Analyzed(run_image, target, why_not="there is no previous image")
    if not previous.config.platform.satisfies(config.platform):
        return Analyzed(run_image, target, why_not=f"the previous image is for {previous.config.platform}")
    metadata, why = decode_app_metadata(previous.config.labels.get(LIFECYCLE_METADATA))
    if metadata is None:
        return Analyzed(run_image, target, why_not=f"the previous image's metadata cannot be used: {why}")
    return Analyzed(run_image, target, previous, metadata)
