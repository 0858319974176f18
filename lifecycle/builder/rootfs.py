"""From the tree that mmdebstrap made to the members of a layer: the same packages, the same bytes.

What belongs to one machine or one moment is left out, times are fixed, and the CNB user and lists of packages put in.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

from lifecycle.archive import EPOCH_1980, Entry, Kind, Member
from lifecycle.builder.definition import BadStack, User
from lifecycle.image.filesystem import filesystem
from lifecycle.image.layer import Layer

PACKAGE_LIST = b"usr/share/pylife/packages.json"
RUN_PACKAGES = b"usr/share/pylife/run-packages"
"""In a build image: the packages that its run image was asked to have beside the essential ones, one a line."""
_ACCOUNTS = (b"etc/passwd", b"etc/group", b"etc/shadow", b"etc/gshadow")
_SHADOW_DAY = b"3652"  # 1980-01-01, in days
_STATUS = b"var/lib/dpkg/status"
_PASSWORD = re.compile(rb"(?<=://)[^/\s@]+@")


def rootfs_members(
    archive: Iterable[tuple[Entry, BinaryIO]],
    user: User,
    drop: Sequence[str],
    packages: dict[str, str],
    run_packages: Sequence[str] = (),
) -> Iterator[Member]:
    """The members of the layer, in the order of ``archive``; ``packages`` is filled with name → version on the way.

    ``run_packages`` are those of the run image, if this is the build image beside one.
    """
    dropped = _matcher(drop)
    gone: set[bytes] = set()
    for entry, stream in archive:
        if entry.name == b"." or entry.kind in (Kind.CHAR, Kind.BLOCK, Kind.FIFO):
            continue
        if dropped(entry.name):
            gone.add(entry.name)
            continue
        if entry.kind is Kind.HARDLINK and entry.linkname in gone:
            raise BadStack(
                f"{entry.linkname.decode(errors='replace')} cannot be dropped",
                why=f"{entry.name.decode(errors='replace')} is the same file",
                fix="Drop both names, or none.",
            )
        entry = replace(entry, mtime=EPOCH_1980)
        if entry.kind is not Kind.FILE:
            yield entry, None
        elif (edit := _edited(entry.name, user)) is not None:
            data = edit(stream.read())
            yield replace(entry, size=len(data)), data
        elif entry.name == _STATUS:
            data = stream.read()
            packages.update(installed(data))
            yield entry, data
        else:
            yield entry, lambda stream=stream: stream  # type: ignore[misc]
    yield from _own(user, packages, run_packages)


def _matcher(patterns: Iterable[str]) -> Callable[[bytes], object]:
    joined = "|".join(fnmatch.translate(pattern) for pattern in patterns)
    return re.compile(joined.encode() if joined else rb"(?!)").match


def _edited(name: bytes, user: User) -> Callable[[bytes], bytes] | None:
    """How the file ``name`` is changed so that the CNB user exists and no password does; None when it stays."""
    if name == b"etc/apt/sources.list" or name.startswith(b"etc/apt/sources.list.d/"):
        return lambda data: _PASSWORD.sub(b"", data)
    person, group = user.name.encode(), user.name.encode()
    uid, gid, home = b"%d" % user.uid, b"%d" % user.gid, user.home.encode()
    lines = {
        b"etc/passwd": b":".join((person, b"x", uid, gid, b"", home, b"/bin/bash")),
        b"etc/group": b":".join((group, b"x", gid, b"")),
        b"etc/shadow": b":".join((person, b"!", _SHADOW_DAY, b"0", b"99999", b"7", b"", b"", b"")),
        b"etc/gshadow": b":".join((group, b"!", b"", b"")),
    }
    if name not in lines:
        return None

    def edit(data: bytes) -> bytes:
        rows = [row for row in data.splitlines() if row and row.partition(b":")[0] != person]
        if name == b"etc/shadow":  # the day on which a password was set is the day of this build
            rows = [b":".join((*row.split(b":")[:2], _SHADOW_DAY, *row.split(b":")[3:])) for row in rows]
        return b"\n".join((*rows, lines[name])) + b"\n"

    return edit


def upper_members(base: Sequence[Layer], user: User, run_packages: Sequence[str] = ()) -> Iterator[Member]:
    """The members of a layer that gives the image of the layers ``base`` (bottom first) another stack's user."""
    files: dict[bytes, tuple[Entry, bytes]] = {}
    for entry, content in filesystem(base):
        if entry.name in _ACCOUNTS and callable(content):
            with content() as stream:
                files[entry.name] = entry, stream.read()
            if len(files) == len(_ACCOUNTS):
                break
    for name, (entry, data) in sorted(files.items()):
        edit = _edited(name, user)
        assert edit is not None
        data = edit(data)
        yield replace(entry, size=len(data), mtime=EPOCH_1980), data
    yield _home(user)
    yield from _run_packages(run_packages)


def installed(status: bytes) -> dict[str, str]:
    """Package → version of everything that a dpkg status file has as installed, sorted."""
    packages = {}
    for paragraph in status.decode("utf-8", "replace").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            packages[fields["Package"]] = fields["Version"]
    return dict(sorted(packages.items()))


def _own(user: User, packages: dict[str, str], run_packages: Sequence[str]) -> Iterator[Member]:
    """What the distribution does not bring: the user's home, and the lists of packages."""
    yield _home(user)
    data = json.dumps(packages, indent=0, sort_keys=True).encode() + b"\n"
    yield Entry(PACKAGE_LIST.rpartition(b"/")[0], Kind.DIR, 0o755), None
    yield Entry(PACKAGE_LIST, Kind.FILE, 0o644, size=len(data)), data
    yield from _run_packages(run_packages)


def _home(user: User) -> Member:
    return Entry(user.home.strip("/").encode(), Kind.DIR, 0o755, user.uid, user.gid), None


def _run_packages(run_packages: Sequence[str]) -> Iterator[Member]:
    if run_packages:
        names = "".join(f"{name}\n" for name in run_packages).encode()
        yield Entry(RUN_PACKAGES, Kind.FILE, 0o644, size=len(names)), names
