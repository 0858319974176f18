"""Workbenches with something on them: nothing, a finished build, restored layers, the Django sample."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from java_apps import clock, fresh  # noqa: F401 - fixtures
from workbench import PYTHON, ROOT, Bench, make_bench, make_wheel


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A workbench with nothing restored."""
    return make_bench(tmp_path / "bench")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small wheels made here: parrot 1.0 and 2.0, and cage, which needs parrot<2."""
    folder = tmp_path_factory.mktemp("wheels")
    code = "def talk():\n    return 'hello from the parrot'\n"
    for version in ("1.0", "2.0"):
        make_wheel(folder, "parrot", version, {"parrot/__init__.py": code, "parrot/colours.py": "RED = 'red'\n"})
    make_wheel(folder, "cage", "1.0", {"cage.py": "import parrot\n"}, requires=("parrot<2",))
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Bench:
    """A finished build of a small app: the origin of restored layers, and proof that a first build works."""
    if not PYTHON.exists() or subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.fail("the buildpacks need what their build image has: apt-get install python3 python3-pip python3-venv")
    bench = make_bench(tmp_path_factory.mktemp("made") / "bench")
    # The first run has the index, for uv itself; from then on the wheels are all there is.
    ran = bench.write({"requirements.txt": "# nothing yet\n", "app.py": "import parrot\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    bench.env = {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"}
    ran = bench.write({"requirements.txt": "parrot==1.0\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    return bench


@pytest.fixture
def offline(tmp_path: Path, made: Bench, wheels: Path) -> Bench:
    """A workbench with runtime and uv restored from an earlier build, which installs from the wheels alone."""
    bench = make_bench(tmp_path / "bench")
    target = bench.layers / "pylife_python"
    for name in ("runtime", "uv"):
        shutil.copytree(made.layer("python", name), target / name, symlinks=True, copy_function=os.link)
        shutil.copy(f"{made.layer('python', name)}.toml", target)
    bench.env = {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"}
    return bench


@pytest.fixture(scope="session")
def django(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The Django sample with its packages installed by the Python buildpack."""
    bench = make_bench(tmp_path_factory.mktemp("django") / "bench")
    shutil.copytree(ROOT / "samples" / "python-django", bench.app, dirs_exist_ok=True)
    ran = bench.build("python")
    assert ran.code == 0, ran.out + ran.err
    return bench


@pytest.fixture
def project(tmp_path: Path, django: Bench) -> Bench:
    """A copy of the Django sample, to be changed, with the sample's packages in the environment."""
    bench = make_bench(tmp_path / "bench")
    ignore = shutil.ignore_patterns("__pycache__", "staticfiles", "db.sqlite3")
    shutil.copytree(ROOT / "samples" / "python-django", bench.app, dirs_exist_ok=True, ignore=ignore)
    venv, runtime = django.layer("python", "venv"), django.layer("python", "runtime")
    path = f"{venv}/bin:{runtime}/bin:/usr/bin:/bin"
    bench.env = {"VIRTUAL_ENV": str(venv), "PATH": path, "LD_LIBRARY_PATH": f"{runtime}/libs"}
    return bench
