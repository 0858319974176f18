"""The slugbuilder and the slugrunner: the images that slugs are built in and run on, when none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lifecycle.app.ports import Ports

if TYPE_CHECKING:
    from lifecycle.image import Image
    from lifecycle.phases.inputs import Engine

BUILDER = "pylife/slugbuilder:latest"
RUNNER = "pylife/slugrunner:latest"


class SlugStack(NamedTuple):
    """The two images, as they are in the local store under BUILDER and RUNNER."""

    builder: Image
    runner: Image


def ensure_slug_stack(ports: Ports, engine: Engine) -> SlugStack:
    """Both images from the local store when they are current; else made (minutes once, seconds for a new pylife).

    The builder has the directories of CNB's contract and the launcher at /cnb/lifecycle/launcher; both have the user
    slug (2000:2000, home /app), STACK, and this pylife at /opt/pylife with the links of the family.
    """
    raise NotImplementedError
