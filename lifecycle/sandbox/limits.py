"""Memory limits: finding a control group that this process may use, and putting a run into one of its own."""

from __future__ import annotations

import os
import re
import time
from typing import Literal

from lifecycle.record import dataclass

_PREFIX = "pylife-"
_YOUNG = 60.0  # seconds
_MOUNT_LINE = re.compile(r"^\S+ \S+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A directory below which a control group with a memory limit can be made."""

    version: Literal["v2", "v1"]
    parent: str


def find_hierarchy() -> tuple[Hierarchy | None, str]:
    """Where memory limits can be set by this process, or None and why not. Only looks; makes nothing."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as lines:
            mounts = [m.groups() for m in map(_MOUNT_LINE.match, map(str.rstrip, lines)) if m]
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as lines:
            own = dict(line.rstrip("\n").split(":", 2)[1:] for line in lines)
    except OSError as error:
        return None, f"/proc does not tell ({error.strerror})"
    why = "no control group hierarchy with a memory controller is mounted"
    for root, point, kind, options in mounts:
        if kind == "cgroup2":
            here = _below(point, root, own.get("", "/"))
            # the group beside this process's own: one that holds processes cannot have limited children
            parent = here if here == point else os.path.dirname(here)
            controllers = _read(f"{parent}/cgroup.subtree_control").split()
            if "memory" not in controllers:
                why = f"the memory controller is not enabled in {parent}"
            elif not _writable(parent) or not os.access(f"{parent}/cgroup.procs", os.W_OK, effective_ids=True):
                why = f"{parent} is not delegated to this user"
            else:
                return Hierarchy("v2", parent), ""
        elif "memory" in options.split(","):
            here = _below(point, root, own.get("memory", "/"))
            if _writable(here):
                return Hierarchy("v1", here), ""
            why = f"{here} is not writable"
    return None, why


def _below(point: str, root: str, path: str) -> str:
    relative = os.path.relpath(path, root) if path.startswith(root) else "."
    return os.path.normpath(os.path.join(point, relative)) if not relative.startswith("..") else point


def _writable(path: str) -> bool:
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
        return False
    return not os.statvfs(path).f_flag & os.ST_RDONLY


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


class MemoryGroup:
    """A control group for one run, made with a limit in bytes; ``close`` removes it when its processes are gone."""

    def __init__(self, hierarchy: Hierarchy, limit: int) -> None:
        self._version = hierarchy.version
        _sweep(hierarchy.parent)
        self.path = os.path.join(hierarchy.parent, f"{_PREFIX}{os.getpid()}")
        os.mkdir(self.path, 0o755)
        if self._version == "v2":
            self._set("memory.max", limit)
            self._try("memory.swap.max", 0)
            self._try("memory.oom.group", 1)
        else:
            self._set("memory.limit_in_bytes", limit)
            self._try("memory.memsw.limit_in_bytes", limit)

    def _set(self, name: str, value: int) -> None:
        with open(os.path.join(self.path, name), "w", encoding="utf-8") as file:
            file.write(str(value))

    def _try(self, name: str, value: int) -> None:
        try:
            self._set(name, value)
        except OSError:
            return  # a kernel without swap accounting has no such file; the limit of memory itself holds

    def join(self) -> None:
        """Put the calling process, and so its children to come, under the limit."""
        self._set("cgroup.procs", 0)

    def killed(self) -> bool:
        """Whether the kernel killed a process for going over the limit."""
        text = _read(os.path.join(self.path, "memory.events" if self._version == "v2" else "memory.oom_control"))
        return any(name == "oom_kill" and count != "0" for name, count in _pairs(text))

    def close(self) -> None:
        """Remove the group; left for the next run's sweep when a process is still on its way out."""
        try:
            os.rmdir(self.path)
        except OSError:
            return


def _pairs(text: str) -> list[tuple[str, str]]:
    rows = [line.split() for line in text.splitlines()]
    return [(row[0], row[1]) for row in rows if len(row) == 2]


def _sweep(parent: str) -> None:
    """Remove groups of killed runs: rmdir refuses by itself where a process is inside."""
    try:
        names = [name for name in os.listdir(parent) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        path = os.path.join(parent, name)
        try:
            # a young one may be another container's, whose process ids are not ours, before its process joins
            if time.time() - os.stat(path).st_mtime > _YOUNG and not os.path.exists(
                f"/proc/{name.removeprefix(_PREFIX)}"
            ):
                os.rmdir(path)
        except OSError:
            continue
