"""Git repositories as sources: resolved, mirrored, checked out. Only here is git run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lifecycle.source.gitref import GitRef
from lifecycle.source.remotes import Remotes


@dataclass(frozen=True, slots=True)
class GitTree:
    """A checked-out commit. ``directory`` lies in the cache and is never to be written to; ``time`` is the commit's,
    in seconds."""

    directory: Path
    commit: str
    time: int


def resolve_git(ref: GitRef, remotes: Remotes) -> str:
    """The commit (full hexadecimal) that ``ref`` means now, by asking the remote; nothing is fetched."""
    raise NotImplementedError


def fetch_git(ref: GitRef, remotes: Remotes, *, keep_git: bool = False, submodules: bool = True) -> GitTree:
    """The tree of that commit, ``.git`` left out unless ``keep_git`` or the ref asks for it."""
    raise NotImplementedError
