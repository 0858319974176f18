"""The smallest image in which commands run: the host's static busybox, a link for each of its applets, two users."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lifecycle.archive.compress import Profile
from lifecycle.archive.entry import Entry, Kind, Member
from lifecycle.image import Image, append, empty, write_layer
from lifecycle.oci import Dialect, History, ImageConfig, Platform
from lifecycle.store import LocalStore

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: beside root, the image has ``user`` (1000:1000, home /home/user), who is also in the group ``wheel`` (10)
PASSWD = (
    b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A user:/home/user:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
)
GROUP = b"root:x:0:\nwheel:x:10:root,user\nuser:x:1000:\nnogroup:x:65534:\n"
_DIRECTORIES = {
    b"bin": (0o755, 0),
    b"etc": (0o755, 0),
    b"home": (0o755, 0),
    b"home/user": (0o755, 1000),
    b"root": (0o700, 0),
    b"tmp": (0o1777, 0),
}


class BusyboxMissing(RuntimeError):
    """The host has no statically linked busybox."""


@functools.cache
def find_busybox() -> str:
    """The path of the host's static busybox. Raises BusyboxMissing with the package to install."""
    path = shutil.which("busybox") or shutil.which("busybox", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if path is None:
        raise BusyboxMissing("busybox is not installed: apt-get install busybox-static")
    if _needs_a_loader(path):
        raise BusyboxMissing(f"{path} is not statically linked: apt-get install busybox-static")
    return path


def _needs_a_loader(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(4096)
    start, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
    ends = min(start + size * count, len(head) - size)
    return any(struct.unpack_from("<I", head, at)[0] == 3 for at in range(start, ends, size))  # PT_INTERP


@functools.cache
def applets() -> tuple[str, ...]:
    """The names of busybox's programs, sorted."""
    said = subprocess.run([find_busybox(), "--list"], capture_output=True, text=True, check=True).stdout
    return tuple(sorted({*said.split(), "sh"} - {"busybox"}))


def busybox_members() -> list[Member]:
    """The tar members of the root filesystem, parents first, everything but /home/user owned by root."""
    with open(find_busybox(), "rb") as file:
        program = file.read()
    found: dict[bytes, Member] = {}
    for name, (mode, owner) in _DIRECTORIES.items():
        found[name] = Entry(name, Kind.DIR, mode, uid=owner, gid=owner), None
    for name, mode, content in (
        (b"bin/busybox", 0o755, program),
        (b"etc/passwd", 0o644, PASSWD),
        (b"etc/group", 0o644, GROUP),
    ):
        found[name] = Entry(name, Kind.FILE, mode, size=len(content)), content
    for applet in applets():
        name = b"bin/" + applet.encode()
        found[name] = Entry(name, Kind.SYMLINK, 0o777, linkname=b"busybox"), None
    return [found[name] for name in sorted(found)]


def busybox_rootfs(directory: Path) -> Path:
    """Put the root filesystem into ``directory`` (made if missing) and give it back; owners where they can be given."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    for entry, content in busybox_members():
        path = directory / os.fsdecode(entry.name)
        match entry.kind:
            case Kind.DIR:
                path.mkdir()
            case Kind.SYMLINK:
                path.symlink_to(os.fsdecode(entry.linkname))
                continue
            case _:
                assert isinstance(content, bytes)
                path.write_bytes(content)
        if os.geteuid() == 0:
            with contextlib.suppress(OSError):  # root of a namespace with one id
                os.chown(path, entry.uid, entry.gid)
        path.chmod(entry.mode)
    return directory


def busybox_image(
    store: LocalStore,
    *,
    env: Mapping[str, str] | None = None,
    platform: Platform | None = None,
    dialect: Dialect = Dialect.OCI,
    profile: Profile = Profile.GZIP_FAST,
) -> Image:
    """An image of one layer, the root filesystem, with ``PATH`` set; its blobs are in ``store``."""
    config = ImageConfig.empty(platform or Platform("linux", "amd64")).with_env({"PATH": PATH, **(env or {})})
    layer = write_layer(busybox_members(), store, profile=profile, dialect=dialect)
    return append(empty(config, dialect), [(layer, History(created="1980-01-01T00:00:01Z", created_by="busybox"))])
