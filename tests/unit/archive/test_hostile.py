"""Archives made to do harm, or broken: each ends in a clear error or stays inside the root."""

from __future__ import annotations

import gzip
import io
import os
import resource
import stat
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lifecycle.archive import (
    Entry,
    Kind,
    Limits,
    Member,
    Ownership,
    Whiteouts,
    decompress,
    extract,
    read_tar,
    write_tar,
)
from lifecycle.archive.errors import (
    BadCompression,
    BadHeader,
    BadLink,
    ExtractFailed,
    LimitExceeded,
    NotATar,
    TruncatedArchive,
    UnsafeEntry,
    UnsupportedEntry,
)
from lifecycle.errors import PylifeError

ME: dict[str, Any] = {"uid": os.geteuid(), "gid": os.getegid()}


def header(name: bytes = b"x", size: bytes = b"00000000000\0", flag: bytes = b"0", link: bytes = b"") -> bytes:
    """One raw header with a good checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"0000644\0%07o\0%07o\0" % (os.geteuid(), os.getegid())
    block[124:136] = size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = flag
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\00000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def octal(size: int) -> bytes:
    return b"%011o\0" % size


def base256(size: int) -> bytes:
    return (size & (1 << 95) - 1 | 1 << 95).to_bytes(12, "big")


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(records: bytes, flag: bytes = b"x") -> bytes:
    return header(b"pax", octal(len(records)), flag) + padded(records)


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body


END = bytes(1024)


def tar(*members: Member) -> bytes:
    out = io.BytesIO()
    write_tar(members, out)
    return out.getvalue()


def unpack(data: bytes, root: Path, **options: Any) -> Any:
    return extract(io.BytesIO(data), root, ownership=Ownership.SELF, **options)


def read(data: bytes, limits: Limits | None = None) -> list[Entry]:
    return [entry for entry, _ in read_tar(io.BytesIO(data), limits)]


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    """A root beside a file that must never change."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_bytes(b"precious")
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture(autouse=True)
def nothing_outside_changes(tmp_path: Path) -> Any:
    yield
    outside = tmp_path / "outside"
    if outside.exists():
        assert os.listdir(outside) == ["precious"]
        assert (outside / "precious").read_bytes() == b"precious"
        assert (outside / "precious").stat().st_nlink == 1


# -- names that lead out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"../evil", b"a/../../evil", b"a/..", b"..", b"/../evil", b"./../evil", b"a/../b"])
@pytest.mark.parametrize("flag", [b"0", b"5", b"2", b"1"])
def test_dot_dot_is_refused(jail: Path, name: bytes, flag: bytes) -> None:
    with pytest.raises(UnsafeEntry):
        unpack(header(name, flag=flag, link=b"x") + END, jail)
    assert os.listdir(jail.parent) in (["outside", "root"], ["root", "outside"])


def test_absolute_names_stay_inside(jail: Path) -> None:
    unpack(header(b"/etc/passwd") + header(b"//tmp//./x") + END, jail)
    assert sorted(str(p.relative_to(jail)) for p in jail.rglob("*")) == ["etc", "etc/passwd", "tmp", "tmp/x"]


@pytest.mark.parametrize("target", ["../outside", "/../../outside", "../../../../../../../..", "{outside}"])
def test_a_write_through_a_link_stays_inside(jail: Path, target: str) -> None:
    target = target.format(outside=jail.parent / "outside")
    link = Entry(b"link", Kind.SYMLINK, linkname=target.encode(), **ME), None
    unpack(tar(link, (Entry(b"link/precious", Kind.FILE, size=4, **ME), b"evil")), jail)
    found = [path for path in jail.rglob("precious") if not path.is_symlink()]
    assert [path.read_bytes() for path in found] == [b"evil"]


def test_a_link_where_a_file_goes_is_replaced_not_followed(jail: Path) -> None:
    os.symlink(jail.parent / "outside/precious", jail / "config")
    unpack(tar((Entry(b"config", Kind.FILE, size=4, **ME), b"evil")), jail)
    assert not (jail / "config").is_symlink()


def test_a_link_where_a_directory_goes_is_replaced_not_followed(jail: Path) -> None:
    os.symlink(jail.parent / "outside", jail / "d")
    unpack(tar((Entry(b"d", Kind.DIR, 0o700, **ME), None), (Entry(b"d/precious", Kind.FILE, size=1, **ME), b"x")), jail)
    assert (jail / "d/precious").read_bytes() == b"x"


def test_a_directory_that_becomes_a_link_does_not_get_its_mode_through_it(jail: Path) -> None:
    before = (jail.parent / "outside").stat()
    directory = Entry(b"d", Kind.DIR, 0o000, **ME), None
    inner = Entry(b"d/precious", Kind.DIR, 0o000, **ME), None
    link = Entry(b"d", Kind.SYMLINK, linkname=os.fsencode(jail.parent / "outside"), **ME), None
    unpack(tar(directory, inner, link), jail)
    assert (jail.parent / "outside").stat().st_mode == before.st_mode
    assert stat.S_IMODE((jail.parent / "outside/precious").stat().st_mode) != 0


def test_whiteouts_through_a_link_delete_nothing_outside(jail: Path) -> None:
    os.symlink(jail.parent / "outside", jail / "d")
    unpack(
        tar((Entry(b"d/.wh.precious", Kind.FILE, **ME), b""), (Entry(b"d/.wh..wh..opq", Kind.FILE, **ME), b"")), jail
    )
    unpack(tar((Entry(b".wh.d", Kind.FILE, **ME), b"")), jail)
    assert not (jail / "d").is_symlink()


def test_a_tree_that_holds_a_link_is_removed_without_following_it(jail: Path) -> None:
    (jail / "d").mkdir()
    os.symlink(jail.parent / "outside", jail / "d/link")
    unpack(tar((Entry(b".wh.d", Kind.FILE, **ME), b"")), jail)
    assert os.listdir(jail) == []


def test_links_in_a_circle_are_refused(jail: Path) -> None:
    one = Entry(b"a", Kind.SYMLINK, linkname=b"b", **ME), None
    two = Entry(b"b", Kind.SYMLINK, linkname=b"a", **ME), None
    with pytest.raises(UnsafeEntry, match="circles"):
        unpack(tar(one, two, (Entry(b"a/f", Kind.FILE, **ME), b"")), jail)


# -- hard links ------------------------------------------------------------------------------------------------------


def test_hard_links_out_of_the_tree_are_refused(jail: Path) -> None:
    for target in (b"../outside/precious", b"a/../../outside/precious"):
        with pytest.raises(UnsafeEntry):
            unpack(header(b"x", flag=b"1", link=target) + END, jail)


def test_an_absolute_hard_link_means_inside(jail: Path) -> None:
    outside = os.fsencode(jail.parent / "outside/precious")
    with pytest.raises(BadLink, match="not in the tree"):
        unpack(header(b"x", flag=b"1", link=outside) + END, jail)


def test_a_hard_link_through_a_symbolic_link_stays_inside(jail: Path) -> None:
    os.symlink(jail.parent / "outside", jail / "d")
    with pytest.raises(BadLink):
        unpack(header(b"x", flag=b"1", link=b"d/precious") + END, jail)


def test_a_hard_link_to_a_symbolic_link_links_the_link(jail: Path) -> None:
    os.symlink(jail.parent / "outside/precious", jail / "s")
    unpack(header(b"x", flag=b"1", link=b"s") + header(b"x") + END, jail)
    assert (jail / "x").lstat().st_size == 0


def test_a_hard_link_to_itself_changes_nothing(jail: Path) -> None:
    unpack(tar((Entry(b"f", Kind.FILE, size=1, **ME), b"x"), (Entry(b"f", Kind.HARDLINK, linkname=b"f"), None)), jail)
    assert (jail / "f").read_bytes() == b"x"


def test_hard_links_to_directories_are_refused(jail: Path) -> None:
    with pytest.raises(BadLink):
        unpack(tar((Entry(b"d", Kind.DIR, **ME), None), (Entry(b"e", Kind.HARDLINK, linkname=b"d"), None)), jail)


# -- odd entries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh...", b"d/.wh.", b"d/.wh..", b"d/.wh..."])
@pytest.mark.parametrize("mode", [Whiteouts.APPLY, Whiteouts.OVERLAY_TRUSTED])
def test_whiteouts_of_no_name_are_refused(jail: Path, name: bytes, mode: Whiteouts) -> None:
    (jail / "kept").touch()
    with pytest.raises(UnsafeEntry):
        unpack(header(name) + END, jail, whiteouts=mode)
    assert (jail / "kept").exists()


def test_a_component_longer_than_a_file_name_is_refused(jail: Path) -> None:
    for name in (b"n" * 256, b"d/" + b"n" * 256 + b"/f"):
        with pytest.raises(UnsafeEntry, match="too long"):
            unpack(tar((Entry(name, Kind.FILE, **ME), b"")), jail)


def test_a_name_with_a_nul_is_refused(jail: Path) -> None:
    with pytest.raises(BadHeader, match="NUL"):
        unpack(pax(record(b"path", b"a\0b")) + header() + END, jail)


def test_a_file_where_a_directory_is_needed_is_refused(jail: Path) -> None:
    with pytest.raises(ExtractFailed, match="it is a file"):
        unpack(tar((Entry(b"f", Kind.FILE, **ME), b""), (Entry(b"f/g", Kind.FILE, **ME), b"")), jail)


def test_the_root_can_only_be_a_directory(jail: Path) -> None:
    with pytest.raises(UnsafeEntry):
        unpack(header(b"./", flag=b"2", link=b"x") + END, jail)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnsupportedEntry, match="type flag is M"):
        read(header(flag=b"M") + END)


def test_devices_that_may_not_be_made_are_skipped_and_named(jail: Path) -> None:
    device = Entry(b"null", Kind.CHAR, 0o666, dev_major=1, dev_minor=3, **ME), None
    data = tar(device, (Entry(b"after", Kind.FILE, **ME), b""))
    done = in_child_as_nobody(jail, data) if os.geteuid() == 0 else unpack(data, jail).skipped_devices
    assert done == (b"null",)
    assert os.listdir(jail) == ["after"]


def in_child_as_nobody(root: Path, data: bytes) -> tuple[bytes, ...]:
    """What an unprivileged process skips of ``data``."""
    for path in (root, *root.parents):
        if path.owner() == "root" and path != Path("/") and path != Path("/tmp") and not path.stat().st_mode & 1:
            path.chmod(path.stat().st_mode | 0o011)
    os.chown(root, 65534, 65534)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            done = unpack(data, root)
            os.write(writing, b"\n".join(done.skipped_devices))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return tuple(answer.split(b"\n")) if answer else ()


# -- broken archives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<!DOCTYPE html>" + b"x" * 2000, os.urandom(4096), b"PK\3\4" + bytes(600)]
)
def test_what_is_not_a_tar_is_called_so(data: bytes) -> None:
    with pytest.raises(NotATar):
        read(data)


def test_a_wrong_checksum_is_found() -> None:
    good = tar((Entry(b"a", Kind.FILE), b""), (Entry(b"b", Kind.FILE), b""))
    for position in (0, 108, 130, 156, 200, 400):
        bad = bytearray(good)
        bad[512 + position] ^= 1
        with pytest.raises(BadHeader, match="checksum"):
            read(bytes(bad))


@pytest.mark.parametrize("form", [b"%06o\0 ", b"%07o\0", b"%6o\0 ", b"%6o \0", b"%7o ", b"%08o"])
def test_every_way_of_writing_a_checksum_is_read(form: bytes) -> None:
    """GNU tar writes six digits, git archive seven, old programs spaces before them."""
    block = bytearray(header(b"name"))
    block[148:156] = form % int(block[148:154], 8)
    assert [entry.name for entry in read(bytes(block))] == [b"name"]


def test_every_truncation_is_an_error_or_a_clean_end() -> None:
    big = Entry(b"big", Kind.FILE, size=3 << 19), bytes(3 << 19)
    whole = pax(record(b"path", b"p" * 200)) + header() + tar((Entry(b"f", Kind.FILE, size=700), b"y" * 700), big)
    entries = len(read(whole))
    clean = {2048 - 512, 2048 + 512 + 1024 - 512}
    for length in [*range(1, 5000, 37), len(whole) - 2000, *sorted(clean)]:
        try:
            assert len(read(whole[:length])) <= entries
            assert length % 512 == 0
        except (TruncatedArchive, NotATar):
            pass


def test_a_file_cut_short_is_an_error() -> None:
    whole = tar((Entry(b"f", Kind.FILE, size=2 << 20), bytes(2 << 20)))
    with pytest.raises(TruncatedArchive):
        read(whole[: 1 << 20])


@pytest.mark.parametrize(
    "size",
    [base256(-1), base256(-(1 << 90)), base256(1 << 62), base256(1 << 90), b"-0000000001\0", b"zzzzzzzzzzz\0"],
)
def test_impossible_sizes_are_refused(size: bytes) -> None:
    with pytest.raises(BadHeader):
        read(header(size=size) + END)


@pytest.mark.parametrize("value", [b"-5", b"1e9", b"99999999999999999999999", b"0x10", "٣".encode()])
@pytest.mark.parametrize("key", [b"size", b"uid", b"gid"])
def test_impossible_numbers_in_records_are_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(BadHeader):
        read(pax(record(key, value)) + header() + END)


@pytest.mark.parametrize(
    "records", [b"9 path=a", b"x path=a\n", b"99 path=a\n", b"0 path=a\n", b"5 p\n", b"12 pathabcd\n"]
)
def test_malformed_records_are_refused(records: bytes) -> None:
    with pytest.raises(BadHeader):
        read(pax(records) + header() + END)


def test_an_extended_header_at_the_end_is_an_error() -> None:
    with pytest.raises(TruncatedArchive):
        read(pax(record(b"path", b"a")) + END)


@pytest.mark.parametrize("flag", [b"L", b"K", b"x", b"g"])
@pytest.mark.parametrize("size", [octal(4 << 30), base256(4 << 30), base256(1 << 61)])
def test_a_name_field_of_4_gib_fails_before_anything_is_allocated(flag: bytes, size: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded):
            read(header(b"././@LongLink", size, flag) + bytes(1 << 16))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_damaged_compression_is_called_so() -> None:
    data = gzip.compress(tar((Entry(b"f", Kind.FILE, size=5 << 20), os.urandom(5 << 20))), 1)
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0xFF
    for bad in (data[: len(data) // 2], data[:-4], data[:5], bytes(broken), data[:-8] + bytes(8)):
        with pytest.raises(BadCompression), decompress(io.BytesIO(bad)) as stream:
            for _, content in read_tar(stream):
                while content.read(1 << 20):
                    pass


# -- too much --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        (Limits(entries=2), header() * 3 + END),
        (Limits(name=50), header(b"n" * 51) + END),
        (Limits(name=50), pax(record(b"path", b"n" * 51)) + header() + END),
        (Limits(name=50), header(b"l", flag=b"2", link=b"n" * 51) + END),
        (Limits(pax=100), pax(record(b"comment", b"n" * 200)) + header() + END),
        (Limits(pax=200), b"".join(pax(record(b"k%d" % n, b"n" * 90), b"g") + header() for n in range(3)) + END),
        (Limits(xattrs=100), pax(record(b"SCHILY.xattr.user.a", b"n" * 200)) + header() + END),
        (Limits(unpacked=1000), (header(size=octal(512)) + bytes(512)) * 2 + END),
        (Limits(unpacked=1 << 40), header(size=base256(1 << 50)) + bytes(512)),
    ],
)
def test_limits_hold(limits: Limits, data: bytes) -> None:
    with pytest.raises(LimitExceeded):
        read(data, limits)


def test_a_bomb_is_stopped_by_its_ratio(jail: Path) -> None:
    plain = tar((Entry(b"zeros", Kind.FILE, size=24 << 20, **ME), bytes(24 << 20)))
    bomb = gzip.compress(plain, 1)
    limits = Limits(ratio=100, ratio_from=2 << 20)
    with pytest.raises(LimitExceeded, match="without measure"), decompress(io.BytesIO(bomb)) as stream:
        extract(stream, jail, ownership=Ownership.SELF, limits=limits)
    assert (jail / "zeros").stat().st_size < 16 << 20


def test_a_bomb_after_the_end_of_the_archive_is_stopped_too() -> None:
    bomb = gzip.compress(tar() + bytes(24 << 20), 1)
    with pytest.raises(LimitExceeded), decompress(io.BytesIO(bomb)) as stream:
        list(read_tar(stream, Limits(ratio=100, ratio_from=2 << 20)))


def test_a_full_disk_is_called_so_and_keeps_no_descriptor(jail: Path) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, most))
    before = len(os.listdir("/proc/self/fd"))
    try:
        with pytest.raises(ExtractFailed, match="big cannot be unpacked"):
            unpack(tar((Entry(b"big", Kind.FILE, size=3 << 20, **ME), bytes(3 << 20))), jail)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, most))
        signal.signal(signal.SIGXFSZ, handler)
    assert len(os.listdir("/proc/self/fd")) == before


def test_broken_maps_of_sparse_files_are_refused() -> None:
    def sparse(map_: bytes, stored: int, real: bytes = b"4096") -> bytes:
        records = record(b"GNU.sparse.map", map_) + record(b"GNU.sparse.size", real)
        return pax(records) + header(size=octal(stored)) + padded(bytes(stored)) + END

    assert len(read(sparse(b"0,512,1024,512", 1024))) == 1
    for bad in (
        b"512,512,0,512",
        b"0,512",
        b"0,512,4096,512",
        b"0,512,1024",
        b"0,-1",
        b"a,b",
        b"0,99999999999999999999",
    ):
        with pytest.raises(BadHeader):
            read(sparse(bad, 1024))
    old = bytearray(header(flag=b"S", size=octal(512)))
    old[257:265] = b"ustar  \0"
    old[386:410] = octal(1 << 20) + octal(512)
    old[483:495] = octal(100)
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    with pytest.raises(BadHeader):
        read(bytes(old) + bytes(512) + END)


def test_noise_never_gives_anything_but_our_errors(jail: Path) -> None:
    base = pax(record(b"path", b"d/e") + record(b"mtime", b"1.5")) + tar(
        (Entry(b"d", Kind.DIR, **ME), None),
        (Entry(b"d/f", Kind.FILE, size=5, **ME), b"hello"),
        (Entry(b"d/s", Kind.SYMLINK, linkname=b"f", **ME), None),
        (Entry(b"n" * 150, Kind.FILE, **ME), b""),
    )
    for seed in range(400):
        noisy = bytearray(base)
        for step in range(1 + seed % 3):
            at, value = struct.unpack("<IB", struct.pack("<IB", (seed * 2654435761 + step * 40503) % 2**32, seed % 256))
            noisy[at % len(base)] = value
        fix_checksums(noisy)
        with suppress(PylifeError):
            unpack(bytes(noisy), jail)


def fix_checksums(data: bytearray) -> None:
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
