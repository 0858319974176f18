"""A pylife of the test's own, without a builder (Dockerfiles need none), and one whose store has the stack's images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from dockerfile_command import Pylife


def _default_home() -> Path:
    """Where the user's own pylife keeps its store: ``make demo`` has made the stack there."""
    if home := os.environ.get("PYLIFE_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pylife"


_HOME = _default_home()  # read now: tests do not see the variables of the person who runs them


@pytest.fixture
def pylife_home(tmp_path: Path) -> Pylife:
    """pylife with a home of its own, empty."""
    return Pylife(tmp_path / "pylife-home")


@pytest.fixture(scope="session")
def stack_home() -> Pylife:
    """pylife with the session's home, which has the images of the default stack."""
    pylife = Pylife(_HOME)
    pylife("stack", "create")
    return pylife


@pytest.fixture
def image_name(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes names of images in the session's home; they are removed after the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"test-dockerfile-{os.getpid()}-{len(names)}")
        return names[-1]

    request.addfinalizer(lambda: [Pylife(_HOME).run("rmi", name) for name in names])
    return make
