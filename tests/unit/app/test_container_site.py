"""The container that pylife runs in as the place of a slug build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lifecycle.app.slug.site import NotWritable, container_paths, container_site
from lifecycle.phases.inputs import Limits
from lifecycle.phases.layout import Owner


def paths_in(top: Path) -> dict[str, str]:
    names = {"APP_PATH": "app", "BUILD_PATH": "build", "CACHE_PATH": "cache", "ENV_PATH": "env"}
    return {name: str(top / below) for name, below in names.items()} | {"BUILDPACK_PATH": str(top / "buildpacks")}


@pytest.fixture
def as_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1)


@pytest.mark.usefixtures("as_anybody")
def test_what_an_earlier_build_left_goes_and_the_cache_stays(tmp_path: Path) -> None:
    for name in ("build", "cache", "app"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_text("x")
    with container_site(paths_in(tmp_path), Limits()) as site:
        assert site.root.names(site.paths.build) == []
        assert site.root.names(site.paths.cache) == ["old"]
        assert site.root.names(site.paths.app) == ["old"]


@pytest.mark.usefixtures("as_anybody")
def test_a_build_without_a_cache_neither_sees_nor_loses_the_one_there(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "old").write_text("x")
    for _ in range(2):
        with container_site(paths_in(tmp_path), Limits(), cached=False) as site:
            assert site.root.names(site.paths.cache) == []
            site.root.write(f"{site.paths.cache}/new", b"x")
    assert (tmp_path / "cache" / "old").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="being two users needs root")
@pytest.mark.parametrize("name", ["build", "cache", "env"])
def test_a_link_that_another_user_put_in_a_place_of_the_build_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_text("x")
    (tmp_path / name).symlink_to("victim")
    os.lchown(tmp_path / name, 2000, 2000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lifecycle.app.slug.site._owner", lambda root: Owner(2000, 2000))
        with container_site(paths_in(tmp_path), Limits()) as site:
            assert site.root.names(f"{tmp_path}/{name}") == []
    assert (tmp_path / "victim" / "file").exists()


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "build").symlink_to("large")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lifecycle.app.slug.site._owner", lambda root: Owner(os.geteuid(), os.getegid()))
        with container_site(paths_in(tmp_path), Limits()):
            assert (tmp_path / "build").is_symlink()


@pytest.mark.usefixtures("as_anybody")
def test_a_place_that_cannot_be_made_is_told_with_what_to_mount(tmp_path: Path) -> None:
    (tmp_path / "app").write_text("a file in the way")
    with (
        pytest.raises(NotWritable, match="no place to build in") as caught,
        container_site(paths_in(tmp_path), Limits()),
    ):
        pass
    assert "/app" in caught.value.fix


def test_cache_path_is_a_directory_unless_it_is_the_key_of_an_object() -> None:
    assert container_paths({"CACHE_PATH": "/c"}).cache == "/c"
    assert container_paths({"CACHE_PATH": "home/app/cache", "PUT_PATH": "home/app"}).cache == "/tmp/cache"
