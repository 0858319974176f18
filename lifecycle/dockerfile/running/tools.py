"""What every RUN of a build works with, beside its own order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lifecycle.dockerfile.running.secrets import Secret
from lifecycle.dockerfile.running.ssh import SshSource
from lifecycle.events import NullSink, Sink
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.sandbox import Sandbox

OnLine = Callable[[Literal["stdout", "stderr"], str], None]


@dataclass(frozen=True, slots=True)
class RunTools:
    """The ports and permissions of a build's RUN steps; one for a whole build, used from any thread.

    ``home`` is $PYLIFE_HOME. ``secrets`` and ``ssh`` are what --secret and --ssh gave, by id. ``namespace`` is
    BUILDKIT_CACHE_MOUNT_NS. ``allowed`` are the entitlements given (``network.host``, ``security.insecure``).
    ``allow_degraded`` turns what this host's sandbox cannot give into a warning.
    """

    sandbox: Sandbox
    home: Path
    sink: Sink = field(default_factory=NullSink)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    ssh: Mapping[str, SshSource] = field(default_factory=dict)
    namespace: str = ""
    allowed: frozenset[str] = frozenset()
    allow_degraded: bool = False
