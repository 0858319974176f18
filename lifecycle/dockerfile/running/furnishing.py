"""From a step's mounts to what the sandbox is told: each made ready on this host, and undone when the step is over."""

from __future__ import annotations

import os
import posixpath
from contextlib import ExitStack
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from lifecycle.dockerfile.running.errors import BadMount, BadSecret, SecretMissing, SshMissing
from lifecycle.dockerfile.running.order import BindMount, CacheMount, RunOrder, SecretMount, SshMount, TmpfsMount
from lifecycle.events import Message
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.dockerfile.running.caches import HeldCache
    from lifecycle.dockerfile.running.tools import RunTools

_AGENTS = "/run/buildkit/ssh_agent"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One thing that the step shall see at ``target``.

    ``show`` is the host's ``source``; ``keep`` is too, and what the step does to it stays; ``memory`` is an empty
    directory of at most ``size`` bytes; ``file`` is ``content``; ``socket`` is a listening one at ``source``.
    """

    kind: Literal["show", "keep", "memory", "file", "socket"]
    target: str
    source: str = ""
    read_only: bool = False
    content: bytes = field(default=b"", repr=False)
    size: int | None = None
    mode: int = 0o1777
    uid: int = 0
    gid: int = 0
    options: tuple[str, ...] = ()


class Furnishing:
    """Makes a step's mounts ready, in ``stack``; then ``attachments``, ``environment`` and ``secrets`` are whole."""

    def __init__(self, order: RunOrder, tools: RunTools, stack: ExitStack) -> None:
        self.attachments: list[Attachment] = []
        self.environment: dict[str, str] = {}
        self.secrets: list[bytes] = []
        self._tools = tools
        self._rung = tools.sandbox.rung
        self._stack = stack
        self._agents = 0
        mounts = [(_target(mount.target, order.cwd), mount) for mount in order.mounts]
        held = self._hold_caches([mount for _, mount in mounts if isinstance(mount, CacheMount)])
        for target, mount in mounts:
            try:
                match mount:
                    case BindMount():
                        self._bind(mount, target)
                    case CacheMount():
                        place = held[mount.id].path
                        self.attachments.append(
                            Attachment("keep", target, place, mount.read_only, options=mount.options)
                        )
                    case TmpfsMount():
                        self.attachments.append(
                            Attachment("memory", target, size=mount.size, mode=mount.mode, options=mount.options)
                        )
                    case SecretMount():
                        self._secret(mount, target if mount.target else None)
                    case SshMount():
                        self._ssh(mount, target if mount.target else None)
            except OSError as error:
                name = os.fsdecode(error.filename) if error.filename else mount.target
                raise BadMount(f"The mount at {target} cannot be made", why=f"{name}: {error.strerror}") from error
        self.attachments.sort(key=lambda each: each.target.count("/"))  # none hides one made before it
        for script in order.scripts:
            self.attachments.append(Attachment("file", script.target, content=script.content, mode=0o755))

    def scratch(self) -> str:
        """A new directory of this step, seen by nobody else, gone after it."""
        from lifecycle.snapshot.places import Yard

        yard = Yard(os.path.join(self._tools.home, "scratch"))
        yard.sweep()
        place, lock = yard.claim()
        self._stack.callback(yard.drop, place, lock)
        os.chmod(place, 0o700)
        return place

    def _bind(self, mount: BindMount, target: str) -> None:
        from lifecycle.dockerfile.running.sources import discard_writes, find_source

        place = find_source(mount.source, mount.path, target, self.scratch)
        if not mount.read_only and self._rung.can_mount:
            place = discard_writes(place, self._rung, self.scratch, self._stack)
        self.attachments.append(Attachment("show", target, place, mount.read_only, options=mount.options))

    def _hold_caches(self, mounts: list[CacheMount]) -> dict[str, HeldCache]:
        """Every cache of the step, by id; taken by name, so that two steps cannot wait for each other in a ring."""
        from lifecycle.dockerfile.running.caches import cache_directory, hold_cache

        held: dict[str, HeldCache] = {}
        for mount in sorted(mounts, key=lambda each: each.id):
            if mount.id in held:
                continue
            cache = cache_directory(self._tools.home, self._rung.storage_key, mount.id, self._tools.namespace)
            # without mounts a cache is moved into the root, so only one step can have it
            sharing = mount.sharing if self._rung.can_mount or mount.sharing == "private" else "locked"
            try:
                held[mount.id] = hold_cache(
                    cache,
                    sharing,
                    lambda place, mount=mount: self._new_cache(place, mount),  # type: ignore[misc]
                    lambda mount=mount: self._tools.sink.emit(  # type: ignore[misc]
                        Message(f"Waiting for the cache {mount.id}, which another step or build holds")
                    ),
                )
            except OSError as error:
                why = f"{error.filename}: {error.strerror}"
                raise BadMount(f"The cache {mount.id} cannot be made", why=why) from error
            self._stack.callback(held[mount.id].release)
        return held

    def _new_cache(self, place: str, mount: CacheMount) -> None:
        if mount.seed is not None:
            from lifecycle.dockerfile.running.sources import find_source
            from lifecycle.snapshot.copying import Copier

            tree, path = mount.seed
            source = find_source(tree, path, mount.target, self.scratch)
            if not os.path.isdir(source):
                raise BadMount(f"The cache {mount.id} cannot be filled", why=f"{path} is not a directory")
            Copier(own=self._rung.ids != "single").tree(source, place)
        self._give(place, mount.mode, mount.uid, mount.gid)

    def _give(self, place: str, mode: int, uid: int, gid: int) -> None:
        """Set mode and owner, the latter where there is more than one."""
        if self._rung.ids != "single":
            os.chown(place, uid, gid)
        os.chmod(place, mode)

    def _secret(self, mount: SecretMount, target: str | None) -> None:
        secret = self._tools.secrets.get(mount.id)
        if secret is None:
            if mount.required:
                raise SecretMissing(f"The step requires the secret {mount.id!r}", why="no --secret gives it")
            return
        value = secret.read()
        self.secrets.append(value)
        if mount.env is not None:
            if b"\0" in value:
                why = "it holds a NUL, which no variable can"
                raise BadSecret(f"The secret {mount.id!r} cannot be the variable {mount.env}", why=why)
            self.environment[mount.env] = os.fsdecode(value)
        if target is not None:
            self.attachments.append(
                Attachment("file", target, content=value, mode=mount.mode, uid=mount.uid, gid=mount.gid)
            )

    def _ssh(self, mount: SshMount, target: str | None) -> None:
        source = self._tools.ssh.get(mount.id)
        if source is None:
            if mount.required:
                raise SshMissing(f"The step requires the ssh agent {mount.id!r}", why="no --ssh gives it")
            return
        from lifecycle.dockerfile.running.agent import AgentProxy, open_agent

        scratch = self.scratch()
        agent = self._stack.enter_context(open_agent(source, scratch))
        place = os.path.join(scratch, "socket")
        self._stack.callback(AgentProxy(place, agent).close)
        self._give(place, mount.mode, mount.uid, mount.gid)
        inside = target or f"{_AGENTS}.{self._agents}"
        self._agents += 1
        self.environment.setdefault("SSH_AUTH_SOCK", inside)
        self.attachments.append(Attachment("socket", inside, place))


def _target(target: str | None, cwd: str) -> str:
    if target is None:
        return ""
    place = posixpath.normpath(posixpath.join("/", cwd, target))
    place = "/" + place.lstrip("/")
    if place == "/":
        raise BadMount("Nothing can be mounted at /", why=f"{target} is the root of the step's filesystem")
    return place
