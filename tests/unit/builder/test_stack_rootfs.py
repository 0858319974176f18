from __future__ import annotations

import io
import json
from typing import BinaryIO

import pytest

from lifecycle.archive import EPOCH_1980, Entry, Kind, Member, TarWriter, read_tar
from lifecycle.builder.definition import BadStack, User
from lifecycle.builder.rootfs import installed, rootfs_members

USER = User("cnb", 1000, 1001, "/home/cnb")
STATUS = b"""Package: zlib1g
Status: install ok installed
Version: 1:1.2
Description: text
 Version: 9

Package: gone
Status: deinstall ok config-files
Version: 1

Package: bash
Status: install ok installed
Version: 5.2
"""


def archive(*extra: Member, mtime: int = 1_700_000_000, today: bytes = b"20000") -> BinaryIO:
    out = io.BytesIO()
    writer = TarWriter(out)

    def add(name: str, data: bytes | None = None, kind: Kind = Kind.FILE, mode: int = 0o644) -> None:
        writer.add(Entry(name.encode(), kind, mode, size=len(data or b""), mtime=mtime), data)

    add(".", kind=Kind.DIR, mode=0o755)
    add("dev", kind=Kind.DIR, mode=0o755)
    writer.add(Entry(b"dev/null", Kind.CHAR, 0o666, dev_major=1, dev_minor=3), None)
    add("etc/hostname", b"buildhost\n")
    add("etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n")
    add("etc/group", b"root:x:0:\n")
    add("etc/shadow", b"root:*:" + today + b":0:99999:7:::\n")
    add("usr/bin/tool", b"#!/bin/sh\n", mode=0o4755)
    add("var/lib/dpkg/status", STATUS)
    for entry, content in extra:
        writer.add(entry, content)
    writer.finish()
    return io.BytesIO(out.getvalue())


def tree(stream: BinaryIO, *drop: str, run_packages: tuple[str, ...] = ()) -> dict[str, tuple[Entry, bytes]]:
    out = io.BytesIO()
    writer = TarWriter(out)
    for entry, content in rootfs_members(read_tar(stream), USER, drop, {}, run_packages):
        writer.add(entry, content)
    writer.finish()
    out.seek(0)
    return {entry.name.decode(): (entry, content.read()) for entry, content in read_tar(out)}


def test_what_belongs_to_one_machine_is_left_out() -> None:
    found = tree(archive(), "etc/hostname", "dev/*")
    assert "etc/hostname" not in found
    assert "dev" in found and "dev/null" not in found


def test_device_nodes_never_pass() -> None:
    assert "dev/null" not in tree(archive())


def test_user_is_known_in_every_account_file() -> None:
    found = tree(archive())
    assert found["etc/passwd"][1].splitlines()[-1] == b"cnb:x:1000:1001::/home/cnb:/bin/bash"
    assert found["etc/group"][1].splitlines()[-1] == b"cnb:x:1001:"
    assert found["etc/shadow"][1].splitlines()[-1].startswith(b"cnb:!:")
    home = found["home/cnb"][0]
    assert (home.kind, home.mode, home.uid, home.gid) == (Kind.DIR, 0o755, 1000, 1001)


def test_day_and_time_of_making_leave_no_trace() -> None:
    one, other = tree(archive()), tree(archive(mtime=1_800_000_000, today=b"20500"))
    assert one == other
    assert {entry.mtime for entry, _ in one.values()} == {EPOCH_1980}


def test_modes_and_content_stay() -> None:
    entry, data = tree(archive())["usr/bin/tool"]
    assert (entry.mode, data) == (0o4755, b"#!/bin/sh\n")


def test_package_list_is_inside() -> None:
    packages = json.loads(tree(archive())["usr/share/pylife/packages.json"][1])
    assert packages == {"bash": "5.2", "zlib1g": "1:1.2"} == installed(STATUS)


def test_a_build_image_says_what_its_run_image_was_asked_to_have() -> None:
    assert "usr/share/pylife/run-packages" not in tree(archive())
    found = tree(archive(), run_packages=("libssl3", "zlib1g"))
    assert found["usr/share/pylife/run-packages"][1] == b"libssl3\nzlib1g\n"


def test_sources_stay_without_their_passwords() -> None:
    line = b"deb https://user:secret@example.com/debian bookworm main\ndeb http://example.com/x y z\n"
    name = b"etc/apt/sources.list"
    found = tree(archive((Entry(name, Kind.FILE, 0o644, size=len(line)), line)))
    assert found["etc/apt/sources.list"][1] == line.replace(b"user:secret@", b"")


def test_a_hard_link_to_what_is_dropped_is_an_error() -> None:
    link = (Entry(b"usr/bin/zz", Kind.HARDLINK, 0o755, linkname=b"usr/bin/tool"), None)
    assert tree(archive(link))["usr/bin/zz"][0].linkname == b"usr/bin/tool"
    with pytest.raises(BadStack, match="cannot be dropped"):
        tree(archive(link), "usr/bin/tool")
