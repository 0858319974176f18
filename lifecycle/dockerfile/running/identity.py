"""Who a step runs as: USER looked up in the root's own /etc/passwd and /etc/group."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lifecycle.dockerfile.running.errors import UnknownUser
from lifecycle.record import dataclass
from lifecycle.sandbox.stubs import resolve_inside

_MAX_ID = 0xFFFFFFFE
#: bytes; a longer account file is no account file
_MAX_FILE = 16 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """The ids of a process, and the home directory that goes with them."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def find_identity(root: str, user: str) -> Identity:
    """Who ``user`` (``name|uid[:group|gid]``, empty for root) is in the root filesystem at ``root``.

    A number need not be known there. Groups of which the user is a member come along unless a group is named.
    Raises UnknownUser.
    """
    name, _, group = (user or "0").partition(":")
    found = _user(root, name or "0", user)
    if group:
        return Identity(found.uid, _group(root, group, user), (), found.home)
    return found


def _user(root: str, name: str, user: str) -> Identity:
    number = _number(name)
    for row in _rows(root, "/etc/passwd", f"{name if number is None else number}:"):
        if len(row) < 4 or (row[0] != name if number is None else _number(row[2]) != number):
            continue
        uid, gid = _number(row[2]), _number(row[3])
        if uid is None or gid is None:
            continue
        home = row[5] if len(row) > 5 and row[5].startswith("/") else "/"
        members = (each for each in _rows(root, "/etc/group", row[0]) if len(each) > 3 and row[0] in each[3].split(","))
        groups = sorted({number for each in members if (number := _number(each[2])) is not None} - {gid})
        return Identity(uid, gid, tuple(groups), home)
    if number is None:
        raise _unknown(root, "user", name, user, "/etc/passwd")
    return Identity(number)


def _group(root: str, name: str, user: str) -> int:
    number = _number(name)
    if number is not None:
        return number
    for row in _rows(root, "/etc/group"):
        if len(row) > 2 and row[0] == name and (gid := _number(row[2])) is not None:
            return gid
    raise _unknown(root, "group", name, user, "/etc/group")


def _unknown(root: str, kind: str, name: str, user: str, path: str) -> UnknownUser:
    from difflib import get_close_matches

    names = [row[0] for row in _rows(root, path)]
    near = get_close_matches(name, names, 1)
    why = f"the image's {path} has no {kind} {name!r}" if names else f"the image has no {path}"
    return UnknownUser(f"USER {user} is not known in the image", why=why + (f"; it has {near[0]!r}" if near else ""))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= _MAX_ID else None


def _rows(root: str, path: str, having: str = "") -> Iterator[list[str]]:
    """The rows with the text ``having`` of an account file of the image, reached without leaving the image."""
    try:
        place = os.path.join(root, resolve_inside(root, path))
        fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(_MAX_FILE)
    except OSError:
        return
    for line in text.splitlines():
        if having not in line:
            continue
        row = line.strip().split(":")
        if row[0] and not row[0].startswith("#"):
            yield row
