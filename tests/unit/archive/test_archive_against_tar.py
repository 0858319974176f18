"""The reader and the writer against two other programs: the standard library's tarfile and GNU tar."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.archive import Entry, Kind, Member, Ownership, TarStyle, TarWriter, extract, read_tar, walk, write_tar
from lifecycle.archive.reader import canonical

TYPES = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.DIR: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.HARDLINK: tarfile.LNKTYPE,
    Kind.CHAR: tarfile.CHRTYPE,
    Kind.BLOCK: tarfile.BLKTYPE,
    Kind.FIFO: tarfile.FIFOTYPE,
}

part = st.one_of(
    st.binary(min_size=1, max_size=120).filter(lambda b: b"/" not in b and b"\0" not in b and b not in (b".", b"..")),
    st.from_regex(rb"[a-z.]{1,60}", fullmatch=True).filter(lambda b: b not in (b".", b"..")),
)
names = st.lists(part, min_size=1, max_size=6).map(b"/".join)
numbers = st.one_of(st.integers(0, 2**21 + 2), st.integers(0, 2**32 - 2))
xattrs = st.dictionaries(st.from_regex(rb"user\.[a-z]{1,20}", fullmatch=True), st.binary(max_size=300), max_size=3).map(
    lambda found: tuple(sorted(found.items()))
)


@st.composite
def members(draw: st.DrawFn) -> Member:
    kind = draw(st.sampled_from(list(Kind)))
    content = draw(st.binary(max_size=2000)) if kind is Kind.FILE else None
    device = kind in (Kind.CHAR, Kind.BLOCK)
    entry = Entry(
        name=draw(names),
        kind=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(numbers),
        gid=draw(numbers),
        size=len(content or b""),
        mtime=draw(st.integers(-(2**33), 2**35)),
        linkname=draw(names) if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
        dev_major=draw(st.integers(0, 4095)) if device else 0,
        dev_minor=draw(st.integers(0, 2**20 - 1)) if device else 0,
        xattrs=draw(xattrs),
    )
    return entry, content


def written(found: list[Member], style: TarStyle = TarStyle.GENERAL) -> bytes:
    out = io.BytesIO()
    write_tar(found, out, style)
    return out.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(members(), max_size=6))
def test_what_is_written_is_read_back(found: list[Member]) -> None:
    back = [(entry, content.read() or None) for entry, content in read_tar(io.BytesIO(written(found)))]
    assert back == [(entry, content or None) for entry, content in found]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(members(), max_size=6), st.sampled_from(list(TarStyle)))
def test_tarfile_reads_what_is_written(found: list[Member], style: TarStyle) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(found, style)), encoding="utf-8", errors="surrogateescape") as theirs:
        seen = theirs.getmembers()
        assert len(seen) == len(found)
        for info, (entry, content) in zip(seen, found, strict=True):
            assert os.fsencode(info.name).strip(b"/") == entry.name
            assert info.type == TYPES[entry.kind]
            assert (info.mode, info.uid, info.gid, int(info.mtime)) == (entry.mode, entry.uid, entry.gid, entry.mtime)
            assert os.fsencode(info.linkname).lstrip(b"/") == entry.linkname
            assert (info.devmajor, info.devminor) == (entry.dev_major, entry.dev_minor)
            if content is not None:
                stream = theirs.extractfile(info)
                assert stream is not None
                assert stream.read() == content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(members(), max_size=5), st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_what_tarfile_writes_is_read(found: list[Member], form: int) -> None:
    out = io.BytesIO()
    expected = []
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as theirs:
        for entry, content in found:
            info = tarfile.TarInfo(os.fsdecode(entry.name))
            info.type = TYPES[entry.kind]
            info.mode, info.uid, info.gid, info.size = entry.mode, entry.uid, entry.gid, entry.size
            info.mtime, info.linkname = entry.mtime, os.fsdecode(entry.linkname)
            info.devmajor, info.devminor = entry.dev_major, entry.dev_minor
            try:
                theirs.addfile(info, io.BytesIO(content or b""))
            except (ValueError, UnicodeEncodeError):
                continue  # more than that format can say
            expected.append((entry, content))
    if not expected:
        return
    for (entry, content), (ours, stream) in zip(expected, read_tar(io.BytesIO(out.getvalue())), strict=True):
        assert ours == Entry(
            name=entry.name,
            kind=entry.kind,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            size=entry.size,
            mtime=entry.mtime,
            linkname=entry.linkname,
            dev_major=entry.dev_major,
            dev_minor=entry.dev_minor,
        )
        assert stream.read() == (content or b"")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"", b".", b"a", b".b", b"..c", b"d."]), max_size=7).map(b"/".join))
def test_canonical_names_are_those_of_posixpath(name: bytes) -> None:
    assert canonical(name) == os.path.normpath(b"/" + name).lstrip(b"/") or canonical(name) == b"."
    assert (canonical(name) == b".") == (os.path.normpath(b"/" + name).strip(b"/") == b"")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree with something of everything that an unprivileged tar can record."""
    root = tmp_path / "tree"
    (root / "sub/dir").mkdir(parents=True)
    (root / "sub/file").write_bytes(b"x" * 1000)
    os.link(root / "sub/file", root / "sub/second")
    (root / "link").symlink_to("sub/dir")
    (root / ("long" * 50)).write_bytes(b"long")
    (root / "sub" / ("p" * 90)).mkdir()
    (root / "sub" / ("p" * 90) / ("q" * 90)).write_bytes(b"deep")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe\xc3\xa9")).touch()
    os.mkfifo(root / "pipe")
    with open(root / "holes", "wb") as file:
        for place in range(9):
            file.seek(place << 20)
            file.write(b"data%d" % place)
        file.truncate(12 << 20)
    for path in [root, *root.rglob("*")]:
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    return root


def ours(root: Path) -> dict[bytes, tuple[Entry, bytes]]:
    out = io.BytesIO()
    write_tar(walk(root, mtime=None), out)
    return {entry.name: (entry, content.read()) for entry, content in read_tar(io.BytesIO(out.getvalue()))}


SPARSE = [("--sparse", f"--sparse-version={version}") for version in ("0.0", "0.1", "1.0")]


@pytest.mark.parametrize(
    ("form", "sparse"),
    [
        *((form, ()) for form in ("v7", "ustar", "oldgnu", "gnu", "posix")),
        *((form, ("--sparse",)) for form in ("oldgnu", "gnu")),
        *(("posix", options) for options in SPARSE),
    ],
)
def test_what_gnu_tar_writes_is_read(tree: Path, form: str, sparse: tuple[str, ...]) -> None:
    if form in ("v7", "ustar"):  # which cannot say these
        (tree / ("long" * 50)).unlink()
    if form == "v7":
        (tree / "sub" / ("p" * 90) / ("q" * 90)).unlink()
        (tree / "pipe").unlink()
    archive = tree.parent / "gnu.tar"
    command = ["tar", "--sort=name", f"--format={form}", *sparse, "-C", tree, "-cf", archive, "."]
    subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C"})
    with open(archive, "rb") as stream:
        theirs = {entry.name: (entry, content.read()) for entry, content in read_tar(stream)}
    assert theirs == ours(tree)
    if sparse:
        assert archive.stat().st_size < 1 << 20


@pytest.mark.parametrize("sparse", [False, True])
def test_gnu_tar_reads_what_is_written(tree: Path, sparse: bool) -> None:
    archive, copy = tree.parent / "ours.tar", tree.parent / "copy"
    copy.mkdir()
    with open(archive, "wb") as out:
        writer = TarWriter(out, sparse=sparse)
        for entry, content in walk(tree, mtime=None):
            writer.add(entry, content)
        writer.finish()
    assert (archive.stat().st_size < 1 << 20) == sparse
    result = subprocess.run(["tar", "-C", copy, "-xf", archive], check=True, capture_output=True)
    assert result.stderr == b""
    assert ours(copy) == ours(tree)


@pytest.mark.parametrize("version", ["gnu", "posix"])
def test_holes_stay_holes_when_unpacked(tree: Path, version: str) -> None:
    archive, copy = tree.parent / "gnu.tar", tree.parent / "copy"
    copy.mkdir()
    subprocess.run(["tar", f"--format={version}", "--sparse", "-C", tree, "-cf", archive, "."], check=True)
    with open(archive, "rb") as stream:
        extract(stream, copy, ownership=Ownership.SELF)
    assert (copy / "holes").read_bytes() == (tree / "holes").read_bytes()
    assert (copy / "holes").stat().st_blocks * 512 < 1 << 20


def test_reads_what_git_archive_writes(tmp_path: Path) -> None:
    def git(*argv: str) -> bytes:
        return subprocess.run(["git", "-C", tmp_path, *argv], check=True, capture_output=True).stdout

    git("init", "-q")
    (tmp_path / "Procfile").write_text("web: true\n")
    git("add", "Procfile")
    git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "one")
    found = [entry.name for entry, _ in read_tar(io.BytesIO(git("archive", "--prefix=app/", "HEAD")))]
    assert found == [b"app", b"app/Procfile"]
