"""Which way of keeping processes apart was chosen, as data."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Literal

from lifecycle.record import dataclass
from lifecycle.sandbox.errors import BadIsolation

if TYPE_CHECKING:
    from lifecycle.sandbox.mounts import KernelMounts

RungName = Literal["userns", "mountns", "chroot"]


class Isolation(Enum):
    """What the user asked for with --isolation."""

    AUTO = "auto"
    USERNS = "userns"
    MOUNTNS = "mountns"
    CHROOT = "chroot"

    @classmethod
    def parse(cls, text: str) -> Isolation:
        """The rung of that name; raises BadIsolation."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise BadIsolation(f"{text!r} is not a kind of isolation") from None


@dataclass(frozen=True, slots=True)
class IdRange:
    """``count`` ids that are ``inside`` in a user namespace and ``outside`` in its parent."""

    inside: int
    outside: int
    count: int

    def line(self) -> str:
        """The range as /proc/PID/uid_map has it."""
        return f"{self.inside} {self.outside} {self.count}\n"


@dataclass(frozen=True, slots=True)
class Rung:
    """How processes are kept apart on this host, found by trying.

    ``ids``: ``all`` (every id of this process's own namespace), ``subids`` (0 and the lent range), ``single`` (one).
    ``uid_map``/``gid_map`` are what ``enter`` writes (userns only). ``overlay``: whose extended attributes overlayfs
    keeps its marks in, None where it cannot be mounted. ``proc``: mounted afresh, bound from the host, or absent.
    ``cgroup``: which hierarchy takes memory limits, None for RLIMIT_AS. ``reasons`` says for each better rung or
    property why not; ``improvements`` are settings or commands that would give it.
    """

    name: RungName
    ids: Literal["all", "subids", "single"]
    uid_map: tuple[IdRange, ...] = ()
    gid_map: tuple[IdRange, ...] = ()
    overlay: Literal["trusted", "user"] | None = None
    can_mount: bool = False
    can_mknod: bool = False
    proc: Literal["mount", "bind"] | None = None
    pid_namespace: bool = False
    network_namespace: bool = False
    seccomp: bool = True
    cgroup: Literal["v2", "v1"] | None = None
    reasons: tuple[str, ...] = ()
    improvements: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    @property
    def storage_key(self) -> str:
        """A file name for trees unpacked on this rung: ids on disk mean the same only under the same map."""
        if self.ids == "all":
            return "all"
        owners = ",".join(f"{r.inside}-{r.outside}-{r.count}" for r in (*self.uid_map, *self.gid_map))
        return f"{self.ids}-{hashlib.sha256(owners.encode()).hexdigest()[:8]}"

    def mounts(self) -> KernelMounts:
        """What mounts overlay roots on this rung."""
        from lifecycle.sandbox.mounts import KernelMounts

        return KernelMounts(self.overlay == "user")

    @property
    def places(self) -> tuple[str, ...]:
        """What runs want to find in any root, in order; a directory ends with a slash."""
        from lifecycle.sandbox.host import PLACES

        return PLACES

    def maps_user(self, uid: int) -> bool:
        """Whether a process can be given ``uid`` here (one id can stand for any single one)."""
        return self.ids != "subids" or any(r.inside <= uid < r.inside + r.count for r in self.uid_map)

    def maps_group(self, gid: int) -> bool:
        """As ``maps_user``, for a group."""
        return self.ids != "subids" or any(r.inside <= gid < r.inside + r.count for r in self.gid_map)
