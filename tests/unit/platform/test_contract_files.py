from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.labels import AppMetadata, RunImageMetadata
from lifecycle.buildpack.layers import LayerMetadata, LayerTypes, StoredBuildpack, StoredLayer
from lifecycle.buildpack.order import System
from lifecycle.buildpack.plan import Plan, PlanEntry, Require
from lifecycle.buildpack.target import BaseTarget, Distro
from lifecycle.oci import Digest
from lifecycle.platform.analyzed import Analyzed, AnalyzedRunImage, load_analyzed, parse_analyzed, render_analyzed
from lifecycle.platform.api import PLATFORM_APIS, ExitCode, UnsupportedPlatformApi, supported_platform_api
from lifecycle.platform.errors import BadContractFile
from lifecycle.platform.files import (
    GroupFile,
    ProjectSource,
    Report,
    RunFile,
    RunImage,
    find_order,
    load_order,
    load_run,
    load_system,
    parse_group,
    parse_plan,
    parse_project_metadata,
    parse_report,
    parse_run,
    parse_stack,
    render_group,
    render_plan,
    render_project_metadata,
    render_report,
    render_run,
    render_stack,
)

ONE = Digest.of(b"1")


def test_group_separates_extensions() -> None:
    members = (
        GroupElement("e", "1.0.0", "0.11", optional=True, extension=True),
        GroupElement("a/b", "1.0.0", "0.11", "https://a.example", optional=True),
    )
    group = GroupFile.of(members)
    raw = render_group(group)
    assert tomllib.loads(raw.decode()) == {
        "group": [{"id": "a/b", "version": "1.0.0", "api": "0.11", "homepage": "https://a.example"}],
        "group-extensions": [{"id": "e", "version": "1.0.0", "api": "0.11"}],
    }
    again = parse_group(raw, "group.toml")
    assert again.extensions == group.extensions
    assert again.buildpacks == (GroupElement("a/b", "1.0.0", "0.11", "https://a.example"),)


def test_plan_round_trips_with_metadata_types() -> None:
    providers = (GroupElement("a", "1.0.0"), GroupElement("e", "1.0.0", extension=True))
    plan = Plan((PlanEntry(providers, (Require("x", {"day": date(2026, 1, 1), "n": 1}), Require("x"))),))
    assert parse_plan(render_plan(plan), "plan.toml") == plan


def test_run_image_is_found_by_any_of_its_names() -> None:
    run = RunFile((RunImage("reg.example/run:1", ("docker.io/library/run",)), RunImage("other")))
    assert parse_run(render_run(run), "run.toml") == run
    assert run.find("reg.example/run:1@" + str(ONE)) == run.images[0]
    assert run.find("run:latest") == run.images[0]
    assert run.find("reg.example/run:2") is None


def test_stack_names_one_run_image() -> None:
    image = RunImage("run", ("mirror",))
    assert parse_stack(render_stack(image), "stack.toml") == image
    assert parse_stack(b"", "stack.toml") is None


def test_project_metadata_round_trips() -> None:
    source = ProjectSource("git", {"commit": "abc"}, {"refs": ["main"]})
    assert parse_project_metadata(render_project_metadata(source), "p.toml") == source
    assert parse_project_metadata(render_project_metadata(None), "p.toml") is None


@pytest.mark.parametrize("report", [Report(("a:1", "b:2"), ONE, "", 1234), Report(("a:1",), None, "sha256:x")])
def test_report_round_trips(report: Report) -> None:
    assert parse_report(render_report(report), "report.toml") == report


ANALYZED = Analyzed(
    f"reg.example/app@{ONE}",
    f"reg.example/build@{ONE}",
    AppMetadata(
        (ONE,),
        ONE,
        (
            StoredBuildpack(
                "a/b",
                "1.0.0",
                {"l": StoredLayer(ONE, LayerMetadata(LayerTypes(launch=True), {"n": 5, "day": date(2026, 1, 1)}))},
                {"kept": 9007199254740993},
            ),
        ),
        ONE,
        ONE,
        None,
        RunImageMetadata(str(ONE), "ref", "run", ("m",)),
        RunImageMetadata(image="run", mirrors=("m",)),
    ),
    AnalyzedRunImage(f"run@{ONE}", "run", True, BaseTarget("linux", "arm", "v7", Distro("debian", "12"), "base.id")),
)


@pytest.mark.parametrize("analyzed", [ANALYZED, Analyzed()])
def test_analyzed_round_trips(analyzed: Analyzed) -> None:
    assert parse_analyzed(render_analyzed(analyzed), "analyzed.toml") == analyzed


def test_analyzed_uses_the_names_of_the_platform_api() -> None:
    data = tomllib.loads(render_analyzed(ANALYZED).decode())
    assert data["image"]["reference"] == f"reg.example/app@{ONE}"
    assert data["run-image"]["target"] == {
        "id": "base.id",
        "os": "linux",
        "arch": "arm",
        "arch-variant": "v7",
        "distro": {"name": "debian", "version": "12"},
    }
    assert data["metadata"]["run-image"]["top-layer"] == str(ONE)
    assert data["metadata"]["buildpacks"][0]["layers"]["l"]["metadata"]["n"] == 5


def test_analyzed_with_a_hostile_layer_name_is_refused() -> None:
    raw = b'[[metadata.buildpacks]]\nkey = "a"\n[metadata.buildpacks.layers."../../etc/x"]\nsha = ""\n'
    with pytest.raises(BadContractFile, match="no name for a layer"):
        parse_analyzed(raw, "analyzed.toml")


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"[[metadata.buildpacks]]\n", "analyzed.toml: metadata.buildpacks[0].key"),
        (b'[metadata.config]\nsha = "x"\n', "analyzed.toml: metadata.config.sha"),
        (b"image = 3\n", "analyzed.toml: image"),
    ],
)
def test_bad_analyzed_names_the_key(raw: bytes, where: str) -> None:
    with pytest.raises(BadContractFile) as error:
        parse_analyzed(raw, "analyzed.toml")
    assert error.value.where == where


def test_absent_files_are_empty_where_the_contract_says_so(tmp_path: Path) -> None:
    assert load_analyzed(tmp_path / "x") == Analyzed()
    assert load_run(tmp_path / "x") == RunFile()
    assert load_system(tmp_path / "x") == System()
    with pytest.raises(BadContractFile, match="No such file"):
        load_order(tmp_path / "x")


def test_order_is_looked_for_in_the_layers_directory_first(tmp_path: Path) -> None:
    given = tmp_path / "given.toml"
    assert find_order(given, tmp_path) == given
    assert find_order(None, tmp_path) == Path("/cnb/order.toml")
    (tmp_path / "order.toml").write_text("")
    assert find_order(None, tmp_path) == tmp_path / "order.toml"


def test_platform_apis() -> None:
    assert supported_platform_api("0.12") == Api(0, 12)
    assert [str(PLATFORM_APIS[0]), str(PLATFORM_APIS[-1])] == ["0.7", "0.15"]
    for text in (None, "", "0.6", "0.16", "1.0", "x"):
        with pytest.raises(UnsupportedPlatformApi) as error:
            supported_platform_api(text)
        assert error.value.exit_code == 11


def test_exit_codes_of_the_phases() -> None:
    assert [ExitCode.DETECT_NONE, ExitCode.BUILD_BUILDPACK, ExitCode.EXPORT] == [20, 51, 62]
