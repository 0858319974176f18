"""What a slug build does before the pipeline: source, cache and buildpacks to their places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from classic_buildpack import write_buildpack
from objectserver import ObjectServer, serve_objects

from lifecycle.app.slug.build import SlugRequest, prepare
from lifecycle.app.slug.site import Site, container_site
from lifecycle.phases.inputs import Limits
from lifecycle.slug.fetch import BuildpackUnreachable
from lifecycle.slug.moments import Moment
from lifecycle.source.remotes import Remotes


class Quiet:
    def tell(self, moment: Moment) -> None:
        return None


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("os.geteuid", lambda: 1)
    names = {"APP_PATH": "app", "BUILD_PATH": "build", "CACHE_PATH": "cache", "ENV_PATH": "env", "BUILDPACK_PATH": "b"}
    with container_site({key: str(tmp_path / name) for key, name in names.items()}, Limits()) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "Procfile").write_text("web: serve\n")
    return tmp_path / "source"


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with serve_objects() as state:
        yield state


def set_up(request: SlugRequest, site: Site, tmp_path: Path) -> None:
    with ExitStack() as held:
        prepare(request, site, Quiet(), tmp_path / "work", held)


@pytest.mark.parametrize(("clear", "kept"), [(False, ["old"]), (True, [])])
def test_a_cache_that_is_the_directory_itself_can_be_cleared(
    clear: bool, kept: list[str], site: Site, source: Path, tmp_path: Path
) -> None:
    site.root.write(f"{site.paths.cache}/old", b"x")
    set_up(SlugRequest(str(source), Remotes(tmp_path / "remotes"), clear_cache=clear), site, tmp_path)
    assert site.root.names(site.paths.cache) == kept


@pytest.mark.parametrize("named_by", ["the user", "the app"])
def test_a_token_that_is_bound_to_no_host_goes_to_those_only_that_the_user_named(
    named_by: str, site: Site, source: Path, tmp_path: Path, server: ObjectServer
) -> None:
    url = server.url("/open/pack.git")
    secrets = {"GIT_AUTH_TOKEN": b"5ecre7"} if named_by == "the app" else {}
    remotes = Remotes(tmp_path / "remotes", environment={"GIT_TOKEN": "5ecre7"}, secrets=secrets.get)
    wanted = (url,) if named_by == "the user" else ()
    if not wanted:
        (source / ".buildpacks").write_text(f"{url}\n")
    with pytest.raises(BuildpackUnreachable):
        set_up(SlugRequest(str(source), remotes, buildpacks=wanted), site, tmp_path)
    assert server.requests
    assert all(("authorization" in headers) is bool(wanted) for _, _, headers in server.requests)


def test_installed_buildpacks_may_be_a_volume_that_nothing_is_written_to(
    site: Site, source: Path, tmp_path: Path
) -> None:
    for name in ("20_two", "10_one"):
        write_buildpack(tmp_path / "b" / name, {"detect": "true", "compile": "true"})
    (tmp_path / "b" / ".git").mkdir()
    before = sorted(str(path) for path in (tmp_path / "b").rglob("*"))
    with ExitStack() as held:
        request = SlugRequest(str(source), Remotes(tmp_path / "remotes"))
        inputs = prepare(request, site, Quiet(), tmp_path / "work", held)
    assert [pack.name for pack in inputs.buildpacks][:3] == ["10_one", "20_two", "python"]
    for pack in inputs.buildpacks:
        site.root.write(f"{pack.path}/export", b"")
    assert sorted(str(path) for path in (tmp_path / "b").rglob("*")) == before
