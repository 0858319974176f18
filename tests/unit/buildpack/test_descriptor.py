from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.buildpack.api import Api, BadApi, UnsupportedApi
from lifecycle.buildpack.descriptor import (
    BadDescriptor,
    BuildpackStore,
    License,
    UnknownBuildpack,
    parse_descriptor,
)
from lifecycle.buildpack.target import BaseTarget, Distro, Target, parse_os_release
from lifecycle.oci import Platform

WHOLE = b"""
api = "0.12"
[buildpack]
id = "pylife/python"
name = "Python"
version = "1.2.3"
homepage = "https://example.org"
description = "d"
clear-env = true
keywords = ["python", "pip"]
sbom-formats = ["application/vnd.cyclonedx+json;version=1.4"]
exec-env = ["production"]
[[buildpack.licenses]]
type = "Apache-2.0"
uri = "https://license.example"
[[targets]]
os = "linux"
arch = "amd64"
variant = "v2"
[[targets.distros]]
name = "debian"
version = "12"
[metadata]
n = 5
"""


def parse(text: str, *, has_build: bool = True, extension: bool = False):  # type: ignore[no-untyped-def]
    return parse_descriptor(text.encode(), file="buildpack.toml", dir="/x", has_build=has_build, extension=extension)


def minimal(extra: str = "", *, api: str = "0.11", id_: str = "a", version: str = "1.0.0") -> str:
    return f'api = "{api}"\n[buildpack]\nid = "{id_}"\nversion = "{version}"\n{extra}'


def test_every_key_is_read() -> None:
    found = parse_descriptor(WHOLE, file="buildpack.toml", dir="/cnb/buildpacks/pylife_python/1.2.3")
    assert (found.id, found.version, found.api, found.name) == ("pylife/python", "1.2.3", Api(0, 12), "Python")
    assert (found.homepage, found.description, found.clear_env) == ("https://example.org", "d", True)
    assert found.keywords == ("python", "pip")
    assert found.sbom_formats == ("application/vnd.cyclonedx+json",)
    assert found.exec_env == ("production",)
    assert found.licenses == (License("Apache-2.0", "https://license.example"),)
    assert found.targets == (Target("linux", "amd64", "v2", (Distro("debian", "12"),)),)
    assert found.metadata == {"n": 5}
    assert found.dir == "/cnb/buildpacks/pylife_python/1.2.3"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[buildpack]\nid = "a"\nversion = "1.0.0"\n', "api"),
        (minimal(id_="a b"), "buildpack.id"),
        (minimal(id_="sbom"), "buildpack.id"),
        (minimal(id_=".."), "buildpack.id"),
        (minimal(id_=""), "buildpack.id"),
        (minimal(version="1.0"), "buildpack.version"),
        (minimal(version="01.0.0"), "buildpack.version"),
        (minimal('sbom-formats = ["text/plain"]\n'), "buildpack.sbom-formats[0]"),
        (minimal('clear-env = "yes"\n'), "buildpack.clear-env"),
        (minimal('keywords = ["a", 3]\n'), "buildpack.keywords[1]"),
        (minimal('[[order]]\n[[order.group]]\nid = "b"\n'), "order[0].group[0].version"),
        (minimal('[[targets]]\nos = "linux"\n[[order]]\n[[order.group]]\nid = "b"\nversion = "1.0.0"\n'), "order"),
        (minimal("[targets]\n"), "targets"),
    ],
)
def test_bad_descriptor_names_file_and_key(text: str, key: str) -> None:
    with pytest.raises(BadDescriptor) as error:
        parse(text)
    assert error.value.where == f"buildpack.toml: {key}"


def test_broken_toml_names_the_line() -> None:
    with pytest.raises(BadDescriptor, match="line 2"):
        parse('api = "0.11"\nx = = 3\n')


@pytest.mark.parametrize("api", ["0.6", "0.13", "1.0", "2"])
def test_unsupported_api_exits_with_12(api: str) -> None:
    with pytest.raises(UnsupportedApi) as error:
        parse(minimal(api=api))
    assert error.value.exit_code == 12


@pytest.mark.parametrize("api", ["zero", "0.1.2", "-1", "00.7", " 0.7"])
def test_malformed_api_is_refused(api: str) -> None:
    with pytest.raises(BadApi):
        parse(minimal(api=api))


def test_api_compares_as_numbers() -> None:
    assert Api.parse("0.9") < Api.parse("0.10")
    assert Api.parse("1") == Api(1, 0)


@pytest.mark.parametrize(
    ("stacks", "api", "targets"),
    [
        ([], "0.9", (Target("linux"),)),
        (["*"], "0.9", (Target(),)),
        (["io.buildpacks.stacks.bionic"], "0.9", (Target("linux", "amd64", "", (Distro("ubuntu", "18.04"),)),)),
        (["io.buildpacks.stacks.bionic", "other"], "0.9", (Target("linux"),)),
        (
            ["io.buildpacks.stacks.bionic", "other"],
            "0.10",
            (Target("linux", "amd64", "", (Distro("ubuntu", "18.04"),)),),
        ),
        (["heroku-22"], "0.9", (Target("linux"),)),
    ],
)
def test_stacks_become_targets(stacks: list[str], api: str, targets: tuple[Target, ...]) -> None:
    text = minimal("".join(f'[[stacks]]\nid = "{stack}"\n' for stack in stacks), api=api)
    assert parse(text).targets == targets


def test_without_bin_build_and_targets_anything_goes() -> None:
    assert parse(minimal(), has_build=False).targets == ()


def test_exec_env_as_tables() -> None:
    found = parse(minimal('[[buildpack.exec-env]]\nname = "test"\n', api="0.12"))
    assert found.exec_env == ("test",)
    assert found.runs_in("test")
    assert not found.runs_in("production")
    assert found.runs_in("")


def test_exec_env_counts_from_api_0_12() -> None:
    assert parse(minimal('exec-env = ["test"]\n', api="0.11")).runs_in("production")


def test_extension_descriptor() -> None:
    found = parse('api = "0.11"\n[extension]\nid = "e"\nversion = "1.0.0"\n', extension=True)
    assert found.extension
    assert found.element.optional


def put(root: Path, place: str, text: str, *executables: str) -> None:
    directory = root / place
    (directory / "bin").mkdir(parents=True)
    (directory / "buildpack.toml").write_text(text)
    for name in executables:
        (directory / "bin" / name).write_text("#!/bin/sh\n")


def test_store_finds_by_escaped_id_and_version(tmp_path: Path) -> None:
    put(tmp_path, "a_b/1.0.0", minimal(id_="a/b"), "build")
    put(tmp_path, "a_b/2.0.0", minimal(id_="a/b", version="2.0.0"))
    store = BuildpackStore(tmp_path)
    found = store.get("a/b", "1.0.0")
    assert found.dir == "/cnb/buildpacks/a_b/1.0.0"
    assert found.targets == (Target("linux"),)
    assert [str(item) for item in store] == ["a/b@1.0.0", "a/b@2.0.0"]


def test_store_tells_which_versions_it_has(tmp_path: Path) -> None:
    put(tmp_path, "a_b/1.0.0", minimal(id_="a/b"))
    with pytest.raises(UnknownBuildpack, match=r"it holds a_b@1\.0\.0"):
        BuildpackStore(tmp_path).get("a/b", "3.0.0")
    with pytest.raises(UnknownBuildpack):
        BuildpackStore(tmp_path).get("../../etc", "1.0.0")
    with pytest.raises(UnknownBuildpack):
        BuildpackStore(tmp_path / "none").get("a", "1.0.0")


def test_store_refuses_a_descriptor_in_another_place(tmp_path: Path) -> None:
    put(tmp_path, "a/1.0.0", minimal(id_="b"))
    with pytest.raises(BadDescriptor, match="place of a@1"):
        BuildpackStore(tmp_path).get("a", "1.0.0")


DEBIAN = BaseTarget("linux", "amd64", "", Distro("debian", "12"))


@pytest.mark.parametrize(
    ("base", "target", "fits"),
    [
        (DEBIAN, Target(), True),
        (DEBIAN, Target("linux"), True),
        (DEBIAN, Target("linux", "arm64"), False),
        (DEBIAN, Target("windows"), False),
        (DEBIAN, Target("linux", "amd64", "v3"), True),
        (BaseTarget("linux", "amd64", "v2"), Target("linux", "amd64", "v3"), False),
        (DEBIAN, Target(distros=(Distro("debian", "12"),)), True),
        (DEBIAN, Target(distros=(Distro("debian", "11"),)), False),
        (DEBIAN, Target(distros=(Distro("ubuntu", "22.04"), Distro("debian"))), True),
        (DEBIAN, Target(distros=(Distro("ubuntu"),)), False),
        (BaseTarget("linux", "amd64"), Target(distros=(Distro("debian"),)), False),
    ],
)
def test_target_matching(base: BaseTarget, target: Target, fits: bool) -> None:
    assert base.satisfies(target) is fits


def test_no_targets_fit_everywhere() -> None:
    assert DEBIAN.satisfies_any(())


def test_target_of_image_and_its_variables() -> None:
    labels = {"io.buildpacks.base.distro.name": "debian", "io.buildpacks.base.distro.version": "12"}
    base = BaseTarget.of_image(Platform("linux", "arm", "v7"), labels)
    assert base.variables() == {
        "CNB_TARGET_OS": "linux",
        "CNB_TARGET_ARCH": "arm",
        "CNB_TARGET_ARCH_VARIANT": "v7",
        "CNB_TARGET_DISTRO_NAME": "debian",
        "CNB_TARGET_DISTRO_VERSION": "12",
    }
    assert BaseTarget("linux", "amd64").variables() == {"CNB_TARGET_OS": "linux", "CNB_TARGET_ARCH": "amd64"}


def test_distro_from_os_release_only_where_labels_are_silent() -> None:
    read = parse_os_release(b'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\nID_LIKE=\'x y\'\n')
    assert read == Distro("debian", "12")
    assert parse_os_release(b"# nothing\nNAME=x\n") is None
    assert BaseTarget("linux", "amd64").or_distro(read).distro == read
    assert DEBIAN.or_distro(Distro("other", "1")).distro == Distro("debian", "12")
