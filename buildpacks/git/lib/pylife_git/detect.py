"""Is the revision of the source known?"""

from __future__ import annotations

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions

from pylife_git.revision import REVISION_VARIABLES, find_revision


def detect(context: Detect) -> int:
    """Passes when the platform names a revision or the source has its repository along."""
    revision = find_revision(context.app, context.env)
    if not revision.commit and not revision.repository:
        print(f"No revision of the source: no .git in it, and none of {', '.join(REVISION_VARIABLES)} is set.")
        print('pylife leaves .git out of a build unless project.toml has, below [io.buildpacks], exclude = ["!.git"].')
        return NO_MATCH
    decisions = Decisions()
    if revision.commit:
        print(f"Revision {revision.commit[:12]}, from {revision.commit_from}.")
        decisions.version("source", revision.commit, f"said by {revision.commit_from}")
        decisions.layer("revision", "REVISION, for the app")
    else:
        print("The source is a git work tree without a commit.")
    if revision.repository:
        decisions.read(".git/HEAD")
    return context.pass_with(["git"], [{"name": "git", "metadata": {"launch": True}}], decisions)
