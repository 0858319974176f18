"""What reaching sources elsewhere takes: the cache, the secrets, how hosts are reached, and whether they may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.events import NullSink, Sink
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.transport import TransportSettings

Secrets = Callable[[str], bytes | None]
"""A build secret's bytes by its id; None when there is none of that id."""


def no_secrets(_: str) -> bytes | None:
    """No secret, whatever the id."""
    return None


@dataclass(frozen=True, slots=True)
class Remotes:
    """The port through which contexts and ADD reach other hosts. Safe to use from many threads and processes.

    ``cache`` keeps downloads and git mirrors between builds. ``secrets`` are asked for HTTP_AUTH_HEADER_<host>,
    HTTP_AUTH_TOKEN_<host>, GIT_AUTH_TOKEN[.<host>] and GIT_AUTH_HEADER[.<host>]. ``environment`` is where GIT_TOKEN,
    AWS_ACCESS_KEY_ID and the like are looked for. ``offline`` refuses every request.
    """

    cache: Path
    settings: TransportSettings | None = None
    secrets: Secrets = no_secrets
    environment: Mapping[str, str] = field(default_factory=dict)
    ssh_agent: str | None = None
    offline: bool = False
    sink: Sink = field(default_factory=NullSink)
