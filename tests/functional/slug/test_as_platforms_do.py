"""Builds as platforms order them: an environment, no argument, and a log that is read by its steps."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from objectserver import SECRET, ObjectServer
from platform_steps import DEFAULT_STEPS, PILOT_STEPS, Step, follow
from pylife_command import Pylife

pytestmark = pytest.mark.functional

APP = {
    "Procfile": "web: serve --port $PORT\nworker: work\n",
    "main.tiny": "hello\n",
    "bin/pre-compile": "#!/bin/bash\necho before\n",
    "bin/post-compile": "#!/bin/bash\necho after\n",
}
SIGNED = "?X-Amz-Signature=5ecre7"


def tgz(directory: Path) -> bytes:
    """What is in the directory, as a platform packs its sources and its buildpacks."""
    return subprocess.run(["tar", "-C", directory, "-cz", "."], check=True, capture_output=True).stdout


def names(slug: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(slug)) as archive:
        return {member.name.removeprefix("./") for member in archive if member.isfile()}


def read(slug: bytes, name: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(slug)) as archive:
        file = archive.extractfile(f"./{name}")
        assert file is not None
        return file.read().decode()


@pytest.fixture
def stored(objects: ObjectServer, app: Callable[..., Path], buildpack: Callable[..., Path]) -> ObjectServer:
    """A store with the source of an app and two buildpacks."""
    first = buildpack("apt", compile='echo netcat > "$1/apt.txt"; echo "export APT=ready" > "${0%/bin/*}/export"')
    second = buildpack(
        "python",
        compile='echo "$APT $(cat "$3/COLOUR")" > "$1/python.txt"; echo "-----> pip"; echo kept > "$2/wheel"',
        release="echo 'default_process_types: {console: python}'",
    )
    for name, place in (("source.tgz", app(APP)), ("apt.tgz", first), ("python.tgz", second)):
        objects.objects[f"/open/{name}"] = (tgz(place), {})
    return objects


def pilot(server: ObjectServer, **more: str) -> dict[str, str]:
    """The environment of a slug-pilot's pod; the keys are for the platform's older builders, which know their store."""
    required = ((kind, server.url(f"/open/{kind}.tgz{SIGNED}")) for kind in ("apt", "python"))
    return {
        "SOURCE_GET_URL": server.url(f"/open/source.tgz{SIGNED}"),
        "SLUG_SET_URL": server.url(f"/open/slug.tgz{SIGNED}"),
        "CACHE_GET_URL": server.url(f"/open/cache.tgz{SIGNED}"),
        "CACHE_SET_URL": server.url(f"/open/cache.tgz{SIGNED}"),
        "REQUIRED_BUILDPACKS": ";".join(f"tar {kind} {url} v1" for kind, url in required),
        "TAR_PATH": "home/app:1/tar",
        "PUT_PATH": "home/app:1/push",
        "CACHE_PATH": "home/app/cache",
        "PILOT_BUILDER_TIMEOUT": "15m",
        "COLOUR": "red",
        **more,
    }


def check_steps(steps: Sequence[Step], log: str) -> None:
    """Every step is seen to begin and to be done, in the order of the platform's list."""
    found = follow(steps, log.splitlines())
    assert [begun for begun, _ in found] == sorted(begun for begun, _ in found), log
    assert all(begun >= 0 for begun, _ in found), log
    assert all(done > begun for step, (begun, done) in zip(steps, found, strict=True) if step.done), log


def test_slug_pilots_environment_builds_a_slug_and_keeps_the_cache(pylife: Pylife, stored: ObjectServer) -> None:
    log = pylife("slug", "build", env=pilot(stored)).out
    check_steps(PILOT_STEPS, log)
    slug = stored.objects["/open/slug.tgz"][0]
    assert names(slug) >= {"Procfile", "main.tiny", "apt.txt", "python.txt", ".release"}
    assert read(slug, "python.txt") == "ready red\n", "neither the export of the first buildpack nor the env directory"
    assert "Selected 2 buildpacks: [apt python]" in log
    assert "Fetching buildpack python:v1" in log
    assert "5ecre7" not in log, "a signature is in the log"
    cache = stored.objects["/open/cache.tgz"][0]
    assert names(cache) == {"wheel"}
    again = pylife("slug", "build", env=pilot(stored)).out
    assert "Cache has not changed, not updating" in again and "Slug has not changed, not updating" in again
    assert stored.objects["/open/slug.tgz"][0] == slug
    assert stored.methods("/open/slug.tgz").count("PUT") == 1
    assert stored.methods("/open/cache.tgz") == ["GET", "PUT", "GET"]


@pytest.mark.parametrize("refused", ["slug", "cache"])
def test_a_put_that_is_refused_fails_the_build_and_what_was_there_stays(
    pylife: Pylife, stored: ObjectServer, refused: str
) -> None:
    for name in ("slug", "cache"):
        stored.objects[f"/open/{name}.tgz"] = (b"old", {})
    wrong = stored.url(f"/{refused}.tgz{SIGNED}")  # outside of /open/ nothing is taken without a signature
    done = pylife("slug", "build", env=pilot(stored, **{f"{refused.upper()}_SET_URL": wrong}), code=1)
    assert f"/{refused}.tgz" in done.err and "HTTP 403" in done.err
    assert "5ecre7" not in done.out + done.err
    assert "Step finish failed" in done.out + done.err
    assert "Build success" not in done.out
    assert stored.objects["/open/slug.tgz"][0] == stored.objects["/open/cache.tgz"][0] == b"old"


def test_a_server_that_answers_500_is_asked_again_and_named(pylife: Pylife, stored: ObjectServer) -> None:
    stored.objects["/open/slug.tgz"] = (b"old", {})
    stored.statuses = [500] * 50
    done = pylife("slug", "build", env=pilot(stored), code=1)
    assert "slug.not-sent" in done.err and "500" in done.err
    assert stored.objects["/open/slug.tgz"][0] == b"old"
    assert "/open/cache.tgz" not in stored.objects
    stored.statuses = [503]
    pylife("slug", "build", env=pilot(stored))
    assert stored.objects["/open/slug.tgz"][0] != b"old"


def slugbuilder(server: ObjectServer) -> dict[str, str]:
    """The environment of a slugbuilder's pod."""
    return {
        **server.environment,
        "BUILDER_STORAGE": "s3",
        "SLUG_BUCKET": "git",
        "TAR_PATH": "home/app:git-1f2e3d4c/tar",
        "PUT_PATH": "home/app:git-1f2e3d4c/push",
        "CACHE_PATH": "home/app/cache",
        "SOURCE_VERSION": "1f2e3d4c",
        "BUILDPACK_URL": server.url("/open/python.tgz"),
        "COLOUR": "blue",
    }


def test_slugbuilders_keys_are_read_and_written(pylife: Pylife, stored: ObjectServer) -> None:
    top = "/git/home/app%3Agit-1f2e3d4c"
    stored.objects[f"{top}/tar"] = stored.objects["/open/source.tgz"]
    done = pylife("slug", "build", env=slugbuilder(stored))
    check_steps(DEFAULT_STEPS, done.out)
    slug = stored.objects[f"{top}/push/slug.tgz"][0]
    assert read(slug, "python.txt") == " blue\n"
    for line in (
        "-----> Python app detected",
        "       Procfile declares types -> web, worker",
        "       Default process types for Python -> console",
    ):
        assert line in done.out.splitlines()
    assert yaml.safe_load(stored.objects[f"{top}/push/Procfile"][0]) == {
        "web": "serve --port $PORT",
        "worker": "work",
    }
    assert names(stored.objects["/git/home/app/cache/cache.tgz"][0]) == {"wheel"}
    assert SECRET not in done.out + done.err
    again = pylife("slug", "build", env=slugbuilder(stored))
    assert "       Slug unchanged, not uploading" in again.out.splitlines()
    assert "       Cache unchanged, not updating" in again.out.splitlines()
    assert stored.methods(f"{top}/push/slug.tgz").count("PUT") == 1


@pytest.mark.parametrize("refused", ["push/slug.tgz", "push/Procfile", "cache.tgz"])
def test_of_slug_types_and_cache_all_are_replaced_or_none(
    pylife: Pylife,
    stored: ObjectServer,
    app: Callable[[Mapping[str, str]], Path],
    buildpack: Callable[..., Path],
    refused: str,
) -> None:
    push = "/git/home/app%3Agit-1f2e3d4c/push"
    stored.objects["/git/home/app%3Agit-1f2e3d4c/tar"] = stored.objects["/open/source.tgz"]
    pylife("slug", "build", env=slugbuilder(stored))
    keys = {name: f"{push}/{name}" for name in ("slug.tgz", "Procfile")} | {
        "cache.tgz": "/git/home/app/cache/cache.tgz"
    }
    before = {name: stored.objects[key][0] for name, key in keys.items()}
    stored.objects["/git/home/app%3Agit-1f2e3d4c/tar"] = (tgz(app({**APP, "Procfile": "clock: tick\n"})), {})
    stored.objects["/open/other.tgz"] = (tgz(buildpack("other", compile='echo new > "$2/new"')), {})
    other = {**slugbuilder(stored), "BUILDPACK_URL": stored.url("/open/other.tgz")}
    stored.refused = {keys[refused.rpartition("/")[2]]}
    done = pylife("slug", "build", env=other, code=1)
    assert "slug.not-sent" in done.err and refused in done.err
    assert {name: stored.objects[key][0] for name, key in keys.items()} == before
    stored.refused = set()
    pylife("slug", "build", env=other)
    assert all(stored.objects[key][0] != before[name] for name, key in keys.items())


def test_app_without_procfile_has_its_default_types_uploaded(
    pylife: Pylife, stored: ObjectServer, app: Callable[[Mapping[str, str]], Path]
) -> None:
    top = "/git/home/app%3Agit-1f2e3d4c"
    stored.objects[f"{top}/tar"] = (tgz(app({"main.tiny": ""})), {})
    pylife("slug", "build", env=slugbuilder(stored))
    assert yaml.safe_load(stored.objects[f"{top}/push/Procfile"][0]) == {"console": "python"}


def test_keys_that_the_store_does_not_know_fail_clearly(pylife: Pylife, stored: ObjectServer) -> None:
    done = pylife("slug", "build", env=slugbuilder(stored), code=1)
    assert "s3://git/home/app:git-1f2e3d4c/tar cannot be fetched" in done.err
    assert "fix:" in done.err
    wrong = {**slugbuilder(stored), "AWS_SECRET_ACCESS_KEY": "wrong"}
    stored.objects["/git/home/app%3Agit-1f2e3d4c/tar"] = stored.objects["/open/source.tgz"]
    done = pylife("slug", "build", env=wrong, code=1)
    assert "SignatureDoesNotMatch" in done.err or "403" in done.err
    assert "wrong" not in done.out


def test_a_json_log_has_one_object_a_line(pylife: Pylife, stored: ObjectServer) -> None:
    done = pylife("slug", "build", "--progress", "json", env=pilot(stored))
    moments = [json.loads(line) for line in done.err.splitlines()]
    told = [moment["moment"] for moment in moments if "moment" in moment]
    assert (told[0], told[-1]) == ("started", "ended")
    assert {"step-began", "compiling", "slug-made", "sending", "cache-checked"} <= set(told)
    assert "5ecre7" not in done.err
