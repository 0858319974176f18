"""Whose files they become: users and groups by number, or by name as the image's own files know them."""

from __future__ import annotations

from lifecycle.archive.entry import FILE
from lifecycle.archive.filetree import EmptyTree, FileTree, resolve
from lifecycle.dockerfile.copying.content import read_content
from lifecycle.errors import PylifeError

Owner = tuple[int, int]

_LARGEST = 10 << 20
_ID_LIMIT = (1 << 32) - 1


class UnknownUser(PylifeError):
    """A user or group has a name that the image's /etc/passwd or /etc/group does not know."""

    code = "copy.unknown-user"
    fix = "Use numbers (--chown=1000:1000), or create the user in a RUN before this instruction."


def find_owner(text: str, target: FileTree, what: str) -> Owner:
    """The ids that ``user[:group]`` has in ``target``. A number needs no file, and stands for its group too.

    ``what`` says who asks, for the message of UnknownUser.
    """
    user, colon, group = text.partition(":")
    uid = gid = _number(user)
    if uid is None:
        uid, gid = _look_up(target, b"etc/passwd", user, what, 4)
    if colon:
        gid = _number(group)
        if gid is None:
            gid = _look_up(target, b"etc/group", group, what, 3)[0]
    assert gid is not None
    return uid, gid


def _number(text: str) -> int | None:
    if text in ("", "root"):
        return 0
    return int(text) if text.isascii() and text.isdigit() and int(text) < _ID_LIMIT else None


def _look_up(target: FileTree, path: bytes, name: str, what: str, fields: int) -> Owner:
    """The first ids in the line of ``name``: uid and gid of a user, the gid twice of a group."""
    kind = "group" if path == b"etc/group" else "user"
    real = resolve(target, path)
    entry = target.lookup(real)
    wanted = name.encode("utf-8", "surrogateescape")
    names = []
    if isinstance(target, EmptyTree):
        why = f"the layer is made on an empty filesystem (--link, or FROM scratch), which has no /{path.decode()}"
    elif entry is None or entry.kind is not FILE:
        why = f"the filesystem has no /{path.decode()}"
    elif entry.size > _LARGEST:
        why = f"/{path.decode()} is larger than {_LARGEST} bytes"
    else:
        for line in read_content(target.content(real), entry.size).splitlines():
            parts = line.strip().split(b":")
            if len(parts) >= fields and parts[0] == wanted and parts[2].isdigit():
                first = int(parts[2])
                return first, int(parts[3]) if fields == 4 and parts[3].isdigit() else first
            names.append(parts[0].decode("utf-8", "replace"))
        why = f"/{path.decode()} has no such {kind}{_near(name, names)}"
    raise UnknownUser(f"{what}: there is no {kind} {name!r}", why=why)


def _near(name: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
