"""The revision of a source directory, read from its ``.git`` without running git.

Source: gitrepository-layout(5).
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from lifecycle.record import dataclass

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit; ``branch`` is empty on a detached head, ``url`` is the origin's without credentials, or empty."""

    commit: str
    branch: str = ""
    url: str = ""


def read_revision(app: Path) -> Revision | None:
    """The revision checked out in ``app`` itself; None when it is no git work tree or has no commit yet.

    Only files are read, and what cannot be understood counts as absent: the revision is for information.
    """
    git = app / ".git"
    if git.is_file():  # a linked work tree or a submodule
        text = _read(git)
        if not text.startswith("gitdir:"):
            return None
        git = app / text.removeprefix("gitdir:").strip()
    if not git.is_dir():
        return None
    shared = git / _read(git / "commondir").strip()
    head = _read(git / "HEAD").strip()
    if _COMMIT.fullmatch(head):
        return Revision(head, "", _origin(shared))
    if not head.startswith("ref: refs/") or ".." in head:
        return None
    ref = head.removeprefix("ref: ").strip()
    commit = _read(git / ref).strip() or _read(shared / ref).strip() or _packed(shared, ref)
    if not _COMMIT.fullmatch(commit):
        return None
    return Revision(commit, ref.removeprefix("refs/heads/"), _origin(shared))


def _read(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > _LIMIT:
            return ""
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _packed(git: Path, ref: str) -> str:
    for line in _read(git / "packed-refs").splitlines():
        commit, _, name = line.partition(" ")
        if name == ref:
            return commit
    return ""


def _origin(git: Path) -> str:
    section = ""
    for line in _read(git / "config").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == '[remote "origin"]' and line.partition("=")[0].strip() == "url":
            return without_credentials(line.partition("=")[2].strip())
    return ""


def without_credentials(url: str) -> str:
    """``url`` without user, password, query and fragment; text that is no URL with a host comes back as it is."""
    try:
        parts = urlsplit(url)
        if not parts.scheme or not parts.hostname:
            return url
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
