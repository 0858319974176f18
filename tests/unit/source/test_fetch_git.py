"""Git repositories as sources, from a real server on loopback."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from gitserver import GitServer, commit, git, serve_git

from lifecycle.source import clone
from lifecycle.source.clone import fetch_git, resolve_git
from lifecycle.source.forget import forget_remotes
from lifecycle.source.gitref import GitRef, parse_git_ref
from lifecycle.source.remote_errors import (
    ChecksumMismatch,
    GitDenied,
    GitFailed,
    GitMissing,
    NoSubdirectory,
    Offline,
    UnknownGitRef,
)
from lifecycle.source.remotes import Remotes


@pytest.fixture
def served(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "srv").mkdir()
    with serve_git(tmp_path / "srv") as server:
        yield server


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "cache")


def place(server: GitServer, rest: str = "", name: str = "app.git") -> GitRef:
    found = parse_git_ref(server.url(name) + rest)
    assert found is not None
    return found


def publish(server: GitServer, work: Path, name: str = "app.git") -> None:
    """Make the work tree's branches and tags those of the served repository."""
    bare = server.root / name
    if not bare.exists():
        git(server.root, "init", "-q", "--bare", name)
    git(work, "push", "-q", "--force", "--all", str(bare))
    git(work, "push", "-q", "--force", "--tags", str(bare))
    git(bare, "update-server-info")


@pytest.fixture
def app(served: GitServer, tmp_path: Path) -> Path:
    """A work tree with two commits, published; ``first`` and ``v1`` mean the first."""
    work = tmp_path / "work"
    commit(work, {"a.txt": "one\n", "app/main.py": "print(1)\n"}, time=1600000000)
    git(work, "tag", "v1")
    git(work, "tag", "-a", "-m", "annotated", "v1-annotated")
    git(work, "branch", "first")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    os.symlink("a.txt", work / "link")
    commit(work, {"a.txt": "two\n"}, time=1700000000)
    publish(served, work)
    return work


def test_head_is_fetched_without_its_git_directory(served: GitServer, remotes: Remotes, app: Path) -> None:
    tree = fetch_git(place(served), remotes)
    assert tree.commit == git(app, "rev-parse", "HEAD")
    assert tree.time == 1700000000
    assert sorted(os.listdir(tree.directory)) == ["a.txt", "app", "link", "run.sh"]
    assert (tree.directory / "a.txt").read_text() == "two\n"
    assert os.readlink(tree.directory / "link") == "a.txt"


def test_modes_and_times_do_not_depend_on_this_host(served: GitServer, remotes: Remotes, app: Path) -> None:
    before = os.umask(0o077)
    try:
        tree = fetch_git(place(served), remotes).directory
    finally:
        os.umask(before)
    assert stat.S_IMODE((tree / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "a.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((tree / "app").stat().st_mode) == 0o755
    assert stat.S_IMODE(tree.stat().st_mode) == 0o755
    assert {path.lstat().st_mtime for path in tree.rglob("*")} == {1700000000.0}


@pytest.mark.parametrize(
    ("rest", "name"),
    [
        ("", "HEAD"),
        ("#main", "HEAD"),
        ("#first", "v1"),
        ("#v1", "v1"),
        ("#v1-annotated", "v1"),
        ("#refs/heads/first", "v1"),
        ("#heads/first", "v1"),
        ("?branch=first", "v1"),
        ("?tag=v1-annotated", "v1"),
    ],
)
def test_ref_leads_to_its_commit(served: GitServer, remotes: Remotes, app: Path, rest: str, name: str) -> None:
    assert resolve_git(place(served, rest), remotes) == git(app, "rev-parse", name)


def test_a_branch_wins_over_a_tag_of_the_same_name(served: GitServer, remotes: Remotes, app: Path) -> None:
    git(app, "tag", "first", "main")
    publish(served, app)
    assert resolve_git(place(served, "#first"), remotes) == git(app, "rev-parse", "v1")


def test_a_longer_branch_name_is_not_mistaken(served: GitServer, remotes: Remotes, app: Path) -> None:
    git(app, "branch", "feature/main", "v1")
    publish(served, app)
    assert resolve_git(place(served, "#main"), remotes) == git(app, "rev-parse", "main")


def test_a_commit_needs_no_request_to_be_resolved(served: GitServer, remotes: Remotes, app: Path) -> None:
    first = git(app, "rev-parse", "v1")
    assert resolve_git(place(served, f"#{first}"), remotes) == first
    assert served.requests == []


def test_a_commit_below_the_tip_is_fetched(served: GitServer, remotes: Remotes, app: Path) -> None:
    first = git(app, "rev-parse", "v1")
    tree = fetch_git(place(served, f"#{first}"), remotes)
    assert (tree.commit, tree.time) == (first, 1600000000)
    assert (tree.directory / "a.txt").read_text() == "one\n"


def test_the_beginning_of_a_commit_is_found(served: GitServer, remotes: Remotes, app: Path) -> None:
    first = git(app, "rev-parse", "v1")
    assert fetch_git(place(served, f"#{first[:9]}"), remotes).commit == first


def test_only_one_commit_travels(served: GitServer, remotes: Remotes, app: Path) -> None:
    fetch_git(place(served), remotes)
    (mirror,) = remotes.cache.glob("git/*/mirror.git")
    assert git(mirror, "rev-list", "--all", "--count") == "1"


def test_a_known_commit_is_not_fetched_again(served: GitServer, remotes: Remotes, app: Path) -> None:
    ref = place(served, "#main")
    first = fetch_git(ref, remotes)
    served.requests.clear()
    assert fetch_git(ref, remotes) == first
    assert all("upload-pack" in line for line in served.requests)
    asked = len(served.requests)
    pinned = place(served, f"#{first.commit}")
    assert fetch_git(pinned, remotes).directory == first.directory
    assert len(served.requests) == asked


def test_a_pinned_commit_of_the_cache_needs_no_network(served: GitServer, remotes: Remotes, app: Path) -> None:
    tree = fetch_git(place(served), remotes)
    offline = Remotes(remotes.cache, offline=True)
    assert fetch_git(place(served, f"#{tree.commit}"), offline) == tree
    with pytest.raises(Offline, match="cannot be resolved"):
        fetch_git(place(served, "#main"), offline)
    with pytest.raises(Offline, match="not in the cache"):
        fetch_git(place(served, f"#{git(app, 'rev-parse', 'v1')}"), offline)


def test_a_moved_branch_is_noticed(served: GitServer, remotes: Remotes, app: Path) -> None:
    before = fetch_git(place(served, "#main"), remotes)
    commit(app, {"a.txt": "three\n"}, time=1710000000)
    publish(served, app)
    after = fetch_git(place(served, "#main"), remotes)
    assert (after.directory / "a.txt").read_text() == "three\n"
    assert (before.directory / "a.txt").read_text() == "two\n"


def test_a_checksum_holds(served: GitServer, remotes: Remotes, app: Path) -> None:
    head = git(app, "rev-parse", "HEAD")
    assert fetch_git(place(served, f"?branch=main&checksum={head[:12]}"), remotes).commit == head
    with pytest.raises(ChecksumMismatch, match=head):
        fetch_git(place(served, "?branch=main&checksum=00000000"), remotes)


def test_a_subdirectory_is_the_source(served: GitServer, remotes: Remotes, app: Path) -> None:
    tree = fetch_git(place(served, "#main:app"), remotes)
    assert os.listdir(tree.directory) == ["main.py"]


def test_a_subdirectory_that_is_not_there(served: GitServer, remotes: Remotes, app: Path) -> None:
    with pytest.raises(NoSubdirectory, match="There is no folder nothing"):
        fetch_git(place(served, "#main:nothing"), remotes)
    with pytest.raises(NoSubdirectory, match="no directory"):
        fetch_git(place(served, "#main:a.txt"), remotes)


def test_a_subdirectory_behind_a_link_does_not_lead_out(served: GitServer, remotes: Remotes, app: Path) -> None:
    os.symlink("/etc", app / "out")
    os.symlink("app", app / "in")
    commit(app, {})
    publish(served, app)
    with pytest.raises(NoSubdirectory, match="leads out"):
        fetch_git(place(served, "#main:out"), remotes)
    assert os.listdir(fetch_git(place(served, "#main:in"), remotes).directory) == ["main.py"]


def test_an_unknown_ref_names_the_near_one(served: GitServer, remotes: Remotes, app: Path) -> None:
    with pytest.raises(UnknownGitRef) as caught:
        fetch_git(place(served, "#mian"), remotes)
    assert caught.value.fix == "Did you mean 'main'?"


def test_an_empty_repository_has_no_head(served: GitServer, remotes: Remotes) -> None:
    git(served.root, "init", "-q", "--bare", "app.git")
    with pytest.raises(UnknownGitRef, match="empty"):
        fetch_git(place(served), remotes)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user needs root")
def test_a_repository_of_this_host_may_be_another_users(remotes: Remotes, app: Path, tmp_path: Path) -> None:
    """as one is that was mounted into a container"""
    for path in (app, *app.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    found = fetch_git(GitRef(f"file://{app}", "main"), remotes)
    assert (found.directory / "app/main.py").is_file()


def test_a_commit_that_is_not_there(served: GitServer, remotes: Remotes, app: Path) -> None:
    with pytest.raises(UnknownGitRef, match="has no commit"):
        fetch_git(place(served, f"#{'0123456789' * 4}"), remotes)


def test_a_repository_that_is_not_there(served: GitServer, remotes: Remotes) -> None:
    with pytest.raises(GitFailed, match="not found"):
        fetch_git(place(served, "#main"), remotes)


def test_a_kept_git_directory_knows_its_commit_and_branch(served: GitServer, remotes: Remotes, app: Path) -> None:
    tree = fetch_git(place(served, "#main"), remotes, keep_git=True).directory
    assert git(tree, "rev-parse", "HEAD") == git(app, "rev-parse", "main")
    assert git(tree, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(tree, "config", "remote.origin.url") == served.url("app.git")
    assert git(tree, "status", "--porcelain") == ""


def test_a_kept_git_directory_is_the_same_everywhere(served: GitServer, tmp_path: Path, app: Path) -> None:
    def digest(cache: str, before: str | None = None) -> dict[str, str]:
        remotes = Remotes(tmp_path / cache)
        if before:
            fetch_git(place(served, before), remotes)
        top = fetch_git(place(served, "?keep-git-dir=1#main"), remotes).directory
        files = [path for path in top.rglob("*") if path.is_file()]
        return {str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    first = digest("one")
    assert ".git/HEAD" in first
    assert not [name for name in first if "hooks" in name or "FETCH_HEAD" in name or "logs" in name]
    head = git(app, "rev-parse", "main")
    assert digest("two", f"#{head[:8]}") == first


def test_what_the_ref_says_of_git_wins(served: GitServer, remotes: Remotes, app: Path) -> None:
    tree = fetch_git(place(served, "?keep-git-dir=false"), remotes, keep_git=True)
    assert not (tree.directory / ".git").exists()


@pytest.fixture
def nested(served: GitServer, app: Path, tmp_path: Path) -> Path:
    """The app with a submodule that has one itself."""
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    commit(inner, {"inner.txt": "inner\n"})
    publish(served, inner, "inner.git")
    commit(outer, {"outer.txt": "outer\n"})
    git(outer, "submodule", "add", "-q", str(served.root / "inner.git"), "deep/inner")
    git(outer, "config", "-f", ".gitmodules", "submodule.deep/inner.url", "../inner.git")
    commit(outer, {})
    publish(served, outer, "outer.git")
    git(app, "submodule", "add", "-q", str(served.root / "outer.git"), "lib/outer")
    git(app, "config", "-f", ".gitmodules", "submodule.lib/outer.url", served.url("outer.git"))
    commit(app, {})
    publish(served, app)
    return app


def test_submodules_are_fetched_with_theirs(served: GitServer, remotes: Remotes, nested: Path) -> None:
    tree = fetch_git(place(served), remotes).directory
    assert (tree / "lib/outer/outer.txt").read_text() == "outer\n"
    assert (tree / "lib/outer/deep/inner/inner.txt").read_text() == "inner\n"
    assert not (tree / "lib/outer/.git").exists()


def test_submodules_are_left_out_on_request(served: GitServer, remotes: Remotes, nested: Path) -> None:
    tree = fetch_git(place(served, "?submodules=false"), remotes).directory
    assert os.listdir(tree / "lib/outer") == []


@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% {mark}", "/srv/other.git", "file:///srv/other.git", "--upload-pack=x"]
)
def test_a_hostile_submodule_is_refused(
    served: GitServer, remotes: Remotes, nested: Path, tmp_path: Path, url: str
) -> None:
    mark = tmp_path / "mark"
    git(nested, "config", "-f", ".gitmodules", "submodule.lib/outer.url", url.format(mark=mark))
    commit(nested, {})
    publish(served, nested)
    with pytest.raises(GitFailed, match="cannot be fetched"):
        fetch_git(place(served), remotes)
    assert not mark.exists()


def test_a_repository_may_be_its_own_submodule(served: GitServer, remotes: Remotes, app: Path) -> None:
    git(app, "submodule", "add", "-q", "-b", "first", str(served.root / "app.git"), "self")
    git(app, "config", "-f", ".gitmodules", "submodule.self.url", "./../app.git")
    git(app / "self", "checkout", "-q", git(app, "rev-parse", "v1"))
    commit(app, {})
    publish(served, app)
    assert (fetch_git(place(served), remotes).directory / "self/a.txt").read_text() == "one\n"


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_without_credentials_a_guarded_repository_is_denied(served: GitServer, remotes: Remotes, app: Path) -> None:
    served.authorization = basic("x", "y")
    with pytest.raises(GitDenied):
        fetch_git(place(served), remotes)


@pytest.mark.parametrize(
    ("secrets", "environment", "header"),
    [
        ({"GIT_AUTH_TOKEN": b"t0-ken\n"}, {}, basic("x-access-token", "t0-ken")),
        ({"GIT_AUTH_TOKEN.127.0.0.1": b"t0-ken", "GIT_AUTH_TOKEN": b"other"}, {}, basic("x-access-token", "t0-ken")),
        ({"GIT_AUTH_HEADER": b"Bearer abc"}, {}, "Bearer abc"),
        ({}, {"GIT_TOKEN": "t0-ken"}, basic("x-access-token", "t0-ken")),
        ({}, {"GIT_TOKEN": "t0-ken", "GIT_USERNAME": "me"}, basic("me", "t0-ken")),
        ({}, {"GIT_USERNAME": "me", "GIT_PASSWORD": "pw"}, basic("me", "pw")),
    ],
)
def test_credentials_are_sent(
    served: GitServer,
    tmp_path: Path,
    app: Path,
    secrets: dict[str, bytes],
    environment: dict[str, str],
    header: str,
) -> None:
    served.authorization = header
    remotes = Remotes(tmp_path / "cache", secrets=secrets.get, environment=environment)
    assert fetch_git(place(served), remotes).time == 1700000000
    for path in remotes.cache.rglob("*"):
        assert not path.is_file() or b"t0-ken" not in path.read_bytes()


def test_credentials_in_the_address_are_sent_and_not_kept(served: GitServer, remotes: Remotes, app: Path) -> None:
    served.authorization = basic("me", "p@ss")
    ref = parse_git_ref(f"http://me:p%40ss@127.0.0.1:{served.port}/app.git")
    assert ref is not None
    fetch_git(ref, remotes, keep_git=True)
    for path in remotes.cache.rglob("*"):
        assert not path.is_file() or b"p%40ss" not in path.read_bytes()


def test_credentials_do_not_go_to_the_host_of_a_submodule(served: GitServer, tmp_path: Path, nested: Path) -> None:
    url = served.url("outer.git").replace("127.0.0.1", "localhost")
    git(nested, "config", "-f", ".gitmodules", "submodule.lib/outer.url", url)
    commit(nested, {})
    publish(served, nested)
    remotes = Remotes(tmp_path / "cache", secrets={"GIT_AUTH_TOKEN": b"t0-ken"}.get)
    fetch_git(place(served), remotes)
    outer = [header for line, header in zip(served.requests, served.seen, strict=True) if "outer.git" in line]
    assert set(outer) == {None}
    assert basic("x-access-token", "t0-ken") in served.seen


def test_a_server_of_plain_files_is_enough(served: GitServer, remotes: Remotes, app: Path) -> None:
    served.dumb = True
    tree = fetch_git(place(served, "#first"), remotes)
    assert (tree.directory / "a.txt").read_text() == "one\n"


def test_a_passing_failure_is_tried_again(
    served: GitServer, remotes: Remotes, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.broken = 1
    assert resolve_git(place(served), remotes) == git(app, "rev-parse", "HEAD")


def test_without_git_the_package_is_named(served: GitServer, remotes: Remotes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GitMissing) as caught:
        fetch_git(place(served), remotes)
    assert "apt-get install git" in caught.value.fix


def test_settings_of_the_user_do_not_change_the_tree(
    served: GitServer, remotes: Remotes, app: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text('[core]\n\tautocrlf = true\n[url "file:///nowhere"]\n\tinsteadOf = http://\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert (fetch_git(place(served), remotes).directory / "a.txt").read_bytes() == b"two\n"


def test_clones_that_nobody_asks_for_are_forgotten(served: GitServer, remotes: Remotes, app: Path) -> None:
    first = fetch_git(place(served, "#first"), remotes)
    main = fetch_git(place(served, "#main"), remotes)
    assert forget_remotes(remotes.cache) == 0
    for path in (main.directory.with_suffix(".time"), main.directory.parents[1] / "lock"):
        os.utime(path, (0, 0))
    assert forget_remotes(remotes.cache) == 1
    assert first.directory.is_dir()
    assert not main.directory.exists()
    assert fetch_git(place(served, "#main"), remotes) == main
    for path in remotes.cache.glob("git/*/trees/*.time"):
        os.utime(path, (0, 0))
    os.utime(main.directory.parents[1] / "lock", (0, 0))
    assert forget_remotes(remotes.cache) == 3
    assert list(remotes.cache.glob("git/*")) == []


def test_nothing_half_made_stays_behind(
    served: GitServer, remotes: Remotes, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clone, "_set_times", fail)
    with pytest.raises(KeyboardInterrupt):
        fetch_git(place(served), remotes)
    (trees,) = remotes.cache.glob("git/*/trees")
    assert list(trees.iterdir()) == []
