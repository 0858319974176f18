"""What each name stands for by which platforms call the one program of the slug images."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lifecycle.builder.slug import ENTRYPOINTS, LINKS
from lifecycle.compat.slug import PROGRAMS, words

POD = {"SOURCE_GET_URL": "http://127.0.0.1/source.tgz"}


@pytest.mark.parametrize(
    ("call", "environment", "expected"),
    [
        ("/runner/init start web", {}, "slug init -- start web"),
        ("/runner/init", {}, "slug init"),
        ("/runner/init bash -c ls", {}, "slug init -- bash -c ls"),
        ("/start web", {}, "slug procfile start -- web"),
        ("/exec ls -la", {}, "slug procfile exec -- ls -la"),
        ("/usr/local/bin/herokuish procfile parse web", {}, "slug procfile parse web"),
        ("/bin/herokuish paths", {}, "slug paths"),
        ("/usr/local/bin/pylife --version", {}, "--version"),
        ("/builder/build.sh -", {}, "slug build --output -"),
        ("/builder/build.sh", POD, "slug build"),
        ("/builder/build.sh", {}, "slug build --output /tmp/slug.tgz"),
        ("/builder/build.sh https://slugs.test/a.tgz", {}, "slug build --output https://slugs.test/a.tgz"),
        ("/builder/build.sh --log herokuish", {}, "slug build --log herokuish"),
        ("/build", {}, "slug buildpack build"),
        ("/build", POD, "slug build"),
        ("/build -", {}, "slug build --output -"),
        ("init start worker", {}, "slug init -- start worker"),
    ],
)
def test_a_name_and_its_arguments_are_a_command_of_pylife(
    call: str, environment: dict[str, str], expected: str
) -> None:
    assert " ".join(words(call.split(), environment)) == expected


def test_every_link_in_the_images_is_known() -> None:
    names = {os.path.basename(link) for link in LINKS}
    assert names == {*PROGRAMS, "build.sh"}
    assert {path.lstrip("/") for path in ENTRYPOINTS.values()} <= set(LINKS)


def test_a_program_as_the_slugbuilders_argument_takes_its_place() -> None:
    """As in `docker run IMAGE /build` or `… bash`: the container's command is one of its programs."""
    called = ["/builder/build.sh", "sh", "-c", "echo here $1", "s", "x"]
    code = f"from lifecycle.compat.slug import words; words({called}, {{}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "here x\n"
