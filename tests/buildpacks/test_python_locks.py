"""Lock files of Poetry, PDM and Pipenv, read as their own tools read them.

The files below python-locks/ were made by the tools that their folders name, from the project files beside them; what
is expected is what those tools install.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import workbench  # noqa: F401  (puts the buildpacks' libraries on the path)
from pylife_python import pdm, pipenv, poetry
from pylife_python.markers import applies, environment
from pylife_python.pins import Locked
from pylife_python.ranges import is_prerelease, order, parse

LOCKS = Path(__file__).parent / "python-locks"
HTTP2 = {"certifi", "click", "h11", "h2", "hpack", "httpcore", "hyperframe"}
READERS: dict[str, Any] = {"poetry": poetry, "pdm": pdm, "pipenv": pipenv}


def read(name: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    folder = LOCKS / name
    if name == "pipenv":
        return (
            pipenv,
            json.loads((folder / "Pipfile.lock").read_text()),
            tomllib.loads((folder / "Pipfile").read_text()),
        )
    tool = name.partition("-")[0]
    lock = tomllib.loads((folder / f"{tool}.lock").read_text())
    return READERS[tool], lock, tomllib.loads((folder / "pyproject.toml").read_text())


def locked(name: str, python: str = "3.11.2", wanted: tuple[str, ...] = ()) -> Locked:
    reader, lock, project = read(name)
    found: Locked = reader.locked(lock, project, "/workspace", environment(python), wanted)
    return found


ALL = ["poetry-2.5", "poetry-1.8", "pdm-2.20", "pdm-2.20-plain", "pipenv"]


@pytest.mark.parametrize("name", ALL)
def test_a_lock_pins_what_production_needs_with_its_hashes(name: str) -> None:
    pins = locked(name).pins
    assert {pin.name for pin in pins} == HTTP2 | ({"idna"} if name == "poetry-1.8" else set())
    assert all(pin.version and pin.hashes and all(h.startswith("sha256:") for h in pin.hashes) for pin in pins)


@pytest.mark.parametrize("name", ALL[:4])
def test_markers_are_asked_for_the_python_of_the_image(name: str) -> None:
    assert "tomli" in {pin.name for pin in locked(name, "3.10.4").pins}


@pytest.mark.parametrize(("name", "group"), [(name, "dev") for name in ALL] + [(name, "fast") for name in ALL[:4]])
def test_groups_and_extras_come_along_when_they_are_asked_for(name: str, group: str) -> None:
    more = {pin.name for pin in locked(name, wanted=(group,)).pins} - {pin.name for pin in locked(name).pins}
    assert more == {"iniconfig" if group == "dev" else "sniffio"}


@pytest.mark.parametrize(("python", "version"), [("3.11.2", "3.6"), ("3.12.1", "3.20")])
def test_one_of_two_locked_versions_is_for_this_python(python: str, version: str) -> None:
    assert {pin.version for pin in locked("poetry-1.8", python).pins if pin.name == "idna"} == {version}


@pytest.mark.parametrize("name", ALL)
def test_a_lock_is_current_until_its_project_file_changes(name: str) -> None:
    reader, lock, project = read(name)
    assert reader.is_current(lock, project)
    match name.partition("-")[0]:
        case "pipenv":
            project["packages"]["flask"] = "*"
        case "poetry" if "project" not in project:
            project["tool"]["poetry"]["dependencies"]["flask"] = "*"
        case _:
            project["project"]["dependencies"].append("flask")
    assert not reader.is_current(lock, project)


@pytest.mark.parametrize("name", ["poetry-1.8", "pdm-2.20-plain"])
def test_a_lock_without_a_package_that_is_needed_is_refused(name: str) -> None:
    reader, lock, project = read(name)
    lock["package"] = [package for package in lock["package"] if package["name"] != "h11"]
    with pytest.raises(ValueError, match="h11"):
        reader.locked(lock, project, "/workspace", environment("3.11.2"))


def test_packages_from_elsewhere_become_lines_of_requirements() -> None:
    def package(name: str, **source: str) -> dict[str, Any]:
        return {"name": name, "version": "1.0", "groups": ["main"], "files": [], "source": source}

    lock = {
        "metadata": {"lock-version": "2.1"},
        "package": [
            package("a", type="git", url="https://git.example/a.git", resolved_reference="c0ffee", subdirectory="lib"),
            package("b", type="git", url="git@git.example:acme/b.git", resolved_reference="beef"),
            package("c", type="url", url="https://files.example/c-1.0-py3-none-any.whl"),
            package("d", type="directory", url="libs/d") | {"develop": True},
            package("e", type="file", url="wheels/e-1.0-py3-none-any.whl"),
            package("f", type="legacy", url="https://index.example/simple", reference="own"),
        ],
    }
    found = poetry.locked(lock, {}, "/workspace", environment("3.11.2"))
    assert [pin.line() for pin in found.pins] == [
        "a @ git+https://git.example/a.git@c0ffee#subdirectory=lib",
        "b @ git+ssh://git@git.example/acme/b.git@beef",
        "c @ https://files.example/c-1.0-py3-none-any.whl",
        "-e /workspace/libs/d",
        "e @ file:///workspace/wheels/e-1.0-py3-none-any.whl",
        "f==1.0",
    ]
    assert found.indexes == (("own", "https://index.example/simple"),)


@pytest.mark.parametrize(
    ("wanted", "fits", "not_so"),
    [
        ("^3.11", "3.11.0 3.14.1", "3.10.9 4.0"),
        ("~3.11", "3.11.9", "3.12.0"),
        ("~=3.11.1", "3.11.9", "3.11.0 3.12.0"),
        (">=3.9,<3.12,!=3.10.*", "3.9 3.11.9", "3.10.3 3.12"),
        (">=3.8,<3.9 || >=3.11", "3.8.1 3.12", "3.10"),
        ("*", "1 2.0rc1", ""),
        ("^0.2.3", "0.2.9", "0.3.0"),
        ("<3.13", "3.12.9", "3.13.0rc1 3.13.0"),
        ("==1.0", "1.0.0 1.0+local", "1.0.post1"),
        (">1.0", "1.0.1", "1.0.post1 1.0"),
    ],
)
def test_ranges(wanted: str, fits: str, not_so: str) -> None:
    holds = parse(wanted)
    assert [version for version in fits.split() if not holds(version)] == []
    assert [version for version in not_so.split() if holds(version)] == []


def test_versions_are_in_order() -> None:
    versions = ["1.0.dev1", "1.0a1.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0"]
    versions += ["1.0.post1.dev1", "1.0.post1", "1.0.1", "1.10", "1!0.1"]
    assert sorted(versions, key=order) == versions
    assert [version for version in versions if is_prerelease(version)][-1] == "1.0.post1.dev1"
    for wrong in ("abc", ">=about 3", "==1..2"):
        with pytest.raises(ValueError, match=r"version"):
            parse(wrong)


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("", True),
        ("python_version < '3.12' and sys_platform == 'linux'", True),
        ("os_name == 'nt' or (python_full_version >= '3.11.0' and platform_machine in 'x86_64 aarch64')", True),
        ("sys_platform == 'darwin' or sys_platform == 'win32' and python_version > '3'", False),
        ("python_version not in '3.9, 3.10'", True),
        ("extra == 'Fast_Mode'", True),
        ("extra == 'slow'", False),
    ],
)
def test_markers(marker: str, holds: bool) -> None:
    assert applies(marker, environment("3.11.2"), {"fast-mode"}) is holds


@pytest.mark.parametrize("marker", ["python_version <", "moon == 'full'", "(python_version > '3'", "x y z w"])
def test_what_is_no_marker_is_refused(marker: str) -> None:
    with pytest.raises(ValueError, match=r"marker|bracket"):
        applies(marker, environment("3.11.2"))
