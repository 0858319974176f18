"""pylife with the images of the slug stack, apps and classic buildpacks of a few lines, and an object store."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from classic_buildpack import write_buildpack
from objectserver import ObjectServer, serve_objects
from pylife_command import REPOSITORY, Pylife, user_environment

AppMaker = Callable[[Mapping[str, str]], Path]
BuildpackMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def pylife(home: Path) -> Pylife:
    """pylife with the session's home, in whose store the slugbuilder and the slugrunner are: made on first use."""
    command = Pylife(home)
    command("stack", "create", "slug", timeout=1800)
    return command


@pytest.fixture
def app(tmp_path: Path) -> AppMaker:
    """A maker of apps: ``app({"Procfile": "web: …"})`` gives the directory; what begins with ``#!`` is executable."""

    def make(files: Mapping[str, str]) -> Path:
        directory = tmp_path / f"app-{uuid.uuid4().hex[:6]}"
        directory.mkdir()
        for name, text in files.items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if text.startswith("#!") else 0o644)
        return directory

    return make


@pytest.fixture
def buildpack(tmp_path: Path) -> BuildpackMaker:
    """A maker of classic buildpacks: ``buildpack("one", compile="…bash…")`` gives the directory.

    Without more it takes every app, and leaves its name in the file ``made-by`` of the slug.
    """

    def make(name: str, **scripts: str) -> Path:
        usual = {"detect": f"echo {name.capitalize()}", "compile": f'echo {name} >> "$1/made-by"'}
        return write_buildpack(
            tmp_path / "buildpacks" / name, {key.replace("_", "-"): text for key, text in {**usual, **scripts}.items()}
        )

    return make


@pytest.fixture
def objects() -> Iterator[ObjectServer]:
    """An object store on loopback; what is below ``/open/`` needs no signature, as behind a signed URL."""
    with serve_objects() as server:
        yield server


@pytest.fixture
def image_name(pylife: Pylife) -> Iterator[str]:
    """A name of its own for the test's image, removed afterwards."""
    name = f"test-slug-{uuid.uuid4().hex[:12]}"
    yield name
    subprocess.run([*pylife.command, "rmi", name], env=user_environment(pylife), capture_output=True)


@pytest.fixture
def start(pylife: Pylife) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts pylife in the background: ``start("slug", "run", "-", stdin=b"…")``; ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*args: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*pylife.command, *map(str, args)],
            env={**user_environment(pylife), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """samples/slug-classic as a directory of the test's own."""
    copy = tmp_path / "slug-classic"
    shutil.copytree(REPOSITORY / "samples" / "slug-classic", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy
