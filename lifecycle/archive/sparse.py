"""Files with holes: where their data lies, how that is written down, and how it is read back."""

from __future__ import annotations

import errno
import os

Segment = tuple[int, int]
"""Offset and length, in bytes, of a run of data; everything between runs is zeros."""

BLOCK = 512


def data_segments(fd: int, size: int) -> list[Segment] | None:
    """Where the first ``size`` bytes of the open file hold data, in order; None when it has no holes.

    A file system that cannot tell (EINVAL, EOPNOTSUPP) counts as having no holes.
    """
    segments: list[Segment] = []
    offset = 0
    try:
        while offset < size:
            try:
                begin = os.lseek(fd, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            if begin >= size:
                break
            end = min(os.lseek(fd, begin, os.SEEK_HOLE), size)
            segments.append((begin, end - begin))
            offset = end
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return None
        raise
    finally:
        os.lseek(fd, 0, os.SEEK_SET)
    return None if segments == [(0, size)] or size == 0 else segments


def render_map(segments: list[Segment], size: int) -> bytes:
    """The map that precedes the data of a sparse file, padded to whole blocks.

    Source: GNU tar manual, "PAX Format, Version 1.0".
    """
    if not segments or sum(segments[-1]) < size:
        segments = [*segments, (size, 0)]
    lines = [b"%d\n" % len(segments)]
    lines += [b"%d\n%d\n" % segment for segment in segments]
    text = b"".join(lines)
    return text + bytes(-len(text) % BLOCK)
