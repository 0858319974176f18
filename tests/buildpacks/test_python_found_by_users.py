"""What people found who built apps of other projects: each of these once ended in a bad image or a bad message."""

from __future__ import annotations

from pathlib import Path

import pytest
from pylife_python.failures import explain
from pylife_python.index import hide
from pylife_python.web import guess_script, guess_web
from pylife_sdk.output import Failure
from test_python_managers import files_of
from workbench import Bench

POETRY_SYSTEM = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'


@pytest.mark.parametrize(
    ("code", "target"),
    [
        ("from fasthtml.common import *\napp = FastHTML(hdrs=(1,))\n", "main:app"),
        ("from fasthtml.common import *\napp, rt = fast_app()\n", "main:app"),
        ("from fasthtml import common\nsite, rt, todos, Todo = common.fast_app('todos.db')\n", "main:site"),
    ],
)
def test_a_fasthtml_app_is_served_by_uvicorn(bench: Bench, code: str, target: str) -> None:
    app = str(bench.write({"main.py": code}).app)
    guess = guess_web(app, {"python-fasthtml", "uvicorn"}, "requirements.txt")
    assert guess is not None
    assert guess.line == f"uvicorn {target} --host 0.0.0.0 --port ${{PORT:-8000}}"


def test_a_script_without_a_framework_is_what_the_image_starts(offline: Bench) -> None:
    ran = offline.write({"requirements.txt": "parrot\n", "main.py": "print('hello')\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "web: python main.py" in ran.out
    assert offline.processes("python")["web"]["command"][-1].endswith("python main.py")
    _, plan = offline.detect("python")
    assert plan["requires"][0]["metadata"]["pylife"]["processes"][0]["command"] == "python main.py"


def test_a_procfile_without_web_keeps_scripts_from_being_guessed(offline: Bench) -> None:
    files = {"requirements.txt": "parrot\n", "main.py": "print('hello')\n", "Procfile": "worker: python main.py\n"}
    ran = offline.write(files).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert not (offline.layers / "python" / "launch.toml").exists() or not offline.processes("python")


def test_an_image_without_a_process_is_warned_of(offline: Bench) -> None:
    ran = offline.write({"requirements.txt": "parrot\n", "tool/thing.py": "print('hello')\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert guess_script(str(offline.app)) is None
    assert "The image will have no process of its own" in ran.out + ran.err


def test_a_poetry_app_without_code_of_its_name_is_built_with_a_warning(offline: Bench, wheels: Path) -> None:
    files = files_of("poetry", wheels)
    files["pyproject.toml"] = files["pyproject.toml"].replace("package-mode = false\n", "") + POETRY_SYSTEM
    ran = offline.write(files | {"main.py": "import parrot\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    said = ran.out + ran.err
    assert "The app itself is not installed: there is no folder shop/" in said
    assert "package-mode = false" in said


@pytest.mark.parametrize("added", ['[tool.poetry.scripts]\nshop = "main:run"\n', ""])
def test_a_poetry_app_that_is_a_package_is_installed(offline: Bench, wheels: Path, added: str) -> None:
    # Here poetry-core is in no index, so that a build which wants it fails: it was not left aside.
    files = files_of("poetry", wheels)
    files["pyproject.toml"] = files["pyproject.toml"].replace("package-mode = false\n", "") + added + POETRY_SYSTEM
    files |= {"main.py": ""} if added else {"src/shop/__init__.py": ""}
    ran = offline.write(files).build("python")
    assert ran.code != 0
    assert "poetry-core" in ran.out + ran.err
    assert "The app itself is not installed" not in ran.out + ran.err


OLD_FOR_DJANGO = """\
error: No solution found when resolving dependencies
  cause: Because the current Python version (3.11.2) does not satisfy Python>=3.12 and django>=6.0,<=6.0.10 depends on \
Python>=3.12, we can conclude that django>=6.0,<=6.0.10 cannot be used.
"""
OLD_FOR_PROJECT = """\
error: The requested interpreter resolved to Python 3.11.2, which is incompatible with the project's Python \
requirement: `>=3.13`.
The following `requires-python` declarations do not permit this version:
- shop: >=3.13
"""
UNKNOWN_HOST = """\
error: Failed to download and build `nest @ git+https://code.example/nest.git`
  cause: Git operation failed
         fatal: unable to access 'https://code.example/nest.git/': Could not resolve host: code.example
"""
UNREACHABLE = (
    "A package of p.txt comes from a git repository that could not be fetched: "
    "code.example is not known to this network's DNS."
)


@pytest.mark.parametrize(
    ("output", "id", "said"),
    [
        (
            OLD_FOR_DJANGO,
            "python.no-matching-version",
            "django>=6.0,<=6.0.10 needs Python >=3.12, and the build image has 3.11.2.",
        ),
        (
            OLD_FOR_PROJECT,
            "python.version-unavailable",
            "requires-python asks for Python >=3.13, and the build has 3.11.2.",
        ),
        (
            UNKNOWN_HOST,
            "python.git-failed",
            UNREACHABLE,
        ),
    ],
)
def test_the_cause_is_named(output: str, id: str, said: str) -> None:
    with pytest.raises(Failure) as caught:
        explain(output, "p.txt")
    assert (caught.value.id, caught.value.what) == (id, said)


def test_a_full_version_of_a_pipfile_is_to_be_replaced(bench: Bench, wheels: Path) -> None:
    files = files_of("pipenv", wheels)
    files["Pipfile.lock"] = files["Pipfile.lock"].replace(
        '"python_version": "3.11"', '"python_version": "3.13", "python_full_version": "3.13.2"'
    )
    ran = bench.write(files).user_env(BP_RUNTIME_SOURCES="image").build("python")
    assert ran.failure == "python.version-unavailable", ran.err
    assert "below [requires] in place of python_full_version, then `pipenv lock`:" in ran.err


def test_a_variable_in_an_address_is_shown_and_a_password_is_not() -> None:
    said = hide("git+https://${GIT_TOKEN}@code.example/a and https://me:s3cret@index.example/", [])
    assert said == "git+https://${GIT_TOKEN}@code.example/a and https://****@index.example/"
