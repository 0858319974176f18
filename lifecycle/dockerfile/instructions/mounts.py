"""``RUN --mount``: what is put into the root filesystem for one command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MountType = Literal["bind", "cache", "tmpfs", "secret", "ssh"]
Sharing = Literal["shared", "private", "locked"]


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount, as written: defaults that depend on the build (paths, ids) are not filled in.

    ``from_`` is a stage, context or image. ``size`` is in bytes. ``env`` is None when not given and empty for the
    default name. ``options`` are of ``nosuid``, ``nodev``, ``noexec``. ``unused`` holds options of Buildah that are
    accepted and have no meaning here (SELinux labels, propagation, consistency).
    """

    type: MountType = "bind"
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    read_only: bool = True
    sharing: Sharing | None = None
    required: bool = False
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None
    options: tuple[str, ...] = ()
    copy_up: bool = False  # tmpfs: begins with what the image has at the target
    chown: bool = False  # Buildah's U: give the source to the step's user
    no_dereference: bool = False
    unused: tuple[str, ...] = ()
