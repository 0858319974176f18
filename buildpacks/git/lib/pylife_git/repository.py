"""The commit and the origin of a git work tree, read from its files: git itself refuses a tree of another user.

Source: gitrepository-layout(5), git-config(1) "Syntax".
"""

from __future__ import annotations

import os

_DIGITS = frozenset("0123456789abcdef")


class Repository:
    """What a work tree says of itself. ``commit`` is empty before the first one, ``origin`` without a remote."""

    __slots__ = ("commit", "origin")

    def __init__(self, commit: str, origin: str) -> None:
        self.commit, self.origin = commit, origin


def read_repository(app: str) -> Repository | None:
    """The repository whose work tree ``app`` is; None when it is none."""
    git = os.path.join(app, ".git")
    if os.path.isfile(git):  # a linked work tree or a submodule
        text = _read(git)
        git = os.path.join(app, text[7:].strip()) if text.startswith("gitdir:") else ""
    if not os.path.isdir(git):
        return None
    shared = os.path.normpath(os.path.join(git, _read(os.path.join(git, "commondir")).strip() or "."))
    return Repository(_commit(git, shared), _origin(shared))


def _commit(git: str, shared: str) -> str:
    name = _read(os.path.join(git, "HEAD")).strip()
    for _ in range(5):  # a reference may name another
        if _is_commit(name):
            return name
        if not name.startswith("ref: refs/") or ".." in name:
            return ""
        name = name[5:].strip()
        name = (
            _read(os.path.join(git, name)).strip() or _read(os.path.join(shared, name)).strip() or _packed(shared, name)
        )
    return ""


def _packed(shared: str, name: str) -> str:
    for line in _read(os.path.join(shared, "packed-refs")).splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return ""


def _origin(shared: str) -> str:
    section = ""
    for line in _read(os.path.join(shared, "config")).splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == '[remote "origin"]' and line.partition("=")[0].strip() == "url":
            return without_credentials(line.partition("=")[2].strip().strip('"'))
    return ""


def without_credentials(url: str) -> str:
    """An address without user, password, query and fragment. ``git@host:path`` stays: its user is no secret."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url if "@" not in url or url.startswith("git@") else url.rpartition("@")[2]
    host, slash, path = rest.partition("/")
    path = path.partition("?")[0].partition("#")[0]
    return f"{scheme}://{host.rpartition('@')[2].partition('?')[0].partition('#')[0]}{slash}{path}"


def _is_commit(text: str) -> bool:
    return len(text) in (40, 64) and _DIGITS.issuperset(text)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(16 << 20)
    except OSError:
        return ""
