"""The buildpack of the source's revision, with repositories that git made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from workbench import Bench

BUILDPACK = "git"


def git(directory: Path, *arguments: str) -> str:
    command = [
        "git",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "init.defaultBranch=main",
        *arguments,
    ]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(bench: Bench) -> Bench:
    bench.write({"index.html": "hello"})
    git(bench.app, "init", "-q")
    git(bench.app, "add", ".")
    git(bench.app, "commit", "-qm", "one")
    git(bench.app, "remote", "add", "origin", "https://user:s3cret-token@example.com/org/app.git?token=q")
    return bench


def labels(bench: Bench) -> dict[str, str]:
    return {item["key"].rpartition(".")[2]: item["value"] for item in bench.launch(BUILDPACK).get("labels", [])}


def test_a_repository_gives_labels_and_a_variable_and_is_left_out(repository: Bench) -> None:
    commit = git(repository.app, "rev-parse", "HEAD")
    ran, plan = repository.detect(BUILDPACK)
    assert ran.code == 0
    assert plan["requires"][0]["metadata"]["pylife"]["versions"] == [
        {"name": "source", "version": commit, "why": "said by .git"}
    ]
    ran = repository.build(BUILDPACK)
    assert ran.code == 0, ran.err
    assert labels(repository) == {"revision": commit, "source": "https://example.com/org/app.git"}
    assert (repository.layer(BUILDPACK, "revision") / "env.launch/REVISION.default").read_text() == commit
    assert not (repository.app / ".git").exists()
    assert "s3cret" not in ran.out + ran.err
    assert ".git) is not part of the image" in ran.out


@pytest.mark.parametrize("how", ["packed", "detached", "branch"])
def test_every_way_in_which_git_writes_a_head(repository: Bench, how: str) -> None:
    commit = git(repository.app, "rev-parse", "HEAD")
    match how:
        case "packed":
            git(repository.app, "pack-refs", "--all")
        case "detached":
            git(repository.app, "checkout", "-q", "--detach")
        case "branch":
            git(repository.app, "checkout", "-q", "-b", "feature/x")
    assert repository.build(BUILDPACK).code == 0
    assert labels(repository)["revision"] == commit


def test_a_linked_work_tree(repository: Bench, tmp_path: Path) -> None:
    commit = git(repository.app, "rev-parse", "HEAD")
    git(repository.app, "worktree", "add", "-q", str(tmp_path / "linked"))
    other = Bench(tmp_path / "other")
    for name in ("layers", "platform/env"):
        (other.root / name).mkdir(parents=True)
    (tmp_path / "linked").rename(other.app)
    assert other.build(BUILDPACK).code == 0
    assert labels(other) == {"revision": commit, "source": "https://example.com/org/app.git"}


def test_the_platform_knows_better_than_the_repository(repository: Bench) -> None:
    repository.user_env(SOURCE_VERSION="v1.2.3", SOURCE_URL="ssh://git:pw@example.com/x.git")
    assert repository.build(BUILDPACK).code == 0
    assert labels(repository) == {"revision": "v1.2.3", "source": "ssh://example.com/x.git"}


def test_the_platform_alone_is_enough(bench: Bench) -> None:
    bench.user_env(SOURCE_VERSION="0123456789" * 4)
    ran, _ = bench.detect(BUILDPACK)
    assert (ran.code, ran.out) == (0, "Revision 012345678901, from $SOURCE_VERSION.\n")
    assert bench.build(BUILDPACK).code == 0
    assert labels(bench) == {"revision": "0123456789" * 4}


def test_no_commit_yet(bench: Bench) -> None:
    git(bench.app, "init", "-q")
    assert bench.detect(BUILDPACK)[0].code == 0
    ran = bench.build(BUILDPACK)
    assert (ran.code, labels(bench)) == (0, {})
    assert not (bench.app / ".git").exists()


def test_the_repository_can_be_kept(repository: Bench) -> None:
    ran = repository.user_env(BP_GIT_KEEP="true").build(BUILDPACK)
    assert ran.code == 0
    assert (repository.app / ".git/HEAD").exists()
    assert "whole history" in ran.err


def test_nothing_known(bench: Bench) -> None:
    ran, _ = bench.detect(BUILDPACK)
    assert ran.code == 100
    assert 'exclude = ["!.git"]' in ran.out


@pytest.mark.parametrize("revision", ["two words", "x" * 201, "a\x1b[31m"])
def test_a_revision_that_is_none(bench: Bench, revision: str) -> None:
    ran = bench.user_env(SOURCE_VERSION=revision).build(BUILDPACK)
    assert (ran.code, ran.failure) == (1, "git.bad-revision")
