"""The writer's manners: what it refuses, what it does when a file changes, how it spells names."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from lifecycle.archive import Entry, Kind, OnDisk, TarStyle, TarWriter, read_tar, write_tar
from lifecycle.archive.errors import FileChanged, Unreadable, UnwritableEntry


class Out:
    """Remembers the sizes of the writes it gets."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def write(self, data: bytes) -> None:
        self.sizes.append(len(data))


def test_small_files_are_written_together() -> None:
    out = Out()
    write_tar(((Entry(b"f%d" % n, Kind.FILE, size=600), bytes(600)) for n in range(2000)), out)
    assert sum(out.sizes) == 2000 * 1536 + 1024
    assert len(out.sizes) < 10


@pytest.mark.parametrize("size", [10, 300 << 10, 3 << 20])
def test_a_file_that_shrank_is_an_error_that_names_it(tmp_path: Path, size: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(size - 1))
    with pytest.raises(FileChanged, match=r"logs/app\.log became shorter"):
        TarWriter(Out()).add(Entry(b"logs/app.log", Kind.FILE, size=size), OnDisk(os.fsencode(path)))
    for content in (bytes(size - 1), lambda: io.BytesIO(bytes(size - 1)), None):
        with pytest.raises(FileChanged):
            TarWriter(Out()).add(Entry(b"f", Kind.FILE, size=size), content)


@pytest.mark.parametrize("size", [10, 300 << 10, 3 << 20])
def test_a_file_that_grew_is_cut_at_the_size_announced(tmp_path: Path, size: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * size + b"more")
    for content in (OnDisk(os.fsencode(path)), b"a" * size + b"more", lambda: io.FileIO(path)):
        out = io.BytesIO()
        write_tar([(Entry(b"f", Kind.FILE, size=size), content), (Entry(b"g", Kind.FILE), b"")], out)
        out.seek(0)
        assert [(entry.name, content.read()) for entry, content in read_tar(out)] == [(b"f", b"a" * size), (b"g", b"")]


def test_content_is_closed_by_the_writer() -> None:
    stream = io.BytesIO(b"abc")
    TarWriter(Out()).add(Entry(b"f", Kind.FILE, size=3), lambda: stream)
    assert stream.closed


def test_a_file_gone_or_turned_into_a_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(FileChanged, match="went away"):
        TarWriter(Out()).add(Entry(b"f", Kind.FILE, size=3), OnDisk(os.fsencode(tmp_path / "gone")))
    with pytest.raises(Unreadable, match="link"):
        TarWriter(Out()).add(Entry(b"f", Kind.FILE, size=3), OnDisk(os.fsencode(tmp_path / "link")))


@pytest.mark.parametrize(
    "entry",
    [
        Entry(b"a\0b", Kind.FILE),
        Entry(b"a", Kind.SYMLINK, linkname=b"x\0y"),
        Entry(b"a", Kind.FILE, xattrs=((b"user.a=b", b""),)),
        Entry(b"a", Kind.CHAR, dev_major=1 << 22),
    ],
)
def test_what_tar_cannot_say_is_refused(entry: Entry) -> None:
    with pytest.raises(UnwritableEntry):
        TarWriter(Out()).add(entry)


@pytest.mark.parametrize(
    ("style", "root", "directory"), [(TarStyle.CNB, b"/", b"/d"), (TarStyle.GENERAL, b"./", b"d/")]
)
def test_names_are_spelled_as_the_style_says(style: TarStyle, root: bytes, directory: bytes) -> None:
    out = io.BytesIO()
    write_tar([(Entry(b".", Kind.DIR), None), (Entry(b"d", Kind.DIR), None)], out, style)
    data = out.getvalue()
    assert data[:100].rstrip(b"\0") == root
    assert data[512:612].rstrip(b"\0") == directory
    assert len(data) == 2048


def test_cnb_style_has_no_attributes() -> None:
    with_some, without = io.BytesIO(), io.BytesIO()
    write_tar([(Entry(b"f", Kind.FILE, xattrs=((b"user.a", b"1"),)), b"")], with_some, TarStyle.CNB)
    write_tar([(Entry(b"f", Kind.FILE), b"")], without, TarStyle.CNB)
    assert with_some.getvalue() == without.getvalue()


def test_a_file_that_is_all_hole(tmp_path: Path) -> None:
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(5 << 20)
    out = io.BytesIO()
    writer = TarWriter(out, sparse=True)
    writer.add(Entry(b"a/hole", Kind.FILE, size=5 << 20), OnDisk(os.fsencode(tmp_path / "hole"), sparse=True))
    writer.finish()
    assert len(out.getvalue()) < 8192
    out.seek(0)
    assert [(entry.name, content.read()) for entry, content in read_tar(out)] == [(b"a/hole", bytes(5 << 20))]
