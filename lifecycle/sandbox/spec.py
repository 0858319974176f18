"""One run of a process in a root filesystem, as complete data: printable as JSON, replayable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Mount:
    """Something of the host that appears at ``target`` (absolute, inside the root) for the length of a run.

    ``kind`` ``bind`` shows the host's file or directory ``source``; ``tmpfs`` is empty memory (``source`` unused).
    """

    source: str
    target: str
    read_only: bool = False
    kind: Literal["bind", "tmpfs"] = "bind"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What to run, where, as whom and within which limits.

    ``root`` is a host path. ``argv[0]`` without a slash is looked up in ``env["PATH"]`` inside the root. ``env`` is
    everything the process gets, but for what ``trust_host`` adds: the CA bundle's variables, and the proxy variables.
    ``memory`` is in bytes, ``timeout`` in seconds (SIGTERM, then SIGKILL 2 s later).
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
    memory: int | None = None
    timeout: float | None = None
    trust_host: bool = True
    no_new_privs: bool = True
    hostname: str = "pylife"

    def to_json(self) -> str:
        """The spec as one line of JSON; names that are not UTF-8 survive as escapes."""
        return json.dumps(asdict(self) | {"env": dict(self.env)})

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """The inverse of ``to_json``."""
        raw: dict[str, Any] = json.loads(text)
        raw["argv"] = tuple(raw["argv"])
        raw["groups"] = tuple(raw["groups"])
        raw["mounts"] = tuple(Mount(**mount) for mount in raw["mounts"])
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
