"""What --ssh gives: an agent's socket, or keys that a private agent holds for the length of a step."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from lifecycle.dockerfile.running.errors import BadSsh
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class SshSource:
    """Where the keys are: with the agent behind ``socket``, or in the files ``keys``."""

    id: str
    socket: str | None = None
    keys: tuple[str, ...] = ()


def parse_ssh(text: str, environment: Mapping[str, str] = os.environ) -> SshSource:
    """What ``--ssh default|ID[=SOCKET|KEY[,KEY…]]`` names; without a path, the agent of SSH_AUTH_SOCK.

    Raises BadSsh when it is not there, or is neither a socket nor key files.
    """
    name, _, rest = text.partition("=")
    name = name.strip() or "default"
    paths = tuple(filter(None, rest.split(",")))
    if not paths:
        agent = environment.get("SSH_AUTH_SOCK", "")
        if not agent:
            raise BadSsh(f"--ssh {text} names no agent", why="SSH_AUTH_SOCK is not set")
        paths = (agent,)
    sockets = [path for path in paths if _is_socket(path, text)]
    if not sockets:
        return SshSource(name, keys=paths)
    if len(paths) > 1:
        raise BadSsh(f"--ssh {text} cannot be used", why=f"{sockets[0]} is an agent's socket, which stands alone")
    return SshSource(name, socket=sockets[0])


def _is_socket(path: str, text: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise BadSsh(f"--ssh {text} cannot be used", why=f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise BadSsh(f"--ssh {text} cannot be used", why=f"{path} is a directory")
    return stat.S_ISSOCK(mode)
