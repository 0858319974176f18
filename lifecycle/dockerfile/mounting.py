"""RUN --mount from what was written to what the step is given: defaults filled in, sources found."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifecycle.dockerfile.config import join
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.graph.key import Ingredient

if TYPE_CHECKING:
    from lifecycle.archive.filetree import FileTree, HostTree
    from lifecycle.dockerfile.ast import Node
    from lifecycle.dockerfile.copying import CopySpec, Memory, Selection
    from lifecycle.dockerfile.instructions.mounts import Mount
    from lifecycle.dockerfile.running.order import ContextTree, RootTree, RunMount
    from lifecycle.oci.digest import Digest


class BadMountOption(DockerfileError):
    """A RUN --mount lacks what its kind needs, or asks for what pylife does not do."""

    code = "dockerfile.bad-mount-option"
    fix = "Correct the mount."


@dataclass(eq=False)
class MountPlan:
    """One mount of a RUN. Its source is a directory of this host (``tree``), or the step's input number ``input``.

    ``target`` is absolute. ``files`` are the digests of what was read of a source, by name.
    """

    mount: Mount
    target: str
    memory: Memory
    tree: HostTree | None = None
    input: int | None = None
    files: Mapping[str, str] = field(default_factory=dict, init=False)
    _selection: Selection | None = field(default=None, init=False, repr=False)

    @property
    def counts(self) -> bool:
        """Whether the step's result depends on what is mounted: not for caches, whose content is nobody's promise."""
        return self.mount.type == "bind"

    @property
    def cache_id(self) -> str:
        """What a cache mount is called: its id, else its target as written."""
        return self.mount.id or posixpath.normpath(self.mount.target)

    def definition(self) -> Sequence[Ingredient]:
        """What the mount adds to the step's definition: never an id of a cache, never a secret's value."""
        mount = self.mount
        shown: dict[str, str | int | bool | None] = {"type": mount.type, "target": self.target}
        if mount.type == "bind":
            shown |= {"source": mount.source, "read_only": mount.read_only}
        elif mount.type == "tmpfs":
            shown |= {"size": mount.size}
        elif mount.type in ("secret", "ssh"):
            shown |= {"id": mount.id, "env": mount.env, "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}
        found = [Ingredient(f"mount {self.target}", shown)]
        if self.counts and self.tree is not None:
            found.append(Ingredient(f"files of mount {self.target}", self.digest(self.tree)))
        return found

    @property
    def _spec(self) -> CopySpec:
        from lifecycle.dockerfile.copying import CopySpec

        return CopySpec((self.mount.source or "/",), "/", what=f"RUN --mount of {self.target}")

    @property
    def seen(self) -> list[tuple[HostTree, CopySpec, Digest]]:
        """What was taken from a directory of this host, and the digest that stands for it."""
        if self.tree is None or self._selection is None:
            return []
        return [(self.tree, self._spec, self._selection.digest)]

    def digest(self, tree: FileTree) -> Digest:
        """What stands for the content of a bind mount's source."""
        from lifecycle.dockerfile.copying import select

        if self._selection is None:
            self._selection = select(tree, self._spec, self.memory)
            self.files = self._selection.files
        return self._selection.digest

    def resolve(self, roots: Mapping[int, RootTree]) -> RunMount:
        """The mount as the step gets it; ``roots`` are the step's inputs, prepared."""
        from lifecycle.dockerfile.running.order import BindMount, CacheMount, SecretMount, SshMount, TmpfsMount

        mount, mode = self.mount, self.mount.mode
        owner = {"uid": mount.uid or 0, "gid": mount.gid or 0}
        match mount.type:
            case "bind":
                source = self._source(roots)
                assert source is not None
                return BindMount(self.target, source, mount.source.strip("/"), mount.read_only, mount.options)
            case "cache":
                source = self._source(roots)
                return CacheMount(
                    self.target,
                    id=self.cache_id,
                    sharing=mount.sharing or "shared",
                    read_only=mount.read_only,
                    mode=0o755 if mode is None else mode,
                    seed=None if source is None else (source, mount.source.strip("/")),
                    options=mount.options,
                    **owner,
                )
            case "tmpfs":
                return TmpfsMount(self.target, mount.size, 0o1777 if mode is None else mode, mount.options)
            case "secret":
                env = None if mount.env is None else mount.env or mount.id
                target = self.target if mount.target or env is None else None
                return SecretMount(mount.id, target, env, mount.required, 0o400 if mode is None else mode, **owner)
            case "ssh":
                target = self.target if mount.target else None
                mode = 0o600 if mode is None else mode
                return SshMount(mount.id or "default", target, mount.required, mode, **owner)

    def _source(self, roots: Mapping[int, RootTree]) -> ContextTree | RootTree | None:
        return roots[self.input] if self.input is not None else self.tree


def plan_mount(
    mount: Mount, cwd: str, node: Node, memory: Memory, *, tree: HostTree | None = None, input: int | None = None
) -> MountPlan:
    """The plan of ``mount`` in a step that runs in ``cwd``; raises BadMountOption."""
    from dataclasses import replace

    flag = f"type={mount.type}" if f"type={mount.type}" in node.text else "--mount"

    def wrong(why: str) -> BadMountOption:
        return node.error(BadMountOption, f"RUN --mount=type={mount.type} cannot be made", word=flag, why=why)

    asked = {"tmpcopyup": mount.copy_up, "U": mount.chown, "no-dereference": mount.no_dereference}
    held = mount.type in ("bind", "cache", "tmpfs")
    for option in (*(() if held else mount.options), *(name for name, given in asked.items() if given)):
        raise wrong(f"pylife does not do the option {option}")
    target = mount.target
    if mount.type == "secret":
        name = mount.source or mount.id or posixpath.basename(target)
        if not name:
            raise wrong("it names neither id nor target")
        mount = replace(mount, id=name)
        target = target or f"/run/secrets/{name}"
    elif mount.type == "ssh":
        if mount.source:
            raise wrong("ssh takes no source")
        target = target or "/run/buildkit/ssh_agent"
    elif not target:
        raise wrong("it has no target")
    place = join(cwd, target)
    if place == "/":
        raise wrong("the target cannot be /")
    return MountPlan(mount, place, memory, tree, input)
