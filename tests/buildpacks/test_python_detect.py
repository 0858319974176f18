"""bin/detect of the Python buildpack: what passes, what it says, which plan it writes."""

from __future__ import annotations

import pytest
from workbench import Bench

HERE = "3.11.2"


@pytest.mark.parametrize(
    "name", ["requirements.txt", "app.py", "manage.py", "poetry.lock", "requirments.txt", "setup.py"]
)
def test_any_sign_of_python_passes(bench: Bench, name: str) -> None:
    ran, plan = bench.write({name: ""}).detect("python")
    assert ran.code == 0
    assert name in ran.out
    assert plan["provides"] == [{"name": "python"}]
    assert [require["name"] for require in plan["requires"]] == ["python"]


def test_a_committed_virtualenv_passes_so_that_the_build_can_explain(bench: Bench) -> None:
    (bench.app / ".venv").mkdir()
    ran, _ = bench.detect("python")
    assert ran.code == 0
    assert ".venv/" in ran.out


def test_an_app_without_python_does_not_match_and_hears_why(bench: Bench) -> None:
    ran, plan = bench.write({"index.html": ""}).detect("python")
    assert ran.code == 100
    assert plan == {}
    assert "looked for requirements.txt" in ran.out
    assert "Found in its root: index.html" in ran.out


def test_the_version_and_its_origin_are_told_and_planned(bench: Bench) -> None:
    ran, plan = bench.write({"requirements.txt": "", ".python-version": "# ours\n3\n"}).detect("python")
    assert ".python-version:2" in ran.out
    assert plan["requires"][0]["metadata"]["version-origin"] == "asked for by .python-version:2 (3)"


def test_an_unavailable_version_is_told_by_detect_too(bench: Bench) -> None:
    ran, _ = bench.write({"requirements.txt": "", ".python-version": "2.7"}).detect("python")
    assert ran.code == 0
    assert "[python.version-eol]" in ran.out


@pytest.mark.parametrize(
    ("files", "origin"),
    [
        ({".python-version": "3.11"}, ".python-version:1"),
        ({".python-version": "\n# comment\n3.11.2\n"}, ".python-version:3"),
        ({"runtime.txt": "python-3.11"}, "runtime.txt:1"),
        ({"pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.10,<4,!=3.10.*"\n'}, "pyproject.toml:3"),
        ({"pyproject.toml": '[project]\nrequires-python = "~=3.9"\n'}, "pyproject.toml:2"),
        ({"pyproject.toml": '[project]\nrequires-python = "==3.11.*"\n'}, "pyproject.toml:2"),
        ({".python-version": "3.11", "runtime.txt": "python-3.9.1"}, ".python-version:1"),
        ({"pyproject.toml": "[tool.other]\nx = 1\n"}, "no file of the app asks"),
    ],
)
def test_version_is_taken_from(bench: Bench, files: dict[str, str], origin: str) -> None:
    from pylife_python.version import choose

    choice = choose(str(bench.write(files).app), HERE)
    assert choice.version == HERE
    assert origin in choice.origin


def test_runtime_txt_is_deprecated_aloud(bench: Bench) -> None:
    from pylife_python.version import choose

    notes = choose(str(bench.write({"runtime.txt": "python-3.11.2"}).app), HERE).notes
    assert "git rm runtime.txt && echo 3.11 > .python-version" in notes[0]


@pytest.mark.parametrize(
    ("files", "id", "what"),
    [
        ({".python-version": "3.12"}, "python.version-unavailable", ".python-version:1 asks for Python 3.12"),
        ({".python-version": "3.11.9"}, "python.version-unavailable", "3.11.9"),
        ({"runtime.txt": "python-3.8.1"}, "python.version-eol", "runtime.txt:1"),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.12"'}, "python.version-unavailable", "pyproject.toml:2"),
        ({"pyproject.toml": '[project]\nrequires-python = "~=3.11.3"'}, "python.version-unavailable", "~=3.11.3"),
        ({".python-version": "3.11\n3.12\n"}, "python.version-several", "names 2 Python versions"),
        ({".python-version": "three"}, "python.version-invalid", ".python-version:1"),
        ({".python-version": ""}, "python.version-invalid", ".python-version:1"),
        ({"runtime.txt": "3.11"}, "python.version-invalid", "runtime.txt"),
        ({"pyproject.toml": "[project\n"}, "python.version-invalid", "pyproject.toml"),
        ({"pyproject.toml": '[project]\nrequires-python = "about 3"'}, "python.version-invalid", "pyproject.toml:2"),
    ],
)
def test_version_that_cannot_be_had(bench: Bench, files: dict[str, str], id: str, what: str) -> None:
    from pylife_python.version import choose
    from pylife_sdk.output import Failure

    with pytest.raises(Failure) as failed:
        choose(str(bench.write(files).app), HERE)
    assert failed.value.id == id
    assert what in failed.value.what
    assert failed.value.found
    assert failed.value.fix


def test_detect_imports_nothing_slow(bench: Bench) -> None:
    """Half of a detect's time would be these modules: they stay out of its way."""
    import subprocess

    from workbench import BUILDPACKS, PYTHON

    code = (
        f"import sys; sys.path[:0] = [{str(BUILDPACKS / 'sdk')!r}, {str(BUILDPACKS / 'python/lib')!r}]\n"
        "import pylife_python.detect, pylife_sdk.context\n"
        "print([m for m in ('dataclasses', 'inspect', 'typing', 'subprocess', 'json', 'tomllib') if m in sys.modules])"
    )
    run = subprocess.run([PYTHON, "-ISB", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
