"""A real pylife in a subprocess on every rung, the default builder made once, and tiny buildpacks in shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import elsewhere
import pytest
from elsewhere import FILTERS, as_user
from pylife_command import BUILDER_IMAGES, PYLIFE, REPOSITORY, Pylife, copy_images


@pytest.fixture(scope="session")
def pylife(home: Path) -> Pylife:
    """pylife with the session's home, whose default builder is made on first use."""
    command = Pylife(home)
    command("builder", "create", timeout=1800)
    return command


@pytest.fixture
def fresh(pylife: Pylife, tmp_path: Path) -> Pylife:
    """pylife with a home of its own that has the stack and the builder and nothing else: no cache, no app image."""
    return Pylife(copy_images(pylife.home, tmp_path / "home", BUILDER_IMAGES))


@pytest.fixture(scope="session")
def public_pylife(pylife: Pylife, public_place: Path) -> Path:
    """A directory that every user may read: ``venv`` with pylife installed, ``home`` with the builder, ``sample``."""
    copy_images(pylife.home, public_place / "home", BUILDER_IMAGES)
    shutil.copytree(REPOSITORY / "samples" / "python-django", public_place / "sample")  # the checkout may be private
    return public_place


@pytest.fixture
def ordinary(public_pylife: Path) -> Pylife:
    """pylife as a user without privileges, with lent ids where the system lends them."""
    return _at(as_user(public_pylife, public_pylife / "home" / "store", lent=True))


@pytest.fixture
def ordinary_single(public_pylife: Path) -> Pylife:
    """pylife as a user without privileges and without lent ids."""
    return _at(as_user(public_pylife, public_pylife / "home" / "store", lent=False))


@pytest.fixture(params=FILTERS)
def in_container(
    public_pylife: Path, tool: Callable[[str], str], pylife: Pylife, request: pytest.FixtureRequest
) -> Pylife:
    """pylife as root in an ordinary container, under each of two filters of system calls."""
    store = public_pylife / "home" / "store"
    return _at(elsewhere.in_container(public_pylife, store, pylife.home / "store", tool, request.param))


def _at(place: elsewhere.Elsewhere) -> Pylife:
    return Pylife(place.home, place.prefix, place.program)


BuildpackMaker = Callable[..., Path]


@pytest.fixture
def buildpack(tmp_path: Path) -> BuildpackMaker:
    """A maker of small buildpacks: ``buildpack("acme/a", build="…shell…")`` gives its directory."""

    def make(
        identifier: str,
        *,
        build: str = "exit 0",
        detect: str = "exit 0",
        version: str = "1.0.0",
        api: str = "0.10",
        extra: str = "",
    ) -> Path:
        directory = tmp_path / "buildpacks" / identifier.replace("/", "_")
        (directory / "bin").mkdir(parents=True)
        (directory / "buildpack.toml").write_text(
            f'api = "{api}"\n[buildpack]\nid = "{identifier}"\nversion = "{version}"\nname = "{identifier}"\n{extra}\n'
        )
        for name, body in (("detect", detect), ("build", build)):
            script = directory / "bin" / name
            script.write_text(f"#!/bin/bash\nset -eu\n{body}\n")
            script.chmod(0o755)
        return directory

    return make


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A tiny app directory."""
    directory = tmp_path / "app"
    directory.mkdir()
    (directory / "hello.txt").write_text("hello\n")
    return directory


@pytest.fixture
def image_name(pylife: Pylife) -> Iterator[str]:
    """A name of its own for the test's image, removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    subprocess.run([PYLIFE, "rmi", name], env={**os.environ, "PYLIFE_HOME": str(pylife.home)}, capture_output=True)
