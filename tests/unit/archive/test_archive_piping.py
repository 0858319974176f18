"""An archive that is read while it is written."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest

from lifecycle.archive.entry import DIR, FILE, Entry, Member
from lifecycle.archive.piping import open_tar
from lifecycle.archive.writer import write_tar


def test_reading_gives_what_writing_gives() -> None:
    members: list[Member] = [(Entry(b"d", DIR), None), (Entry(b"d/f", FILE, size=3_000_000), b"x" * 3_000_000)]
    whole = io.BytesIO()
    write_tar(members, whole)
    with open_tar(members) as stream:
        assert stream.read() == whole.getvalue()


def test_failure_of_the_members_is_raised_to_the_reader() -> None:
    def members() -> Iterator[Member]:
        yield Entry(b"d", DIR), None
        raise ValueError("broken in the middle")

    with open_tar(members()) as stream, pytest.raises(ValueError, match="in the middle"):
        while stream.read(512):
            pass


def test_closing_early_ends_the_writer() -> None:
    before = threading.active_count()
    stream = open_tar([(Entry(b"f", FILE, size=50_000_000), b"x" * 50_000_000)])
    stream.read(1)
    stream.close()
    assert threading.active_count() == before


def test_one_time_can_be_given_to_all_entries() -> None:
    own, other = io.BytesIO(), io.BytesIO()
    long = b"n" * 300
    write_tar([(Entry(b"a", FILE, mtime=5), b""), (Entry(long, DIR, mtime=6), None)], own, mtime=7)
    write_tar([(Entry(b"a", FILE, mtime=7), b""), (Entry(long, DIR, mtime=7), None)], other)
    assert own.getvalue() == other.getvalue()
