"""Labels the image with the revision, tells it to the app, and keeps the repository itself out of the image."""

from __future__ import annotations

import os
import shutil

from pylife_sdk.context import Build
from pylife_sdk.launch import write_launch
from pylife_sdk.layer import open_layer
from pylife_sdk.output import fail, heading, note, warn

from pylife_git.revision import find_revision

KEEP = "BP_GIT_KEEP"


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for a revision that cannot be a label."""
    revision = find_revision(context.app, context.env)
    labels = {}
    if revision.commit:
        _check(revision.commit, revision.commit_from)
        heading(f"Revision {revision.commit}, from {revision.commit_from}")
        labels["org.opencontainers.image.revision"] = revision.commit
        layer = open_layer(context, "revision", launch=True)
        layer.empty()
        layer.set_env("REVISION", revision.commit, when="launch")
        layer.commit({"revision": revision.commit})
        note("The app finds it in $REVISION.")
    else:
        heading("No revision: the repository has no commit yet")
    if revision.source:
        labels["org.opencontainers.image.source"] = revision.source
        note(f"Source: {revision.source}, from {revision.source_from}.")
    write_launch(context, [], labels=labels)
    _leave_out(context)


def _leave_out(context: Build) -> None:
    """Removes the repository from the app's directory, which is a copy of the source."""
    path = os.path.join(context.app, ".git")
    if not os.path.lexists(path):
        return
    if context.env.get(KEEP, "").lower() in ("true", "1"):
        warn(f"${KEEP}: .git stays in the image, with the whole history and whatever was ever committed.")
        return
    shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
    note(f"The repository itself (.git) is not part of the image. {KEEP}=true would keep it.")


def _check(text: str, origin: str) -> None:
    if len(text) > 200 or not text.isprintable() or any(c.isspace() for c in text):
        fail(
            "git.bad-revision",
            f"The revision that {origin} names is none: it has blanks or control characters, or is too long.",
            found=repr(text[:80]),
            fix="Name a commit or a version, such as\nSOURCE_VERSION=$(git rev-parse HEAD)",
        )
