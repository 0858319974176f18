"""Where things stand inside a build root and an app image.

Source: CNB Platform API, "Phases"; the defaults of every phase's flags.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.oci import ImageConfig

LAUNCHER = "/cnb/lifecycle/launcher"
PROCESS_DIR = "/cnb/process"
LIFECYCLE_DIR = "/cnb/lifecycle"


@dataclass(frozen=True, slots=True)
class Layout:
    """The absolute paths of one build, as its processes see them."""

    app: str = "/workspace"
    layers: str = "/layers"
    platform: str = "/platform"
    buildpacks: str = "/cnb/buildpacks"
    build_config: str = "/cnb/build-config"
    shared_cache: str = "/cnb/shared-cache"


@dataclass(frozen=True, slots=True)
class Owner:
    """The builder's CNB user: who runs the buildpacks and owns what they make.

    ``mapped`` is False where one id stands for every user (an ordinary user without lent ids): nothing is chowned
    there, because whoever looks owns everything.
    """

    uid: int
    gid: int
    mapped: bool = True

    @property
    def pair(self) -> tuple[int, int]:
        """What archives record."""
        return (self.uid, self.gid)

    @property
    def chown(self) -> tuple[int, int] | None:
        """What files on disk are given to; None to leave them."""
        return (self.uid, self.gid) if self.mapped else None


def process_types(config: ImageConfig) -> list[str]:
    """The types of process that an app image has; empty for an image that no lifecycle made."""
    try:
        data = json.loads(config.labels["io.buildpacks.build.metadata"])
        return [str(item["type"]) for item in data["processes"]]
    except (KeyError, ValueError, TypeError):
        return []
