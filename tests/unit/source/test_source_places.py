from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from lifecycle.source.errors import BadArchive, SourceNotFound, SourceUnsupported
from lifecycle.source.git import read_revision, without_credentials
from lifecycle.source.place import ArchiveSource, DirectorySource, StdinSource, open_source, parse_source


def test_places_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a b.tar").write_bytes(b"")
    assert parse_source("-") == StdinSource()
    assert parse_source(str(tmp_path)) == DirectorySource(tmp_path)
    assert parse_source(f"dir://{tmp_path}") == DirectorySource(tmp_path)
    assert parse_source(f"file://{tmp_path}/a%20b.tar") == ArchiveSource(tmp_path / "a b.tar")
    assert parse_source(f"tar://{tmp_path}/a b.tar") == ArchiveSource(tmp_path / "a b.tar")


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    for text in (str(tmp_path / "none"), f"tar://{tmp_path}", f"dir://{tmp_path}/f", "file://"):
        with pytest.raises(SourceNotFound):
            parse_source(text)
    with pytest.raises(SourceUnsupported, match="ftp://"):
        parse_source("ftp://example.org/x")


def tar_bytes() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        entry = tarfile.TarInfo("./sub/run.sh")
        entry.mode, entry.size, entry.uid = 0o755, 4, 4321
        archive.addfile(entry, io.BytesIO(b"true"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "sub/run.sh"
        archive.addfile(link)
    return raw.getvalue()


def zip_bytes(**extra: str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("sub/run.sh", (2020, 1, 2, 3, 4, 6))
        entry.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(entry, "true")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "sub/run.sh")
        for name, content in extra.items():
            archive.writestr(name, content)
    return raw.getvalue()


@pytest.mark.parametrize("raw", [tar_bytes(), gzip.compress(tar_bytes()), zip_bytes()], ids=["tar", "tgz", "zip"])
@pytest.mark.parametrize("through", ["file", "stdin"])
def test_archive_becomes_a_directory_that_goes_away(tmp_path: Path, raw: bytes, through: str) -> None:
    (tmp_path / "app").write_bytes(raw)
    place = parse_source("-" if through == "stdin" else str(tmp_path / "app"))
    with open_source(place, tmp_path / "scratch", stdin=io.BytesIO(raw)) as directory:
        assert (directory / "sub" / "run.sh").read_text() == "true"
        assert stat.S_IMODE((directory / "sub" / "run.sh").stat().st_mode) == 0o755
        assert (directory / "sub" / "run.sh").stat().st_uid == os.geteuid()
        assert os.readlink(directory / "link") == "sub/run.sh"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_deep_archive_with_closed_directories_goes_away_too(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for depth in (1, 1500):
            entry = tarfile.TarInfo("/".join(["d"] * depth))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o000 if depth == 1 else 0o755
            archive.addfile(entry)
    with open_source(StdinSource(), tmp_path / "scratch", stdin=io.BytesIO(raw.getvalue())) as directory:
        assert directory.is_dir()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_directory_is_handed_out_as_it_is(tmp_path: Path) -> None:
    with open_source(DirectorySource(tmp_path), tmp_path / "scratch") as directory:
        assert directory == tmp_path
    assert not (tmp_path / "scratch").exists()


def unpack(tmp_path: Path, raw: bytes) -> None:
    with open_source(StdinSource(), tmp_path / "scratch", stdin=io.BytesIO(raw)):
        pass


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "it is empty"),
        (b"<html>not an archive</html>" * 100, "neither a tar nor a zip"),
        (tar_bytes()[:700], "cannot be unpacked"),
        (gzip.compress(tar_bytes())[:60], "cannot be unpacked"),
        (zip_bytes()[:80], "cannot be unpacked"),
    ],
    ids=["empty", "html", "cut-tar", "cut-gzip", "cut-zip"],
)
def test_damaged_archive_is_an_error_and_leaves_nothing(tmp_path: Path, raw: bytes, why: str) -> None:
    with pytest.raises(BadArchive, match=why):
        unpack(tmp_path, raw)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_zip_entry_that_leaves_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadArchive, match="leaves the source directory"):
        unpack(tmp_path, zip_bytes(**{name: "x"}))
    assert not (tmp_path / "scratch" / "evil").exists()


def test_zip_entry_beneath_a_link_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, target in (("l", str(outside)), ("l/evil", "x")):
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, target)
    with pytest.raises(BadArchive, match="beneath a link"):
        unpack(tmp_path, raw.getvalue())
    assert list(outside.iterdir()) == []


def test_zip_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive, pytest.warns(UserWarning):
        archive.writestr("a", "1")
        archive.writestr("a", "2")
    with pytest.raises(BadArchive, match="two entries of one name"):
        unpack(tmp_path, raw.getvalue())


def test_zip_bomb_is_refused(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for at in range(40):
            archive.writestr(f"z{at}", bytes(32 << 20))
    with pytest.raises(BadArchive, match="too large"):
        unpack(tmp_path, raw.getvalue())


def git(path: Path, *words: str) -> str:
    env = {
        **os.environ,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(["git", "-C", str(path), *words], env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_revision_of_a_work_tree(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    assert read_revision(app) is None
    git(app, "init", "-q", "-b", "feature/x")
    assert read_revision(app) is None
    git(app, "commit", "-q", "--allow-empty", "-m", "one")
    git(app, "remote", "add", "origin", "https://user:secret@git.example:8443/team/app.git")
    commit = git(app, "rev-parse", "HEAD")
    found = read_revision(app)
    assert found is not None
    assert (found.commit, found.branch, found.url) == (commit, "feature/x", "https://git.example:8443/team/app.git")
    git(app, "pack-refs", "--all")
    assert read_revision(app) == found
    git(app, "worktree", "add", "-q", str(tmp_path / "other"), "-b", "other")
    other = read_revision(tmp_path / "other")
    assert other is not None
    assert (other.commit, other.branch, other.url) == (commit, "other", found.url)
    git(app, "checkout", "-q", "--detach")
    detached = read_revision(app)
    assert detached is not None
    assert (detached.commit, detached.branch) == (commit, "")


def test_broken_git_directory_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for head in ("", "ref: refs/../../x", "ref: /etc/passwd", "nonsense"):
        (tmp_path / ".git" / "HEAD").write_text(head)
        assert read_revision(tmp_path) is None


def test_credentials_leave_urls() -> None:
    assert without_credentials("https://u:p@h/x?token=y#z") == "https://h/x"
    assert without_credentials("git@github.com:a/b.git") == "git@github.com:a/b.git"
    assert without_credentials("https://h:port/x") == ""
