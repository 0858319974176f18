"""Buildpacks as the command line and project.toml name them: IDs, directories, addresses; native and classic ones."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from classic_buildpack import write_buildpack

from lifecycle.app.buildpacks import Chosen, UnknownBuildpackArgument, brings_own, choose_buildpacks
from lifecycle.errors import PylifeError
from lifecycle.slug.fetch import BuildpackUnreachable
from lifecycle.source.descriptor import BuildpackSource, ProjectDescriptor, Script
from lifecycle.source.remotes import Remotes

CLASSIC = {"detect": "echo Parrot", "compile": "true"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "cwd" / "app").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cwd")
    yield tmp_path / "cwd"


def native(directory: Path, id_: str = "acme/native") -> Path:
    (directory / "bin").mkdir(parents=True)
    (directory / "buildpack.toml").write_text(f'api = "0.10"\n[buildpack]\nid = "{id_}"\nversion = "1.0.0"\n')
    for name in ("detect", "build"):
        (directory / "bin" / name).write_text("#!/bin/sh\n")
        (directory / "bin" / name).chmod(0o755)
    return directory


def choose(*arguments: str, project: ProjectDescriptor | None = None) -> tuple[Chosen, list[list[str]]]:
    """What is chosen, and the names at the top of each directory, which are gone afterwards."""
    remotes = Remotes(Path("remotes").absolute())
    with choose_buildpacks(arguments, project, Path("app").absolute(), lambda: remotes) as chosen:
        return chosen, [sorted(os.listdir(directory)) for _, directory in chosen.directories]


def repository(directory: Path) -> Path:
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"),
    ):
        subprocess.run(["git", *words], cwd=directory, check=True)
    subprocess.run(["git", "tag", "v1"], cwd=directory, check=True)
    return directory


WRAPPED = ["bin", "buildpack.toml", "classic", "lib"]


def test_ids_are_the_builders(here: Path) -> None:
    (here / "pylife").mkdir()
    arguments = ("pylife/python", "pylife/python@0.1.0", "urn:cnb:builder:pylife/procfile")
    chosen, _ = choose(*arguments)
    assert chosen == Chosen(("pylife/python", "pylife/python@0.1.0", "pylife/procfile"))
    assert not brings_own(arguments, None, here / "app")


@pytest.mark.parametrize("form", ["parrot", "./parrot", "file://{here}/parrot", "{here}/parrot"])
def test_a_classic_directory_is_wrapped_for_the_build(here: Path, form: str) -> None:
    write_buildpack(here / "parrot", CLASSIC)
    text = form.format(here=here)
    chosen, names = choose(text, "pylife/python")
    assert chosen.entries[0].startswith("classic/parrot@0.0.0+") and chosen.entries[1] == "pylife/python"
    assert chosen.directories[0][0] == chosen.entries[0]
    assert names == [WRAPPED]
    assert not chosen.directories[0][1].exists()
    assert brings_own((text,), None, here / "app")


def test_a_native_directory_is_taken_as_it_is(here: Path) -> None:
    native(here / "one")
    chosen, _ = choose("./one")
    assert chosen.directories == (("acme/native@1.0.0", here / "one"),)


def test_both_kinds_are_fetched_from_git(here: Path) -> None:
    repository(write_buildpack(here / "heroku-buildpack-parrot", CLASSIC))
    (here / "heroku-buildpack-parrot/bin/compile").write_text("changed, but not committed")
    repository(native(here / "native.git"))
    chosen, names = choose(f"file://{here}/heroku-buildpack-parrot#v1", "./native.git#main")
    assert [entry.partition("@")[0] for entry in chosen.entries] == ["classic/parrot", "acme/native"]
    assert names == [WRAPPED, ["bin", "buildpack.toml"]]


def test_an_archive_is_unpacked(here: Path) -> None:
    write_buildpack(here / "buildpack-parrot-1.0", CLASSIC, mode=0o644)
    with tarfile.open(here / "parrot.tgz", "w:gz") as archive:
        archive.add("buildpack-parrot-1.0")
    chosen, names = choose("./parrot.tgz")
    assert chosen.entries[0].startswith("classic/parrot@")
    assert names == [WRAPPED]


def test_a_project_names_them_by_uri_beside_the_app_with_an_id(here: Path) -> None:
    write_buildpack(here / "app/buildpacks/parrot", CLASSIC)
    group = (BuildpackSource(id="acme/bird", uri="buildpacks/parrot"), BuildpackSource(id="pylife/python"))
    around = (BuildpackSource(id="acme/script", script=Script("0.10", "true", "/bin/sh")),)
    project = ProjectDescriptor(group=group, pre=around)
    chosen, names = choose(project=project)
    assert [entry.partition("@")[0] for entry in chosen.entries] == ["acme/bird", "pylife/python"]
    assert chosen.pre == ("acme/script@0.0.0",)
    assert names == [WRAPPED, ["bin", "buildpack.toml"]]
    assert brings_own((), project, here / "app")
    assert brings_own(("pylife/python",), project, here / "app"), "its pre goes around what is asked for"
    assert not brings_own(("pylife/python",), ProjectDescriptor(group=group), here / "app")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("./nothing", UnknownBuildpackArgument, "there is no"),
        ("file:///nowhere/at/all", UnknownBuildpackArgument, "there is no /nowhere/at/all"),
        ("./empty", UnknownBuildpackArgument, "neither a buildpack.toml nor"),
        ("docker://example.test/bp", UnknownBuildpackArgument, "a directory, an address or the builder"),
        ("some.cnb", UnknownBuildpackArgument, "a directory, an address or the builder"),
        ("ftp://example.test/bp.tgz", PylifeError, "ftp:// is not one of"),
        ("http://127.0.0.1:9/bp.tgz", BuildpackUnreachable, "Failed to download buildpack"),
    ],
)
def test_what_names_no_buildpack_is_refused_with_the_reason(
    here: Path, text: str, error: type[PylifeError], says: str
) -> None:
    (here / "empty").mkdir()
    with pytest.raises(error) as caught:
        choose(text)
    assert says in str(caught.value)


def test_the_builders_own_need_no_network(here: Path) -> None:
    def none() -> NoReturn:
        raise AssertionError("nothing is fetched")

    native(here / "one")
    with choose_buildpacks(("pylife/python", "./one"), None, here / "app", none) as chosen:
        assert len(chosen.entries) == 2
