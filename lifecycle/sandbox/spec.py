"""One run of a process in a root filesystem, as complete data: printable as JSON, replayable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any, Literal

from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """Something of the host that appears at ``target`` (absolute, inside the root) for the length of a run.

    ``kind`` ``bind`` shows the host's file or directory ``source``; ``tmpfs`` is empty memory (``source`` unused) of at
    most ``size`` bytes with ``mode``. ``options`` are of ``nosuid``, ``nodev`` and ``noexec``.
    """

    source: str
    target: str
    read_only: bool = False
    kind: Literal["bind", "tmpfs"] = "bind"
    size: int | None = None
    mode: int = 0o1777
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file in memory that appears, read-only, at ``target`` for the length of a run. Its content is never shown."""

    target: str
    content: bytes = field(repr=False)
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What to run, where, as whom and within which limits.

    ``root`` is a host path. ``argv[0]`` without a slash is looked up in ``env["PATH"]`` inside the root. ``env`` is
    everything the process gets, but for what ``trust_host`` adds: the CA bundle's variables, and the proxy variables.
    ``replace_certificates`` shows the host's bundle in the place of the image's own too, for programs that know no
    variable; the run can then not replace it.
    ``memory`` is in bytes, ``timeout`` in seconds (SIGTERM, then SIGKILL 2 s later).
    ``privileged`` leaves every capability of the rung, no filter and nothing masked: for programs that are trusted.
    """

    argv: tuple[str, ...]
    root: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    network: Literal["host", "none"] = "host"
    mounts: tuple[Mount, ...] = ()
    files: tuple[File, ...] = ()
    memory: int | None = None
    timeout: float | None = None
    trust_host: bool = True
    replace_certificates: bool = False
    no_new_privs: bool = True
    hostname: str = "pylife"
    privileged: bool = False

    def as_raw(self) -> dict[str, object]:
        """The spec as dicts, tuples and plain values: what can be sent to another interpreter of the same version."""
        raw: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        raw["env"] = dict(self.env)
        for kind, items in (("mounts", self.mounts), ("files", self.files)):
            raw[kind] = tuple({name: getattr(item, name) for name in item.__slots__} for item in items)
        return raw

    def to_json(self) -> str:
        """The spec as one line of JSON; names that are not UTF-8 survive as escapes. Holds the content of files."""
        raw = asdict(self) | {"env": dict(self.env)}
        for item in raw["files"]:
            item["content"] = item["content"].decode("latin-1")
        return json.dumps(raw)

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """The inverse of ``to_json``."""
        raw: dict[str, Any] = json.loads(text)
        raw["argv"] = tuple(raw["argv"])
        raw["groups"] = tuple(raw["groups"])
        raw["mounts"] = tuple(Mount(**mount | {"options": tuple(mount["options"])}) for mount in raw["mounts"])
        raw["files"] = tuple(File(**item | {"content": item["content"].encode("latin-1")}) for item in raw["files"])
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. ``exit_code`` is 128+n when signal ``n`` ended the process, as a shell has it.

    ``oom`` says that the memory limit was hit and the kernel killed for it (known with cgroups only); ``seconds`` is
    wall time.
    """

    exit_code: int
    signal: int | None = None
    timed_out: bool = False
    oom: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the process ended with 0 by itself."""
        return self.exit_code == 0 and not self.timed_out
