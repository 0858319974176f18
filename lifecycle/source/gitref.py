"""What a text says about a git repository: the remote, the ref, the folder in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GitRef:
    """A place in a git repository, as a context or ADD names it.

    ``remote`` is what git is given, without credentials, query and fragment. ``ref`` is a branch, a tag, a full ref
    (``refs/…``) or a commit, empty for the remote's HEAD. ``checksum`` is a commit or the beginning of one that the
    ref must lead to. ``keep_git`` and ``submodules`` are None where the text says nothing.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git: bool | None = None
    submodules: bool | None = None
    commit_times: bool = False
    userinfo: str = ""


def parse_git_ref(text: str) -> GitRef | None:
    """The repository that ``text`` names; None when it is no git address. Raises BadGitRef for a broken one."""
    raise NotImplementedError
