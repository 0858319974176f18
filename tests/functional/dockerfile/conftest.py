"""A pylife of the test's own, without a builder (Dockerfiles need none), and one whose store has the stack's images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dockerfile_command import Pylife

from lifecycle.testing.busybox import PATH, busybox_rootfs


@pytest.fixture
def pylife_home(tmp_path: Path) -> Pylife:
    """pylife with a home of its own, empty."""
    return Pylife(tmp_path / "pylife-home")


@pytest.fixture(scope="session")
def stack_home(home: Path) -> Pylife:
    """pylife with the session's home, which has the images of the default stack."""
    pylife = Pylife(home)
    pylife("stack", "create")
    return pylife


@pytest.fixture
def image_name(home: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes names of images in the session's home; they are removed after the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"test-dockerfile-{os.getpid()}-{len(names)}")
        return names[-1]

    request.addfinalizer(lambda: [Pylife(home).run("rmi", name) for name in names])
    return make


@pytest.fixture(scope="session")
def busybox_home(tmp_path_factory: pytest.TempPathFactory) -> Pylife:
    """pylife with a home that has ``base``, which is busybox with a user (1000) and a group, and nothing else."""
    place = tmp_path_factory.mktemp("busybox")
    busybox_rootfs(place / "context" / "root")
    (place / "context" / "Dockerfile").write_text(
        f"FROM scratch\nCOPY root/ /\nCOPY --chown=1000:1000 root/home/user /home/user/\nENV PATH={PATH}\n"
    )
    pylife = Pylife(place / "home")
    pylife.build(place / "context", "--image", "base", "-q")
    return pylife


@pytest.fixture
def busybox(busybox_home: Pylife, tmp_path: Path) -> Pylife:
    """pylife with a home of its own, in whose store ``base`` is."""
    home = tmp_path / "home-with-busybox"
    shutil.copytree(busybox_home.home / "store", home / "store")
    return Pylife(home)
