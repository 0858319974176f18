"""The slugbuilder and the slugrunner: the images that slugs are built in and run on, when none is named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lifecycle.app.ports import Ports
from lifecycle.builder.definition import load_stack
from lifecycle.builder.share import shared
from lifecycle.builder.slug import SlugImages, ensure_slug_images

if TYPE_CHECKING:
    from lifecycle.phases.inputs import Engine

STACK = "slug"
BUILDER, RUNNER = "pylife/slugbuilder:latest", "pylife/slugrunner:latest"
"""The names under which the images are in the local store."""


def ensure_slug_stack(ports: Ports, engine: Engine) -> SlugImages:
    """Both images from the local store when they are current; else made (minutes once, seconds for a new pylife).

    The builder has the directories of CNB's contract and the launcher at /cnb/lifecycle/launcher; both have the user
    slug (2000:2000, home /app), STACK, and this pylife at /opt/pylife with the links of the family.
    """
    mirror = os.environ.get("PYLIFE_DEBIAN_MIRROR", "")
    return ensure_slug_images(load_stack(shared("stacks") / STACK), engine, mirror=mirror)
