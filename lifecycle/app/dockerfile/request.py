"""What a Dockerfile build can be told, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lifecycle.archive.compress import Profile

if TYPE_CHECKING:
    from lifecycle.app.outputs import Written
    from lifecycle.graph.explain import Explained
    from lifecycle.image import Image, ImageIndex, Layer
    from lifecycle.image.places import Place
    from lifecycle.image.transfer import Transfer


@dataclass(frozen=True, slots=True)
class DockerfileRequest:
    """Everything ``pylife build --dockerfile`` can be told.

    ``context`` is a place (a path, a URL, ``-``), ``files`` the Dockerfiles as written (``-`` is standard input).
    ``names`` are the image's names, the first one its own; none when it only goes to ``outputs``. ``push`` None means:
    when a name says a registry. ``build_args`` have their values. ``created`` is a time in seconds that overrides
    every other; None leaves it to SOURCE_DATE_EPOCH. ``cache_ttl`` and ``timeout`` are in seconds, ``memory`` in bytes.
    """

    context: str = "."
    sub_path: str = ""
    files: tuple[str, ...] = ("Dockerfile",)
    ignore_file: Path | None = None
    names: tuple[str, ...] = ()
    push: bool | None = None
    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    contexts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()
    allow_degraded: bool = False
    no_cache: bool = False
    no_cache_stages: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    cache_repo: str | None = None
    cache_ttl: float | None = None
    outputs: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: int | None = None
    pull: bool = False
    jobs: int | None = None
    keep_failed: bool = False
    squash: bool = False
    network: Literal["default", "none", "host"] = "default"
    memory: int | None = None
    timeout: float | None = None
    profile: Profile = Profile.GZIP_FAST


@dataclass(frozen=True, slots=True)
class Sent:
    """One place that the image was put into, and what that took."""

    place: Place
    transfer: Transfer
    pushed: bool = False


@dataclass(frozen=True, slots=True)
class DockerfileResult:
    """What a build came to.

    ``result`` is the image, or the index of a build for several platforms; ``images`` one for each platform. ``made``
    are the layers of steps that were done, ``reused`` those that were known. ``unchanged`` says that no step had to be
    looked at closely. ``explained`` tells of each step whether it was found, and why not.
    """

    result: Image | ImageIndex
    images: tuple[Image, ...]
    sent: tuple[Sent, ...]
    written: tuple[Written, ...]
    made: tuple[Layer, ...]
    reused: tuple[Layer, ...]
    unchanged: bool
    explained: tuple[Explained, ...] = ()
