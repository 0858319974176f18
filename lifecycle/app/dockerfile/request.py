"""What a Dockerfile build can be told, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.app.keeping import Sent
    from lifecycle.app.outputs import Written
    from lifecycle.graph.explain import Explained
    from lifecycle.image import Image, ImageIndex, Layer
    from lifecycle.image.transfer import Transfer


@dataclass(frozen=True, slots=True)
class DockerfileRequest:
    """Everything ``pylife build --dockerfile`` can be told.

    ``context`` is a place (a path, a URL, ``-``), ``files`` the Dockerfiles as written (``-`` is standard input).
    ``names`` are the image's names, the first one its own; none when it only goes to ``outputs``. ``push`` None means:
    when a name says a registry. ``build_args`` have their values. ``created`` is a time in seconds that overrides
    every other; None leaves it to SOURCE_DATE_EPOCH. ``cache_ttl`` and ``timeout`` are in seconds, ``memory`` in bytes.
    ``compression`` is of new layers. ``pull`` says when the registry is asked for a base image: ``newer`` does with the
    store's when it cannot be asked.
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
    pull: Literal["always", "newer", "missing", "never"] = "missing"
    jobs: int | None = None
    keep_failed: bool = False
    network: Literal["default", "none", "host"] = "default"
    memory: int | None = None
    timeout: float | None = None
    compression: str = "gzip"


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

    def facts(self) -> dict[str, Any]:
        """What is told of the build, as plain data."""
        image = self.images[0]
        pushed = [item for item in self.sent if item.pushed]
        return {
            "names": [str(item.place) for item in self.sent if not item.pushed],
            "digest": str(self.result.digest),
            "platforms": [str(item.platform) for item in self.images],
            "size": sum(item.size for item in self.images),
            "layers": [str(layer.diff_id) for layer in image.layers],
            "new": [str(layer.diff_id) for layer in self.made],
            "new_bytes": sum({layer.descriptor.digest: layer.descriptor.size for layer in self.made}.values()),
            "reused": [str(layer.diff_id) for layer in self.reused],
            "written": [item.where for item in self.written],
            "pushed": [str(item.place) for item in pushed],
            "pushes": [_words(item.transfer) for item in pushed],
            "bytes_sent": sum(item.transfer.bytes_sent for item in pushed),
            "cache": [
                {"step": item.title, "outcome": item.outcome, "causes": list(item.causes)} for item in self.explained
            ],
        }


def _words(transfer: Transfer) -> str:
    there = len(transfer.present) + len(transfer.mounted)
    return f"{len(transfer.sent)} blobs sent, {there} there already"
