"""Unpacking: what a benign archive becomes on disk. Hostile ones are in test_hostile.py."""

from __future__ import annotations

import io
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.archive import Entry, Extracted, Kind, Member, Ownership, Whiteouts, extract, read_tar, walk, write_tar

OWNERSHIP = Ownership.KEEP if os.geteuid() == 0 else Ownership.SELF


def file(name: str, data: bytes = b"", mode: int = 0o644) -> Member:
    return Entry(name.encode(), Kind.FILE, mode, os.geteuid(), os.getegid(), len(data)), data


def folder(name: str, mode: int = 0o755) -> Member:
    return Entry(name.encode(), Kind.DIR, mode, os.geteuid(), os.getegid()), None


def link(name: str, target: str) -> Member:
    return Entry(name.encode(), Kind.SYMLINK, 0o777, os.geteuid(), os.getegid(), linkname=target.encode()), None


def hard(name: str, target: str) -> Member:
    return Entry(name.encode(), Kind.HARDLINK, linkname=target.encode()), None


def tar(*members: Member) -> io.BytesIO:
    out = io.BytesIO()
    write_tar(members, out)
    out.seek(0)
    return out


def unpack(root: Path, *members: Member, whiteouts: Whiteouts = Whiteouts.APPLY, at: bytes = b"") -> Extracted:
    return extract(tar(*members), root, ownership=OWNERSHIP, whiteouts=whiteouts, at=at)


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_files_directories_and_links_appear_with_mode_and_time(tmp_path: Path) -> None:
    done = unpack(
        tmp_path,
        folder("d", 0o2750),
        file("d/run", b"#!/bin/sh\n", 0o4755),
        link("d/soft", "run"),
        hard("d/hard", "d/run"),
        (Entry(b"d/pipe", Kind.FIFO, 0o620, os.geteuid(), os.getegid()), None),
    )
    assert done.entries == 5
    assert done.size == 10
    run = (tmp_path / "d/run").stat()
    assert stat.S_IMODE(run.st_mode) == 0o4755
    assert run.st_mtime == 315532801
    assert run.st_nlink == 2
    assert (tmp_path / "d").stat().st_mtime == 315532801
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o2750
    assert os.readlink(tmp_path / "d/soft") == "run"
    assert (tmp_path / "d/soft").lstat().st_mtime == 315532801
    assert stat.S_ISFIFO((tmp_path / "d/pipe").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "d/pipe").stat().st_mode) == 0o620


def test_a_read_only_directory_is_filled_first(tmp_path: Path) -> None:
    unpack(tmp_path, folder("d", 0o555), file("d/f", b"x"))
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o555
    assert (tmp_path / "d/f").read_bytes() == b"x"


def test_missing_parents_are_made_and_named(tmp_path: Path) -> None:
    done = unpack(tmp_path, file("a/b/c", b"x"))
    assert done.implied == (b"a", b"a/b")
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o755


def test_a_parent_that_comes_later_is_not_implied(tmp_path: Path) -> None:
    done = unpack(tmp_path, file("a/f", b"x"), folder("a", 0o700))
    assert done.implied == ()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_unpacking_beneath_at(tmp_path: Path) -> None:
    unpack(tmp_path, file("f", b"x"), at=b"/layers/x")
    assert listing(tmp_path) == ["layers", "layers/x", "layers/x/f"]


def test_a_later_entry_replaces_an_earlier_one_of_another_kind(tmp_path: Path) -> None:
    unpack(
        tmp_path,
        folder("a"),
        file("a/deep", b"1"),
        link("a", "nowhere"),
        folder("a"),
        file("a/new", b"2"),
        file("a", b"3"),
    )
    assert listing(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"3"


def test_a_replaced_file_does_not_change_its_other_names(tmp_path: Path) -> None:
    unpack(tmp_path, file("a", b"old"), hard("b", "a"))
    unpack(tmp_path, file("a", b"new"))
    assert (tmp_path / "b").read_bytes() == b"old"


def test_a_directory_joins_a_directory(tmp_path: Path) -> None:
    unpack(tmp_path, folder("a"), file("a/lower", b"1"))
    unpack(tmp_path, folder("a", 0o700), file("a/upper", b"2"))
    assert listing(tmp_path) == ["a", "a/lower", "a/upper"]


def test_a_name_through_a_link_lands_where_the_link_leads(tmp_path: Path) -> None:
    unpack(tmp_path, folder("usr"), folder("usr/bin"), link("bin", "usr/bin"), link("abs", "/usr/../usr/bin"))
    unpack(tmp_path, file("bin/sh", b"1"), file("abs/cat", b"2"))
    assert (tmp_path / "usr/bin/sh").read_bytes() == b"1"
    assert (tmp_path / "usr/bin/cat").read_bytes() == b"2"
    assert (tmp_path / "bin").is_symlink()


def test_report_names_every_entry_made(tmp_path: Path) -> None:
    seen: list[bytes] = []
    stream = tar(folder("d"), file("d/f"), file("d/.wh.gone"))
    extract(stream, tmp_path, ownership=OWNERSHIP, report=lambda entry: seen.append(entry.name))
    assert seen == [b"d", b"d/f"]


def test_whiteout_hides_lower_file_and_directory(tmp_path: Path) -> None:
    unpack(tmp_path, folder("d"), file("d/f"), folder("d/e"), file("d/e/g"), file("d/stays"))
    done = unpack(tmp_path, file("d/.wh.f"), file("d/.wh.e"), file("d/.wh.absent"))
    assert done.whiteouts == 3
    assert listing(tmp_path) == ["d", "d/stays"]


@pytest.mark.parametrize("first", [True, False])
def test_opaque_hides_lower_content_only_wherever_it_stands(tmp_path: Path, first: bool) -> None:
    unpack(tmp_path, folder("d"), file("d/lower"), folder("d/sub"), file("d/sub/lower"), folder("d/sub/gone"))
    marker, rest = [file("d/.wh..wh..opq")], [file("d/upper"), folder("d/sub"), file("d/sub/upper")]
    unpack(tmp_path, folder("d"), *(marker + rest if first else rest + marker))
    assert listing(tmp_path) == ["d", "d/sub", "d/sub/upper", "d/upper"]


@pytest.mark.parametrize("first", [True, False])
def test_whiteout_spares_what_the_same_layer_brings(tmp_path: Path, first: bool) -> None:
    unpack(tmp_path, folder("d"), file("d/lower"))
    marker, rest = [file(".wh.d")], [folder("d"), file("d/upper")]
    unpack(tmp_path, *(marker + rest if first else rest + marker))
    assert listing(tmp_path) == ["d", "d/upper"]


def test_opaque_through_a_link_spares_what_came_by_another_name(tmp_path: Path) -> None:
    unpack(tmp_path, folder("usr"), folder("usr/bin"), file("usr/bin/old"), link("bin", "usr/bin"))
    unpack(tmp_path, file("bin/new"), file("usr/bin/.wh..wh..opq"))
    assert (tmp_path / "usr/bin/new").exists()
    assert not (tmp_path / "usr/bin/old").exists()


def test_bookkeeping_of_aufs_is_left_out(tmp_path: Path) -> None:
    unpack(tmp_path, folder(".wh..wh.plnk"), file(".wh..wh.aufs"))
    assert listing(tmp_path) == []


def test_whiteouts_can_be_kept_as_files(tmp_path: Path) -> None:
    unpack(tmp_path, file(".wh.x"), file(".wh..wh..opq"), whiteouts=Whiteouts.KEEP)
    assert listing(tmp_path) == [".wh..wh..opq", ".wh.x"]


def test_a_deep_tree_is_made_and_removed_with_few_descriptors(tmp_path: Path) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, most))
    try:
        name = "/".join(["d"] * 400)
        unpack(tmp_path, file(f"{name}/f"), hard(f"{name}/g", f"{name}/f"), file("other"))
        unpack(tmp_path, file(".wh.d"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    assert listing(tmp_path) == ["other"]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    unpack(tmp_path, *(file(f"{n}/{n % 7}/{n}/f") for n in range(300)), link("s", "0/0"), file("s/x"), file("s"))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: ownership, devices and trusted attributes")
class TestAsRoot:
    def test_ownership_is_kept_and_setuid_survives_it(self, tmp_path: Path) -> None:
        members = [
            (Entry(b"f", Kind.FILE, 0o4755, 1234, 5678, 1), b"x"),
            (Entry(b"d", Kind.DIR, 0o1777, 12, 34), None),
            (Entry(b"l", Kind.SYMLINK, 0o777, 56, 78, linkname=b"f"), None),
        ]
        extract(tar(*members), tmp_path, ownership=Ownership.KEEP)
        found = {path.name: path.lstat() for path in tmp_path.iterdir()}
        assert (found["f"].st_uid, found["f"].st_gid, stat.S_IMODE(found["f"].st_mode)) == (1234, 5678, 0o4755)
        assert (found["d"].st_uid, found["d"].st_gid, stat.S_IMODE(found["d"].st_mode)) == (12, 34, 0o1777)
        assert (found["l"].st_uid, found["l"].st_gid) == (56, 78)

    def test_ownership_self_never_gives_away(self, tmp_path: Path) -> None:
        extract(tar((Entry(b"f", Kind.FILE, 0o644, 1234, 5678), b"")), tmp_path, ownership=Ownership.SELF)
        assert (tmp_path / "f").stat().st_uid == 0

    def test_devices_are_made(self, tmp_path: Path) -> None:
        extract(tar((Entry(b"null", Kind.CHAR, 0o666, dev_major=1, dev_minor=3), None)), tmp_path)
        status = (tmp_path / "null").stat()
        assert stat.S_ISCHR(status.st_mode)
        assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (1, 3)
        assert stat.S_IMODE(status.st_mode) == 0o666

    @pytest.mark.parametrize(
        ("mode", "attribute"),
        [(Whiteouts.OVERLAY_TRUSTED, "trusted.overlay.opaque"), (Whiteouts.OVERLAY_USER, "user.overlay.opaque")],
    )
    def test_whiteouts_become_those_of_overlayfs(self, xattr_dir: Path, mode: Whiteouts, attribute: str) -> None:
        root = xattr_dir
        unpack(root, folder("d"), file("d/.wh.gone"), folder("o"), file("o/.wh..wh..opq"), file("o/f"), whiteouts=mode)
        status = (root / "d/gone").lstat()
        assert stat.S_ISCHR(status.st_mode)
        assert status.st_rdev == 0
        assert os.getxattr(root / "o", attribute) == b"y"
        assert attribute not in os.listxattr(root / "d")
        assert (root / "o/f").exists()

    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("named", [True, False])
    def test_overlay_whiteout_of_a_directory_made_again_makes_it_opaque(
        self, xattr_dir: Path, first: bool, named: bool
    ) -> None:
        root = xattr_dir
        marker, rest = [file(".wh.d")], [folder("d")] * named + [file("d/new")]
        unpack(root, *(marker + rest if first else rest + marker), whiteouts=Whiteouts.OVERLAY_TRUSTED)
        assert os.getxattr(root / "d", "trusted.overlay.opaque") == b"y"
        assert listing(root) == ["d", "d/new"]

    def test_overlay_whiteout_gives_way_to_a_file_of_its_name(self, xattr_dir: Path) -> None:
        unpack(
            xattr_dir,
            file(".wh.f"),
            file("f", b"x"),
            file("g", b"y"),
            file(".wh.g"),
            whiteouts=Whiteouts.OVERLAY_TRUSTED,
        )
        assert (xattr_dir / "f").read_bytes() == b"x"
        assert (xattr_dir / "g").read_bytes() == b"y"

    def test_capabilities_and_user_attributes_travel(self, xattr_dir: Path, tmp_path: Path) -> None:
        capability = bytes.fromhex("0100000200200000000000000000000000000000")
        source = xattr_dir / "source"
        source.mkdir()
        (source / "ping").write_bytes(b"x")
        os.setxattr(source / "ping", "security.capability", capability)
        os.setxattr(source / "ping", "user.note", b"a=b\n\0c")
        os.setxattr(source, "user.dir", b"1")
        copy = xattr_dir / "copy"
        copy.mkdir()
        done = extract(tar(*walk(source)), copy)
        assert done.dropped_xattrs == ()
        assert os.getxattr(copy / "ping", "security.capability") == capability
        assert os.getxattr(copy / "ping", "user.note") == b"a=b\n\0c"
        assert os.getxattr(copy, "user.dir") == b"1"

    def test_attributes_of_overlayfs_and_foreign_labels_are_dropped_and_counted(self, xattr_dir: Path) -> None:
        xattrs = ((b"security.selinux", b"x"), (b"trusted.overlay.redirect", b"/"), (b"user.ok", b"1"))
        done = extract(tar((Entry(b"d", Kind.DIR, xattrs=xattrs), None)), xattr_dir)
        assert done.dropped_xattrs == (("security.selinux", 1), ("trusted.overlay.redirect", 1))
        assert os.listxattr(xattr_dir / "d") == ["user.ok"]


@pytest.fixture
def xattr_dir(tmp_path: Path) -> Path:
    """A directory whose file system takes user attributes (old tmpfs does not)."""
    try:
        os.setxattr(tmp_path, "user.probe", b"1")
    except OSError as error:
        pytest.skip(f"no extended attributes in {tmp_path}: {error}")
    os.removexattr(tmp_path, "user.probe")
    return tmp_path


def test_walk_and_extract_are_inverse(tmp_path: Path) -> None:
    source, copy = tmp_path / "a", tmp_path / "b"
    copy.mkdir()
    build: list[Callable[[], object]] = [
        lambda: (source / "sub/deep").mkdir(parents=True),
        lambda: (source / "sub/empty").touch(),
        lambda: (source / "sub/deep/big").write_bytes(os.urandom(3 << 20)),
        lambda: os.link(source / "sub/empty", source / "another"),
        lambda: os.symlink("sub/deep", source / "link"),
        lambda: os.mkfifo(source / "pipe"),
        lambda: Path(os.fsdecode(os.fsencode(source) + b"/\xff\xfe")).write_bytes(b"not UTF-8"),
        lambda: (source / ("n" * 200)).write_bytes(b"long"),
        lambda: (source / "sub").chmod(0o2711),
    ]
    for step in build:
        step()
    first = tar(*walk(source))
    extract(io.BytesIO(first.getvalue()), copy, ownership=OWNERSHIP)
    assert tar(*walk(copy)).getvalue() == first.getvalue()
    assert [entry.name for entry, _ in read_tar(first)] == [entry.name for entry, _ in walk(source)]
