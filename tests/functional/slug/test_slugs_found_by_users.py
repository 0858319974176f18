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
