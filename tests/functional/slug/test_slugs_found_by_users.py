"""What users of the family's tools stumbled over: their pods, their variables, their habits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from objectserver import ObjectServer
from pylife_command import Pylife

pytestmark = pytest.mark.functional

AppMaker = Callable[..., Path]
BuildpackMaker = Callable[..., Path]
RUNNER, BUILDER = "pylife/slugrunner", "pylife/slugbuilder"


@pytest.fixture
def slug(pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path) -> Path:
    """A slug with a process ``who`` that tells who it is."""
    place = tmp_path / "slug.tgz"
    source = app({"Procfile": "who: id -u; id -g; cat made-by; env\n"})
    pylife("slug", "build", "--app", source, "-b", buildpack("one"), "--no-cache", "-o", place)
    return place


def test_the_slug_is_taken_from_the_address_that_bluekings_platform_signs(
    pylife: Pylife, slug: Path, objects: ObjectServer
) -> None:
    """It sets SLUG_GET_URL, and SLUG_URL to the key of an object, which is no address."""
    objects.objects["/open/slug.tgz"] = (slug.read_bytes(), {})
    signed = objects.url("/open/slug.tgz?Signature=5ecre7")
    pod = ("-e", f"SLUG_GET_URL={signed}", "-e", "SLUG_URL=home/app/push/slug.tgz")
    done = pylife("run", *pod, RUNNER, "--", "start", "who")
    assert "one" in done.out.splitlines()
    assert "5ecre7" not in done.out, "the app sees who signs"
    variables = {"SLUG_GET_URL": signed, "SLUG_URL": "home/app/push/slug.tgz"}
    assert "one" in pylife("slug", "run", "start", "who", env=variables).out.splitlines()


def test_the_images_give_the_app_to_any_user_of_the_group_root(pylife: Pylife, slug: Path) -> None:
    """OpenShift starts containers as a user that the image does not know, in the group root."""
    for image in (RUNNER, BUILDER):
        shown = pylife("run", "--entrypoint", "stat", image, "--", "-c", "%a %u %g", "/app").out
        assert shown == "775 2000 0\n", image


def test_a_slugbuilder_without_an_app_says_how_to_give_it_one(pylife: Pylife) -> None:
    done = pylife("run", "--entrypoint", "/builder/build.sh", BUILDER, code=2)
    assert "slug.no-source" in done.err and "SOURCE_GET_URL" in done.err


def test_buildpacks_named_by_the_environment_count_beside_options(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    """Whoever sets BUILDPACK_URL or REQUIRED_BUILDPACKS means it; an option comes before them."""
    one, two, out = buildpack("one"), buildpack("two"), tmp_path / "slug.tgz"
    source = app({"Procfile": "web: true\n"})
    build = ("slug", "build", "--app", source, "--no-cache", "-o", out)
    pylife(*build, env={"BUILDPACK_URL": f"file://{one}"})
    assert pylife("slug", "run", out, "cat", "made-by").out == "one\n"
    pylife(*build, env={"REQUIRED_BUILDPACKS": f"tar two file://{two} v1;tar one file://{one} v1"})
    assert pylife("slug", "run", out, "cat", "made-by").out == "two\none\n"
    pylife(*build, "-b", two, env={"BUILDPACK_URL": f"file://{one}"})
    assert pylife("slug", "run", out, "cat", "made-by").out == "two\n"
