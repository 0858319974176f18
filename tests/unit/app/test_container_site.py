"""The container that pylife runs in as the place of a slug build."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.app.slug.site import NotWritable, container_paths, container_site
from lifecycle.phases.inputs import Limits


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
