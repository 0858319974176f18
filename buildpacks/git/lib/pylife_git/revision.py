"""Which revision the source has: what the platform says, else what the repository says."""

from __future__ import annotations

from pylife_git.repository import read_repository, without_credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

REVISION_VARIABLES = ("SOURCE_VERSION", "GIT_REVISION", "REVISION")
SOURCE_VARIABLES = ("SOURCE_URL", "GIT_URL")


class Revision:
    """A revision and an origin, each with where it was said; empty when nobody says it. ``repository`` tells whether
    the source has a .git of its own."""

    __slots__ = ("commit", "commit_from", "repository", "source", "source_from")

    def __init__(self, commit: str, commit_from: str, source: str, source_from: str, repository: bool) -> None:
        self.commit, self.commit_from = commit, commit_from
        self.source, self.source_from = source, source_from
        self.repository = repository


def find_revision(app: str, env: Mapping[str, str]) -> Revision:
    """The revision of the source in ``app``."""
    repository = read_repository(app)
    commit, commit_from = _said(env, REVISION_VARIABLES)
    source, source_from = _said(env, SOURCE_VARIABLES)
    if repository is not None:
        if not commit:
            commit, commit_from = repository.commit, ".git"
        if not source:
            source, source_from = repository.origin, ".git"
    return Revision(commit, commit_from, without_credentials(source), source_from, repository is not None)


def _said(env: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    for name in names:
        if value := env.get(name, "").strip():
            return value, f"${name}"
    return "", ""
