from __future__ import annotations

import hashlib
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.events import Message, RecordingSink
from lifecycle.source.directory import Manifest, copy_directory
from lifecycle.source.errors import CopyFailed, SourceChanged, SourceNotFound, SourceUnreadable
from lifecycle.source.ignore import Filter


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    path.mkdir()
    return path


def listing(root: Path) -> list[str]:
    return sorted(
        str(place.relative_to(root)) + ("/" if place.is_dir() and not place.is_symlink() else "")
        for place in root.rglob("*")
    )


def state(root: Path) -> list[tuple[str, int, int, int, str]]:
    """Everything about a tree that a write to it would change."""
    found = []
    for place in [root, *sorted(root.rglob("*"))]:
        status = place.lstat()
        content = hashlib.sha256(place.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
        found.append((str(place), status.st_mode, status.st_mtime_ns, status.st_ctime_ns, content))
    return found


def test_contents_modes_times_and_links_are_kept(app: Path, tmp_path: Path) -> None:
    (app / "sub").mkdir(mode=0o750)
    (app / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (app / "sub" / "run.sh").chmod(0o755)
    (app / "link").symlink_to("sub/run.sh")
    (app / "empty").mkdir()
    os.utime(app / "sub" / "run.sh", ns=(1_000_000_007, 1_000_000_007))
    os.utime(app / "sub", ns=(5, 2_000_000_003))
    before = state(app)
    found = copy_directory(app, tmp_path / "out")
    out = tmp_path / "out"
    assert listing(out) == ["empty/", "link", "sub/", "sub/run.sh"]
    assert (out / "sub" / "run.sh").stat().st_mode == (app / "sub" / "run.sh").stat().st_mode
    assert (out / "sub" / "run.sh").stat().st_mtime_ns == 1_000_000_007
    assert (out / "sub").stat().st_mtime_ns == 2_000_000_003
    assert stat.S_IMODE((out / "sub").stat().st_mode) == 0o750
    assert os.readlink(out / "link") == "sub/run.sh"
    assert (found.files, found.directories, found.links, found.size) == (1, 2, 1, 10)
    assert state(app) == before


def test_hard_links_stay_links(app: Path, tmp_path: Path) -> None:
    (app / "a").write_bytes(b"x" * 100)
    os.link(app / "a", app / "b")
    found = copy_directory(app, tmp_path / "out")
    assert (tmp_path / "out" / "a").stat().st_ino == (tmp_path / "out" / "b").stat().st_ino
    assert (found.files, found.size) == (2, 100)
    assert (tmp_path / "out" / "a").stat().st_ino != (app / "a").stat().st_ino


def test_hole_stays_a_hole(app: Path, tmp_path: Path) -> None:
    with open(app / "sparse", "wb") as file:
        file.seek(3 << 30)
        file.write(b"end")
    with open(app / "hole", "wb") as file:
        file.truncate(1 << 40)
    found = copy_directory(app, tmp_path / "out")
    copied = (tmp_path / "out" / "sparse").stat()
    assert copied.st_size == (3 << 30) + 3
    assert copied.st_blocks * 512 < 2 << 20
    with open(tmp_path / "out" / "sparse", "rb") as file:
        file.seek(3 << 30)
        assert file.read() == b"end"
    assert (tmp_path / "out" / "hole").stat().st_size == 1 << 40
    assert found.size == (1 << 40) + (3 << 30) + 3


def test_hole_and_written_zeros_have_one_digest(app: Path, tmp_path: Path) -> None:
    (app / "f").write_bytes(bytes(1 << 20))
    written = copy_directory(app, tmp_path / "one").digest
    (app / "f").unlink()
    with open(app / "f", "wb") as file:
        file.truncate(1 << 20)
    assert copy_directory(app, tmp_path / "two").digest == written


@pytest.mark.parametrize("size", [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 1_000_003])
def test_bytes_are_the_same_around_chunk_borders(app: Path, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (app / "f").write_bytes(data)
    copy_directory(app, tmp_path / "out")
    assert (tmp_path / "out" / "f").read_bytes() == data


def test_special_files_are_left_out_and_named(app: Path, tmp_path: Path) -> None:
    os.mkfifo(app / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        old = os.getcwd()
        os.chdir(app)
        try:
            server.bind("sock")
        finally:
            os.chdir(old)
        sink = RecordingSink()
        found = copy_directory(app, tmp_path / "out", sink=sink)
    assert found.skipped == ("pipe (FIFO)", "sock (socket)")
    (event,) = sink.events
    assert isinstance(event, Message)
    assert event.level == "warning"
    assert "pipe (FIFO), sock (socket)" in event.text
    assert listing(tmp_path / "out") == []


def test_link_out_of_the_tree_is_kept_with_a_warning(app: Path, tmp_path: Path) -> None:
    (app / "sub").mkdir()
    (app / "sub" / "up").symlink_to("../../secret")
    (app / "abs").symlink_to("/etc/passwd")
    (app / "sub" / "in").symlink_to("../abs")
    sink = RecordingSink()
    found = copy_directory(app, tmp_path / "out", sink=sink)
    assert found.outward_links == ("abs", "sub/up")
    assert os.readlink(tmp_path / "out" / "abs") == "/etc/passwd"
    assert os.readlink(tmp_path / "out" / "sub" / "up") == "../../secret"
    assert len(sink.events) == 1


def test_names_that_are_not_utf8_are_kept(app: Path, tmp_path: Path) -> None:
    name = b"caf\xe9\n\xff"
    with open(os.path.join(os.fsencode(app), name), "wb") as file:
        file.write(b"x")
    copy_directory(app, tmp_path / "out", filter=Filter.of(exclude=["*.x"]))
    assert os.listdir(os.fsencode(tmp_path / "out")) == [name]


def test_unreadable_file_is_named_with_the_fix(app: Path, tmp_path: Path, as_user: Callable[[], None]) -> None:
    (app / "secret").write_text("x")
    (app / "secret").chmod(0)
    as_user()
    with pytest.raises(SourceUnreadable, match=r"app/secret cannot be read.*Permission denied") as error:
        copy_directory(app, tmp_path / "out")
    assert "chmod" in error.value.fix


def test_unreadable_directory_is_named(app: Path, tmp_path: Path, as_user: Callable[[], None]) -> None:
    (app / "sub").mkdir(mode=0)
    as_user()
    with pytest.raises(SourceUnreadable, match="app/sub"):
        copy_directory(app, tmp_path / "out")


def test_excluded_unreadable_file_does_no_harm(app: Path, tmp_path: Path, as_user: Callable[[], None]) -> None:
    (app / "secret").write_text("x")
    (app / "secret").chmod(0)
    as_user()
    assert copy_directory(app, tmp_path / "out", filter=Filter.of(exclude=["secret"])).files == 0


@pytest.fixture
def as_user(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Become an ordinary user, as whom permissions count, until the test is over."""
    if os.geteuid() != 0:
        yield lambda: None
        return
    opened: list[tuple[Path, int]] = []

    def become() -> None:
        for place in [tmp_path, *tmp_path.parents][:-1]:
            mode = stat.S_IMODE(place.stat().st_mode)
            if mode & 0o005 != 0o005:
                opened.append((place, mode))
                place.chmod(mode | 0o055)
        tmp_path.chmod(0o777)
        os.seteuid(65534)

    yield become
    os.seteuid(0)
    for place, mode in opened:
        place.chmod(mode)


def test_file_that_vanishes_is_named(app: Path, tmp_path: Path) -> None:
    (app / "a").write_text("x")
    (app / "b").write_text("x")

    class Vanishing(Filter):
        def takes(self, path: str, is_dir: bool, inherited: bool) -> tuple[bool, bool]:
            if path == "b":
                (app / "b").unlink()
            return True, is_dir

    everything = Filter.of()
    with pytest.raises(SourceChanged, match="app/b vanished"):
        copy_directory(app, tmp_path / "out", filter=Vanishing(everything.exclude))


def test_file_that_becomes_a_link_is_not_followed(app: Path, tmp_path: Path) -> None:
    (app / "b").write_text("x")

    class Swapping(Filter):
        def takes(self, path: str, is_dir: bool, inherited: bool) -> tuple[bool, bool]:
            (app / "b").unlink()
            (app / "b").symlink_to("/etc/passwd")
            return True, is_dir

    with pytest.raises(SourceChanged):
        copy_directory(app, tmp_path / "out", filter=Swapping(Filter.of().exclude))
    assert not (tmp_path / "out" / "b").exists()


def copied(app: Path, out: Path, **lists: list[str]) -> list[str]:
    copy_directory(app, out, filter=Filter.of(**lists))
    return listing(out)


@pytest.fixture
def project(app: Path) -> Path:
    for name in ("main.py", "README.md", "src/a.py", "src/data/x.bin", "docs/i.md", ".git/HEAD", "sub/.git"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(name)
    return app


def test_git_directory_is_left_out(project: Path, tmp_path: Path) -> None:
    assert copied(project, tmp_path / "out") == [
        "README.md",
        "docs/",
        "docs/i.md",
        "main.py",
        "src/",
        "src/a.py",
        "src/data/",
        "src/data/x.bin",
        "sub/",
    ]


def test_git_directory_comes_when_asked_for(project: Path, tmp_path: Path) -> None:
    assert ".git/HEAD" in copied(project, tmp_path / "one", exclude=["!.git"])
    assert copied(project, tmp_path / "two", include=["/.git"]) == [".git/", ".git/HEAD"]


def test_exclude_takes_all_but(project: Path, tmp_path: Path) -> None:
    assert copied(project, tmp_path / "out", exclude=["*.md", "data/", "sub", "!docs/i.md"]) == [
        "docs/",
        "docs/i.md",
        "main.py",
        "src/",
        "src/a.py",
    ]


def test_include_takes_only_and_makes_no_empty_directories(project: Path, tmp_path: Path) -> None:
    assert copied(project, tmp_path / "out", include=["*.bin", "main.py"]) == [
        "main.py",
        "src/",
        "src/data/",
        "src/data/x.bin",
    ]


def test_include_of_a_directory_takes_what_is_in_it(project: Path, tmp_path: Path) -> None:
    assert copied(project, tmp_path / "out", include=["src/", "!*.bin"]) == ["src/", "src/a.py", "src/data/"]


def test_digest_names_the_content_and_nothing_else(app: Path, tmp_path: Path) -> None:
    def taken() -> Manifest:
        return copy_directory(app, tmp_path / os.urandom(4).hex())

    (app / "a").write_text("1")
    first = taken()
    os.utime(app / "a", (1, 1))
    assert taken().digest == first.digest
    (app / "a").chmod(0o755)
    executable = taken().digest
    (app / "a").write_text("2")
    changed = taken().digest
    (app / "a").rename(app / "b")
    renamed = taken().digest
    (app / "c").mkdir()
    assert len({first.digest, executable, changed, renamed, taken().digest}) == 5


def test_destination_inside_the_source_is_not_copied_into_itself(app: Path) -> None:
    (app / "f").write_text("x")
    found = copy_directory(app, app / "state" / "out")
    assert listing(app / "state" / "out") == ["f", "state/"]
    assert found.skipped == ("state/out (the copy itself)",)


def test_source_must_be_a_directory(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="does not exist"):
        copy_directory(tmp_path / "none", tmp_path / "out")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_everything_is_given_to_the_owner_and_setuid_survives(app: Path, tmp_path: Path) -> None:
    (app / "d").mkdir()
    (app / "d" / "f").write_text("x")
    (app / "d" / "f").chmod(0o4755)
    (app / "l").symlink_to("d")
    out = tmp_path / "out"
    copy_directory(app, out, owner=(1234, 2345))
    for place in (out, out / "d", out / "d" / "f", out / "l"):
        assert (place.lstat().st_uid, place.lstat().st_gid) == (1234, 2345)
    assert stat.S_IMODE((out / "d" / "f").stat().st_mode) == 0o4755


def test_deep_tree_is_copied_without_recursion(app: Path, tmp_path: Path) -> None:
    deep = os.fsencode(app)
    for _ in range(900):
        deep += b"/d"
        os.mkdir(deep)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        found = copy_directory(app, tmp_path / "out")
    finally:
        sys.setrecursionlimit(limit)
    assert found.directories == 900


def test_destination_that_cannot_be_written_is_an_error(app: Path, tmp_path: Path) -> None:
    (app / "f").write_text("x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "f").write_text("in the way")
    with pytest.raises(CopyFailed, match="File exists"):
        copy_directory(app, tmp_path / "out")
