"""Reading a file's content, however it is held."""

from __future__ import annotations

from lifecycle.archive.entry import Content


def read_content(content: Content, size: int) -> bytes:
    """The first ``size`` bytes."""
    if content is None:
        return b""
    if isinstance(content, bytes):
        return content[:size]
    with content() as stream:
        parts = []
        while size and (data := stream.read(size)):
            parts.append(data)
            size -= len(data)
        return b"".join(parts)
