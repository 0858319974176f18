"""The app's way from where it is compiled to where it runs: what stays of a folder in which somebody works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.slug.place import move_app


@pytest.fixture
def root(tmp_path: Path) -> BuildRoot:
    for name in ("build/made", "app/old"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    return BuildRoot(tmp_path)


def test_what_was_made_takes_the_place_of_what_was_there(root: BuildRoot) -> None:
    move_app(root, "/build", "/app", None)
    assert root.names("/app") == ["made"]
    assert root.names("/build") == []


def test_a_work_tree_keeps_its_history(root: BuildRoot) -> None:
    """It may be mounted where the app is built in its place; builds are not given its .git."""
    root.make_dirs("/app/.git/objects")
    root.write("/app/.git/HEAD", b"ref: refs/heads/main")
    move_app(root, "/build", "/app", None)
    assert root.names("/app") == [".git", "made"]
    assert root.read("/app/.git/HEAD") == b"ref: refs/heads/main"


def test_a_history_that_the_build_made_takes_the_place_of_the_other(root: BuildRoot) -> None:
    for place, text in (("/app", b"old"), ("/build", b"new")):
        root.make_dirs(f"{place}/.git")
        root.write(f"{place}/.git/HEAD", text)
    move_app(root, "/build", "/app", None)
    assert root.read("/app/.git/HEAD") == b"new"


@pytest.mark.skipif(os.geteuid() != 0, reason="being two users needs root")
@pytest.mark.parametrize(("owner", "followed"), [(2000, False), (0, True)])
def test_a_link_that_the_build_put_in_its_place_is_not_followed(root: BuildRoot, owner: int, followed: bool) -> None:
    (root.path / "build").rename(root.path / "etc")
    (root.path / "build").symlink_to("/etc")
    os.lchown(root.path / "build", owner, owner)
    if followed:  # who made the image may have put it on another disk
        move_app(root, "/build", "/app", None)
    else:
        with pytest.raises(BadFile, match="a link in its place"):
            move_app(root, "/build", "/app", None)
    assert root.names("/etc") == ([] if followed else ["made"])
