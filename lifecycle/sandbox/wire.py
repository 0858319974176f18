"""How plain data and descriptors go from one process of the sandbox to another."""

from __future__ import annotations

import marshal
import socket
import struct
from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MOST_DESCRIPTORS = 250
"""As many descriptors can come with a message."""
_LENGTH = struct.Struct("=I")


def send(to: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send what marshal can write: plain data. Raises OSError."""
    body = marshal.dumps(message)
    head = _LENGTH.pack(len(body))
    if descriptors:
        socket.send_fds(to, [head], descriptors)
        to.sendall(body)
    else:
        to.sendall(head + body)


def receive(come_from: socket.socket) -> tuple[Any, list[int]] | None:
    """A message and its descriptors, or None when the other side has gone away before it was whole. Raises OSError."""
    head, descriptors, _, _ = socket.recv_fds(come_from, _LENGTH.size, MOST_DESCRIPTORS)
    if len(head) < _LENGTH.size:
        head += _exactly(come_from, _LENGTH.size - len(head))
    if len(head) < _LENGTH.size:
        return None
    length = _LENGTH.unpack(head)[0]
    body = _exactly(come_from, length)
    return (marshal.loads(body), descriptors) if len(body) == length else None


def _exactly(come_from: socket.socket, count: int) -> bytes:
    """``count`` bytes, fewer when the other side has gone away before they came."""
    data = bytearray()
    while len(data) < count:
        piece = come_from.recv(count - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)


def revive(raw: dict[str, Any]) -> Any:
    """A spec or a rung with the attributes of ``raw``: without their classes, which cost more memory than all else."""
    attributes = dict(raw)
    for kind in ("mounts", "files"):
        if kind in raw:
            attributes[kind] = tuple(SimpleNamespace(**item) for item in raw[kind])
    return SimpleNamespace(**attributes)
