"""What a command line and a pod's environment order of a slug build."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.app.engine import enter_rung, scratch
from lifecycle.app.gc import collect
from lifecycle.app.ports import Ports, open_ports
from lifecycle.app.settings import load_settings
from lifecycle.app.slug.order import SlugOrder, carry_out, parse_cache, resolve
from lifecycle.app.slug.site import INSIDE
from lifecycle.errors import UsageError
from lifecycle.slug.cache import ArchiveCache
from lifecycle.slug.storage import BadStorage
from lifecycle.slug.targets import BadTarget, ObjectTarget, UrlTarget
from lifecycle.store.errors import NoAccess
from lifecycle.store.partial import Partial


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    monkeypatch.setenv("PYLIFE_HOME", str(tmp_path / "home"))
    opened = open_ports(load_settings({}))
    yield opened
    opened.close()


def test_the_files_of_a_containers_env_directory_are_config_variables(ports: Ports, tmp_path: Path) -> None:
    """Source: herokuish, README "Paths"; deis slugbuilder, builder/build.sh: where they are mounted."""
    env = tmp_path / "env"
    env.mkdir()
    for name, value in {"FROM_FILE": "a", "BOTH": "file", ".hidden": "x"}.items():
        (env / name).write_text(value)
    environment = {INSIDE: "1", "ENV_PATH": str(env), "BOTH": "environment", "FROM_POD": "b"}
    request, _ = resolve(SlugOrder(app=str(tmp_path)), environment, ports)
    assert request.config_vars == {"FROM_FILE": "a", "FROM_POD": "b", "BOTH": "environment"}
    outside, _ = resolve(SlugOrder(app=str(tmp_path)), {"ENV_PATH": str(env)}, ports)
    assert outside.config_vars == {}


@pytest.mark.parametrize(
    ("app", "shown"),
    [
        ("HTTPS://me:pass@store.example/app.tgz?sig=5ecre7", "https://store.example/app.tgz"),
        ("ssh://me:pass@git.example/app.git#v1", "ssh://git.example/app.git"),
        ("./app", "./app"),
        ("-", "standard input"),
    ],
)
def test_a_source_is_shown_without_its_secrets(app: str, shown: str, ports: Ports) -> None:
    assert resolve(SlugOrder(app=app), {}, ports)[0].shown == shown


def test_a_source_may_have_any_name(ports: Ports) -> None:
    one, other = (resolve(SlugOrder(app=os.fsdecode(name)), {}, ports)[0].cache for name in (b"caf\xe9", b"caf\xe8"))
    assert isinstance(one, ArchiveCache) and isinstance(other, ArchiveCache)
    assert one.source != other.source


@pytest.mark.parametrize(
    ("text", "get_url", "put_url"),
    [
        ("https://h/a", "https://h/a", "https://h/a"),
        ("https://h/a?x=1,https://h/b", "https://h/a?x=1", "https://h/b"),
        ("HTTPS://h/a,b", "HTTPS://h/a,b", "HTTPS://h/a,b"),
    ],
)
def test_a_cache_is_behind_one_url_or_two(text: str, get_url: str, put_url: str, ports: Ports) -> None:
    cache = parse_cache(text, ports.remotes(), ports)
    assert isinstance(cache, ArchiveCache)
    assert (cache.source, cache.target) == (get_url, UrlTarget(put_url))


def test_a_cache_that_cannot_be_put_there_is_refused_before_the_build(ports: Ports) -> None:
    with pytest.raises(BadTarget):
        parse_cache("https://h/a,s3://bucket/b", ports.remotes(), ports)
    with pytest.raises(BadTarget):
        resolve(SlugOrder(app="."), {"CACHE_SET_URL": "nowhere"}, ports)


@pytest.mark.parametrize("text", ["soon", "-1", "\u00b2", "9" * 22])
def test_a_time_that_is_none_is_refused(text: str, ports: Ports) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        resolve(SlugOrder(app="."), {"SOURCE_DATE_EPOCH": text}, ports)


PLATFORM = {
    "TAR_PATH": "home/app:1/tar",
    "PUT_PATH": "home/app:1/push",
    "CACHE_PATH": "home/app/cache",
    "SOURCE_GET_URL": "https://store.example/source?sig=1",
    "SLUG_SET_URL": "https://store.example/slug?sig=2",
    "CACHE_GET_URL": "https://store.example/cache?sig=3",
    "CACHE_SET_URL": "https://store.example/cache?sig=4",
}
"""Source: BlueKing's platform, the environment of a build pod of the kind slug."""


def test_keys_beside_urls_need_no_store(ports: Ports) -> None:
    request, log = resolve(SlugOrder(), PLATFORM, ports)
    assert request.app == PLATFORM["SOURCE_GET_URL"]
    assert request.targets == (UrlTarget(PLATFORM["SLUG_SET_URL"]),)
    assert request.types is None
    assert isinstance(request.cache, ArchiveCache)
    assert request.cache.target == UrlTarget(PLATFORM["CACHE_SET_URL"])
    assert log == "slug-pilot"


@pytest.mark.parametrize("missing", ["SOURCE_GET_URL", "SLUG_SET_URL"])
def test_a_key_without_a_url_needs_a_store(missing: str, ports: Ports) -> None:
    with pytest.raises(BadStorage):
        resolve(SlugOrder(), {**PLATFORM, missing: ""}, ports)


def test_a_store_that_is_described_is_used_beside_urls(ports: Ports) -> None:
    request, _ = resolve(SlugOrder(), {**PLATFORM, "SLUG_BUCKET": "slugs"}, ports)
    assert request.targets[1] == ObjectTarget("s3://slugs/home/app:1/push/slug.tgz")
    assert request.types == ObjectTarget("s3://slugs/home/app:1/push/Procfile")


def test_a_slug_that_would_go_nowhere_is_not_built(ports: Ports) -> None:
    with pytest.raises(UsageError, match="where the slug shall go"):
        carry_out(
            SlugOrder(), {"SOURCE_GET_URL": "https://store.example/source"}, ports, lambda *_: pytest.fail("built")
        )


@pytest.mark.parametrize("text", ["https://h/cache", "s3://bucket/cache"])
def test_a_build_that_begins_leaves_the_archive_that_another_is_sending(text: str, ports: Ports) -> None:
    cache = parse_cache(text, ports.remotes(), ports)
    assert isinstance(cache, ArchiveCache)
    cache.scratch.mkdir(parents=True)
    with Partial(cache.scratch) as sent, scratch(ports):
        assert sent.path.exists()


def test_a_home_that_cannot_be_made_is_no_fault_of_pylife(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLIFE_HOME", "/proc/nothing")
    with open_ports(load_settings({})) as ports, pytest.raises(NoAccess, match="/proc/nothing"):
        enter_rung(ports)


def test_a_sources_cache_is_one_whatever_its_signature(ports: Ports) -> None:
    def place(app: str) -> str:
        cache = resolve(SlugOrder(app=app), {}, ports)[0].cache
        assert isinstance(cache, ArchiveCache)
        return cache.source

    assert place("https://store.example/app.tgz?sig=1") == place("https://store.example/app.tgz?sig=2")
    assert place("https://store.example/app.tgz") != place("https://store.example/other.tgz")
    assert place("app") != place("./other") != place("app") and place("app") == place("./app")


def test_gc_forgets_the_cache_of_a_source_that_no_build_had_for_a_month(ports: Ports) -> None:
    folders = []
    for app in ("kept", "forgotten"):
        cache = resolve(SlugOrder(app=app), {}, ports)[0].cache
        assert isinstance(cache, ArchiveCache)
        folders.append(Path(cache.source).parent)
        folders[-1].mkdir(parents=True)
        (folders[-1] / "cache.tgz").touch()
        os.utime(folders[-1], (1, 1))
    resolve(SlugOrder(app="kept"), {}, ports)  # a build
    assert ("caches of slugs", 1) in [(freed.things, freed.count) for freed in collect(ports)]
    assert [folder.is_dir() for folder in folders] == [True, False]


@pytest.mark.parametrize(("text", "seconds"), [("15m", 900), ("1m30s", 90), ("500ms", 0.5), ("0s", None), ("", None)])
def test_a_build_may_take_as_long_as_the_platform_says(text: str, seconds: float | None) -> None:
    assert SlugOrder().limits({"PILOT_BUILDER_TIMEOUT": text}).timeout == seconds
