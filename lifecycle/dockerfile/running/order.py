"""One RUN as data: what is run, where, as whom, and what of elsewhere it sees while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.archive.entry import Entry, Member

HOSTNAME = "buildkitsandbox"


@runtime_checkable
class ContextTree(Protocol):
    """A directory of the host with ignore rules: what ``archive.HostTree`` is."""

    @property
    def directory(self) -> Path: ...

    def lookup(self, path: bytes) -> Entry | None: ...

    def hides_below(self, path: bytes) -> bool:
        """Whether the rules hide anything beneath ``path``."""
        ...

    def walk(self, path: bytes) -> Iterator[Member]: ...


class RootTree(Protocol):
    """A whole filesystem on this host: what a prepared ``snapshot.Root`` is."""

    @property
    def path(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Script:
    """A heredoc that is a program of its own: at /dev/pipes/``name`` while the step runs, 0755, read-only."""

    name: str
    content: bytes

    @property
    def target(self) -> str:
        """Where the program finds itself."""
        return f"/dev/pipes/{self.name}"


@dataclass(frozen=True, slots=True)
class BindMount:
    """A file or directory of the context, of another stage or of an image. Writes, where allowed, are discarded.

    ``path`` is resolved beneath the source, links included; ``""`` is its root. ``target`` is absolute.
    ``options``, here and elsewhere, are of ``nosuid``, ``nodev`` and ``noexec``.
    """

    target: str
    source: ContextTree | RootTree
    path: str = ""
    read_only: bool = True
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheMount:
    """A directory that outlives builds, named by ``id`` in its namespace.

    ``mode``, ``uid`` and ``gid`` are given to it when it is new; then ``seed`` (a tree and a path in it) fills it.
    """

    target: str
    id: str
    sharing: Literal["shared", "private", "locked"] = "shared"
    read_only: bool = False
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    seed: tuple[ContextTree | RootTree, str] | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """Empty memory, at most ``size`` bytes (None: the kernel's own limit)."""

    target: str
    size: int | None = None
    mode: int = 0o1777
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecretMount:
    """A secret as a file at ``target``, as variable ``env``, or both. A secret that is not given is passed over
    unless ``required``."""

    id: str
    target: str | None
    env: str | None = None
    required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class SshMount:
    """The socket of an agent at ``target`` (None: /run/buildkit/ssh_agent.N), SSH_AUTH_SOCK naming the first."""

    id: str = "default"
    target: str | None = None
    required: bool = False
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


RunMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount


@dataclass(frozen=True, slots=True)
class RunOrder:
    """A RUN with everything resolved but its user, who is looked up in the root's own /etc/passwd.

    ``argv`` is ready (the shell is part of it), ``env`` whole but for HOME and PATH, whose defaults are filled in.
    ``user`` is what USER says: ``name|uid[:group|gid]``, empty for root. ``memory`` is in bytes, ``timeout`` in
    seconds. Mounts are made in their order.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: str = ""
    mounts: tuple[RunMount, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    security: Literal["sandbox", "insecure"] = "sandbox"
    hostname: str = HOSTNAME
    scripts: tuple[Script, ...] = ()
    memory: int | None = None
    timeout: float | None = None
