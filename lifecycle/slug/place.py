"""The app's way from where it was compiled to where it runs, and the volumes that may be mounted there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Collection
from pathlib import Path

from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.slug.archive import clear
from lifecycle.source.directory import copy_directory
from lifecycle.source.ignore import Filter
from lifecycle.store.errors import NoAccess

_WRITABLE = (
    "In a container, mount a volume there that its user may write to (fsGroup), or run the image as its own user, "
    "2000:2000, or as any user of the group 0."
)
_GIT = ".git"


def shown_place(place: str) -> str:
    """Where an archive comes from, for people."""
    return "standard input" if place == "-" else place


def make_inside(root: BuildRoot, top: str, name: str, owner: tuple[int, int] | None) -> str:
    """The inside path of the directory ``name`` in ``top``, made when missing. Raises BadFile for one that is a link:
    it may lead to another's files.
    """
    path = f"{top}/{name}"
    if os.path.islink(root.host(path, follow=False)):
        raise BadFile(f"{path} cannot be written to", why="it is a link", where=path)
    root.make_dirs(path, owner=owner)
    return path


def check_writable(root: BuildRoot, inside: str, *, fix: str = _WRITABLE) -> None:
    """Raise NoAccess for a directory that this process may not write to: better before a build than after it."""
    place = root.host(inside)
    if not os.access(place, os.W_OK | os.X_OK):
        why = "it is mounted read-only" if os.statvfs(place).f_flag & os.ST_RDONLY else f"user {os.geteuid()} may not"
        raise NoAccess(f"{inside} cannot be written to", why=why, fix=fix)


def is_planted(place: str) -> bool:
    """Whether a host path is a link that another user than root or this one made: where processes of a build may put
    links, and this process may do more than they, it leads to what is none of theirs.
    """
    return os.path.islink(place) and os.lstat(place).st_uid not in (0, os.geteuid())


def own_directory(root: BuildRoot, inside: str) -> str:
    """The host path of a directory of the build. Raises BadFile where a process of the build has put a link there."""
    if is_planted(root.host(inside, follow=False)):
        raise BadFile(f"{inside} is not used", why="the build has put a link in its place", where=inside)
    return root.host(inside)


def move_app(root: BuildRoot, build: str, app: str, owner: tuple[int, int] | None) -> None:
    """Make what is in the directory ``build`` the content of ``app``, whatever was there before.

    Both directories stay, since either may be a mount; where they are on different disks, files are copied and given
    to ``owner``. A ``.git`` there stays too, unless the build brings one: no build gets it and no slug has it, but
    ``app`` may be where somebody works. So do volumes mounted below ``app``, with all that they hold.
    """
    source, target = own_directory(root, build), own_directory(root, app)
    if os.path.samefile(source, target):
        return
    volumes = volumes_in(target)
    target = os.path.realpath(target)
    _clear_around(target, volumes, spare="" if os.path.lexists(os.path.join(source, _GIT)) else _GIT)
    try:
        _move_in(source, target, volumes)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise BadFile(f"{app} cannot be written", why=error.strerror, where=app) from error
        copy_directory(Path(source), Path(target), owner=owner, filter=Filter.of(exclude=[f"!{_GIT}"]))
        clear(source)


def volumes_in(directory: str) -> frozenset[str]:
    """The paths below ``directory`` where something is mounted: a pod's volumes for logs, say.

    Source: Linux, proc_pid_mountinfo(5): the fifth field, with its octal escapes.
    """
    top = os.path.realpath(directory).rstrip("/") + "/"
    with open("/proc/self/mountinfo", "rb") as lines:
        points = (line.split(b" ")[4] for line in lines)
        paths = (re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), point) for point in points)
        return frozenset(path for path in map(os.fsdecode, paths) if path.startswith(top))


def is_filled(directory: str) -> bool:
    """Whether there is anything in ``directory`` but mounted volumes and the directories that lead to them."""
    try:
        return _holds_own(os.path.realpath(directory), volumes_in(directory))
    except FileNotFoundError:
        return False


def _holds_own(directory: str, volumes: Collection[str]) -> bool:
    for name in os.listdir(directory):
        path = f"{directory}/{name}"
        if path in volumes:
            continue
        leads = any(volume.startswith(f"{path}/") for volume in volumes)
        if not leads or os.path.islink(path) or _holds_own(path, volumes):
            return True
    return False


def move_around(source: str, target: str) -> None:
    """Move what is in ``source`` into ``target``, on the same disk, where only volumes are mounted.

    What lies where a volume is mounted is left out, as below any mount; ``source`` is gone afterwards.
    """
    _move_in(source, os.path.realpath(target), volumes_in(target))
    clear(source)
    os.rmdir(source)


def _move_in(source: str, target: str, volumes: Collection[str]) -> None:
    for name in os.listdir(source):
        old, new = f"{source}/{name}", f"{target}/{name}"
        if new in volumes:
            continue
        if not os.path.lexists(new):
            _rename(old, new)
        elif os.path.isdir(old) and not os.path.islink(old):
            _move_in(old, new, volumes)
            with contextlib.suppress(PermissionError):  # it is the container engine's, that made it for the mount
                os.chmod(new, stat.S_IMODE(os.stat(old).st_mode))


def _clear_around(directory: str, volumes: Collection[str], *, spare: str = "") -> None:
    """Remove what is in ``directory``, but volumes, what leads to them, and what is called ``spare``."""
    if not volumes:
        clear(directory, spare=spare)
        return
    for name in os.listdir(directory):
        path = f"{directory}/{name}"
        if path in volumes or name == spare:
            continue
        if os.path.islink(path) or not os.path.isdir(path):
            os.unlink(path)
        elif any(volume.startswith(f"{path}/") for volume in volumes):
            _clear_around(path, volumes)
        else:
            clear(path)
            os.rmdir(path)


def _rename(old: str, new: str) -> None:
    """Rename; a directory that is read-only, too: its entry for the one above changes with it."""
    try:
        os.rename(old, new)
    except PermissionError:
        mode = stat.S_IMODE(os.lstat(old).st_mode)
        if mode & stat.S_IWUSR or not os.path.isdir(old) or os.path.islink(old):
            raise
        os.chmod(old, mode | stat.S_IWUSR)
        try:
            os.rename(old, new)
        except OSError:
            os.chmod(old, mode)
            raise
        os.chmod(new, mode)
