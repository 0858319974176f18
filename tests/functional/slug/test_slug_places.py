"""Where source, slug and cache of a build can be, each by the installed command."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from objectserver import ObjectServer
from pylife_command import Pylife

pytestmark = pytest.mark.functional

AppMaker = Callable[..., Path]
BuildpackMaker = Callable[..., Path]


def packed(directory: Path) -> bytes:
    return subprocess.run(["tar", "-C", directory, "-cz", "."], check=True, capture_output=True).stdout


GROW = 'ls "$2" | sed s/^/had-/; touch "$2/$(date +%N)"'
KEEP = 'ls "$2" | wc -l'


@pytest.mark.parametrize("kind", ["folder", "layout", "registry"])  # URLs and objects: see test_as_platforms_do.py
def test_a_cache_is_stored_only_when_the_build_changed_it(
    pylife: Pylife,
    app: AppMaker,
    buildpack: BuildpackMaker,
    tmp_path: Path,
    kind: str,
    registry_server: Any,
) -> None:
    places = {
        "folder": str(tmp_path / "cache"),
        "layout": f"oci:{tmp_path / 'l'}:cache",
        "registry": f"docker://{registry_server.address}/caches/app:cache",
    }
    grow, keep = buildpack("grow", compile=GROW), buildpack("keep", compile=KEEP)
    words = ("slug", "build", "--app", app({"x": ""}), "--cache", places[kind], "-o", "/dev/null")
    first = pylife(*words, "-b", grow).err
    assert "Cache: none yet" in first and "Cache: changed" in first
    second = pylife(*words, "-b", grow).err
    assert second.count("had-") == 1 and "Cache: changed" in second
    same = pylife(*words, "-b", keep).err
    assert "Cache: restored" in same and "  2" in same.splitlines()
    assert "Cache: unchanged, nothing stored" in same


def test_a_cleared_cache_is_not_given_to_the_build_and_stays_when_nothing_replaces_it(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    words = ("slug", "build", "--app", app({"x": ""}), "--cache", tmp_path / "cache", "-o", "/dev/null")
    pylife(*words, "-b", buildpack("grow", compile=GROW))
    before = (tmp_path / "cache" / "cache.tgz").read_bytes()
    cleared = pylife(*words, "-b", buildpack("keep", compile=KEEP), "--clear-cache").err
    assert "  0" in cleared.splitlines() and "Cache: empty, nothing stored" in cleared
    assert (tmp_path / "cache" / "cache.tgz").read_bytes() == before


def test_the_same_source_from_everywhere_gives_the_same_slug_everywhere(
    pylife: Pylife, objects: ObjectServer, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    source = app({"Procfile": "web: serve\n", "lib/code": "code\n", "bin/tool": "#!/bin/sh\n"})
    archive = tmp_path / "source.tgz"
    archive.write_bytes(packed(source))
    objects.objects["/open/source.tgz"] = (archive.read_bytes(), {})
    pylife("slug", "build", "--app", source, "-b", buildpack("any"), "--no-cache", "-o", tmp_path / "slug.tgz")
    wanted = (tmp_path / "slug.tgz").read_bytes()
    words = ("slug", "build", "-b", tmp_path / "buildpacks" / "any", "--no-cache")
    assert pylife(*words, "--app", "-", stdin=archive.read_bytes()).raw == wanted
    assert pylife(*words, "--app", archive).raw == wanted
    assert pylife(*words, cwd=source).raw == wanted
    places = ("-o", objects.url("/open/slug.tgz?sig=5ecre7"), "-o", "s3://bucket/slug.tgz", "-o", tmp_path / "b.tgz")
    types = ("--procfile-output", tmp_path / "types")
    done = pylife(*words, "--app", objects.url("/open/source.tgz"), *places, *types, env=objects.environment)
    assert objects.objects["/open/slug.tgz"][0] == objects.objects["/bucket/slug.tgz"][0] == wanted
    assert (tmp_path / "b.tgz").read_bytes() == wanted
    assert (tmp_path / "types").read_text() == "web: serve\n"
    assert "5ecre7" not in done.err
    assert pylife("slug", "run", "s3://bucket/slug.tgz", "cat lib/code", env=objects.environment).out == "code\n"
    assert pylife("slug", "run", objects.url("/open/slug.tgz"), "--", "cat", "lib/code").out == "code\n"


def test_config_variables_reach_the_env_directory_alone(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    pack = buildpack("env", compile='(cd "$3"; grep -r .) | sort > "$1/vars"; env > "$1/environment"; ls -l "$3" >&2')
    folder = tmp_path / "vars"
    folder.mkdir()
    (folder / "FIRST").write_text("one\ntwo")
    (tmp_path / "file").write_text("SECOND=from file\n")
    options = ("--env-dir", folder, "--env-file", tmp_path / "file", "-e", "TOKEN=hunter2")
    slug = tmp_path / "slug.tgz"
    more = ("--stack", "heroku-24", "--source-version", "1f2e3d", "-o", slug, "--no-cache")
    done = pylife("slug", "build", "--app", app({"x": ""}), "-b", pack, *options, *more, env={"STRAY": "stray"})
    assert "hunter2" not in done.err
    with tarfile.open(fileobj=BytesIO(slug.read_bytes())) as archive:
        files = {name: archive.extractfile(f"./{name}").read().decode() for name in ("vars", "environment")}  # type: ignore[union-attr]
    assert files["vars"].splitlines() == ["FIRST:one", "FIRST:two", "SECOND:from file", "TOKEN:hunter2"]
    assert "hunter2" not in files["environment"] and "STRAY" not in files["environment"]
    for line in ("STACK=heroku-24", "SOURCE_VERSION=1f2e3d", "HOME=/app"):
        assert line in files["environment"].splitlines()


def test_a_process_of_an_image_has_the_port_of_the_family_when_none_is_given(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, image_name: str
) -> None:
    source = app({"Procfile": "web: echo $PORT $HOME\n"})
    pylife("build", "--slug", "--app", source, "-b", buildpack("any"), "--no-cache", "--image", image_name)
    assert pylife("run", image_name).out == "5000 /app\n"
    assert pylife("run", image_name, "-e", "PORT=81").out == "81 /app\n"


def test_an_image_has_the_layers_of_its_slug_whatever_a_buildpack_did_to_the_apps_directory(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, image_name: str, tmp_path: Path
) -> None:
    source, pack, slug = (
        app({"Procfile": "who: stat -c %a /app\n"}),
        buildpack("a", compile="chmod 711 /app"),
        tmp_path / "s",
    )
    pylife("slug", "build", "--app", source, "-b", pack, "--no-cache", "-o", slug)
    found = []
    for words in (("build", "--slug", "--app", source, "-b", pack, "--no-cache"), ("slug", "to-image", slug)):
        pylife(*words, "--image", image_name)
        layers = pylife("inspect", image_name, "--json").json["layers"]
        found.append([layer["diff_id"] for layer in layers if layer["created_by"].startswith("Application ")])
        assert pylife("run", image_name).out == "755\n"
    assert found[0] == found[1] and len(found[0]) == 1


def test_a_directory_is_a_buildpack_by_its_bare_name_but_never_in_the_place_of_pylifes_own(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker
) -> None:
    directory = buildpack("mine").parent
    buildpack("null", detect="echo Impostor")
    source = app({"Procfile": "web: true\n"})
    words = ("slug", "buildpack", "detect", "--app", source)
    assert pylife(*words, "-b", "mine", cwd=directory).out == "Mine\n"
    assert pylife(*words, "-b", "null", cwd=directory).out == "Null\n"
    assert "slug.bad-buildpack-url" in pylife(*words, "-b", "none", cwd=directory, code=2).err
