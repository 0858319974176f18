"""Where a build's result goes besides the store: ``--output``, and the small files that tell about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from lifecycle.app.ports import Ports
    from lifecycle.archive import Profile
    from lifecycle.image import Image, ImageIndex
    from lifecycle.image.transfer import Transfer
    from lifecycle.oci import Dialect

OutputKind = Literal["image", "registry", "oci", "docker", "tar", "local", "cacheonly"]


@dataclass(frozen=True, slots=True)
class Output:
    """One ``--output``. ``destination`` is a path, ``-`` for standard output, empty where the kind needs none."""

    kind: OutputKind
    destination: str = ""
    names: tuple[str, ...] = ()
    push: bool | None = None
    by_digest: bool = False
    profile: Profile | None = None
    force_compression: bool = False
    dialect: Dialect | None = None
    packed: bool = True
    platform_split: bool | None = None
    delete: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Written:
    """One thing that was written: where, for people; the transfer for those that are images."""

    output: Output
    where: str
    transfer: Transfer | None = None


def parse_output(text: str) -> Output:
    """The output in buildx' notation (``type=…,dest=…``, a bare path, ``-``); raises BadOutput."""
    raise NotImplementedError


def write_outputs(
    result: Image | ImageIndex,
    outputs: Sequence[Output],
    ports: Ports,
    *,
    names: Sequence[str] = (),
    stdout: BinaryIO | None = None,
) -> tuple[Written, ...]:
    """Write the result to every output, in order; ``names`` are the names of the build, for outputs without one."""
    raise NotImplementedError
