"""What a build is given: the app, the builder, the user's wishes, and the ports it works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lifecycle.archive import Profile
from lifecycle.buildpack.api import Api
from lifecycle.errors import PylifeError
from lifecycle.events import Sink
from lifecycle.phases.layout import Layout, Owner

if TYPE_CHECKING:
    from lifecycle.buildpack.target import BaseTarget
    from lifecycle.image import Image
    from lifecycle.platform.bindings import Binding
    from lifecycle.sandbox import Mount, Rung, Sandbox
    from lifecycle.snapshot import Snapshotter
    from lifecycle.store import LocalStore

EPOCH = 315532801
"""1980-01-01T00:00:01Z in seconds: the time of everything in a reproducible image unless the user names another."""

PLATFORM_API = Api(0, 14)
"""The Platform API of the images that are made: the newest whose launchers are common."""


class BadBuilder(PylifeError):
    """An image that was to be used as a builder is none."""

    code = "builder.not-a-builder"
    fix = "Name a builder image (`pylife builder create` makes the default one), or leave --builder out."


class CannotWrite(PylifeError):
    """A file that was asked for beside the image cannot be written."""

    code = "build.cannot-write"
    fix = "Name a directory that exists or can be made, on a disk with room, and that you may write to."


@dataclass(frozen=True, slots=True)
class Limits:
    """What a build may use: ``timeout`` in seconds for all of it, ``memory`` in bytes for each process tree."""

    network: Literal["host", "none"] = "host"
    memory: int | None = None
    timeout: float | None = None
    mounts: tuple[Mount, ...] = ()


class Source(Protocol):
    """The app's source: copied into a build root, never written to."""

    def copy_to(self, directory: Path) -> str:
        """Copy what takes part in the build into ``directory``, which exists; returns the content's digest."""
        ...


@dataclass(frozen=True, slots=True)
class BuildInputs:
    """What detect and build are given.

    ``chosen`` are the buildpacks of the one group the user asked for (``ID`` or ``ID@VERSION``), empty for the
    builder's order; ``pre`` and ``post`` go around every group; ``buildpacks`` are host directories of more of them.
    ``shared_cache`` is where the host keeps downloads for all builds; only bin/build sees it.
    """

    builder: Image
    source: Source
    target: BaseTarget
    env: Mapping[str, str] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    pre: tuple[str, ...] = ()
    post: tuple[str, ...] = ()
    buildpacks: tuple[tuple[str, Path], ...] = ()
    limits: Limits = field(default_factory=Limits)
    bindings: tuple[Binding, ...] = ()
    shared_cache: Path | None = None
    platform_api: Api = PLATFORM_API
    exec_env: str = "production"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What the user says about the app image. ``sbom_dir`` gets a copy of the SBOM files of launch and build."""

    profile: Profile
    default_process: str | None = None
    created: int = EPOCH
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    project: Mapping[str, Any] = field(default_factory=dict)
    sbom_dir: Path | None = None
    lifecycle_version: str = ""


@dataclass(frozen=True, slots=True)
class Engine:
    """The ports of a build: where layers are unpacked, how processes run, where blobs go, who is told."""

    snapshotter: Snapshotter
    sandbox: Sandbox
    rung: Rung
    store: LocalStore
    sink: Sink
    layout: Layout = field(default_factory=Layout)


def builder_owner(builder: Image, rung: Rung) -> Owner:
    """The CNB user that a builder names in its environment; raises BadBuilder when it names none."""
    env = builder.config.env
    try:
        return Owner(int(env["CNB_USER_ID"]), int(env["CNB_GROUP_ID"]), mapped=rung.ids != "single")
    except (KeyError, ValueError):
        raise BadBuilder(
            "The image is not a builder", why="its environment has no CNB_USER_ID and CNB_GROUP_ID"
        ) from None
