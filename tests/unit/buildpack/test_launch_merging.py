from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from case_file import cases, lines, sections

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import Buildpack, GroupElement
from lifecycle.buildpack.launch import (
    BadBuildToml,
    LaunchMetadata,
    Process,
    merge_launches,
    parse_build_toml,
    parse_launch_toml,
    parse_store_toml,
)
from lifecycle.buildpack.metadata import (
    BuildMetadata,
    LauncherVersion,
    parse_build_label,
    parse_build_metadata,
)
from lifecycle.buildpack.plan import Require
from lifecycle.errors import PylifeError


def shown(launch: LaunchMetadata) -> list[str]:
    out = []
    if launch.processes or not (launch.labels or launch.slices):
        out.append(f"default: {launch.default_type or '-'}")
    else:
        out.append("default: -")
    for process in launch.processes:
        how = "direct" if process.direct else "shell"
        words = f"{json.dumps(list(process.command))} {json.dumps(list(process.args))}"
        where = f" {process.working_dir}" if process.working_dir else ""
        out.append(f"{process.type}: {words} {how} {process.buildpack_id}{where}")
    out.extend(f"label {key}={value}" for key, value in launch.label_map().items())
    out.extend(f"slice {' '.join(item.paths)}" for item in launch.slices)
    out.extend(f"warning: {warning}" for warning in launch.warnings)
    return out


@pytest.mark.parametrize("path", cases("launch"), ids=lambda path: path.stem)
def test_launch_case(path: Path) -> None:
    text = sections(path)
    expected = lines(text.pop("expect"))
    try:
        launches = []
        for name, body in text.items():
            id_, api = name.split()
            buildpack = Buildpack(id_, "1.0.0", Api.parse(api), f"/cnb/buildpacks/{id_}/1.0.0")
            launches.append(parse_launch_toml(body.encode(), "launch.toml", buildpack))
        found = shown(merge_launches(launches))
    except PylifeError as error:
        found = [f"error: {error}"]
    assert found == expected


BUILT = BuildMetadata(
    (GroupElement("a/b", "1.0.0", "0.11", "https://a.example/?x&y"), GroupElement("c", "2.0.0", "0.8")),
    (),
    LaunchMetadata(
        (
            Process("web", ("gunicorn", "app"), ("-b", "<x>"), True, False, "a/b", "/srv"),
            Process("work", ("celery",), (), False, False, "c"),
        ),
        "web",
    ),
)


def test_label_has_the_official_key_order_and_escapes() -> None:
    assert BUILT.to_label(Api(0, 12), LauncherVersion("1.2", "https://git.example", "abc")) == (
        '{"buildpacks":[{"id":"a/b","version":"1.0.0","homepage":"https://a.example/?x\\u0026y"},'
        '{"id":"c","version":"2.0.0"}],'
        '"launcher":{"version":"1.2","source":{"git":{"repository":"https://git.example","commit":"abc"}}},'
        '"processes":[{"type":"web","command":["gunicorn","app"],"args":["-b","\\u003cx\\u003e"],"direct":true,'
        '"buildpackID":"a/b","working-dir":"/srv"},'
        '{"type":"work","command":["celery"],"args":[],"direct":false,"buildpackID":"c"}],'
        '"buildpack-default-process-type":"web"}'
    )


def test_metadata_toml_for_a_platform_with_list_commands() -> None:
    data = tomllib.loads(BUILT.to_toml(Api(0, 12)).decode())
    assert data["buildpack-default-process-type"] == "web"
    assert data["buildpacks"][0] == {
        "id": "a/b",
        "version": "1.0.0",
        "api": "0.11",
        "homepage": "https://a.example/?x&y",
    }
    assert data["processes"][0]["command"] == ["gunicorn", "app"]
    assert data["processes"][0]["buildpack-id"] == "a/b"
    assert "default" not in data["processes"][0]


def test_metadata_toml_for_a_platform_with_string_commands() -> None:
    (web, work) = tomllib.loads(BUILT.to_toml(Api(0, 9)).decode())["processes"]
    assert (web["command"], web["args"]) == ("gunicorn", ["app", "-b", "<x>"])
    assert (work["command"], work["args"], work["direct"]) == ("celery", [], False)


@pytest.mark.parametrize("api", [Api(0, 10), Api(0, 15)])
def test_metadata_survives_file_and_label(api: Api) -> None:
    assert parse_build_metadata(BUILT.to_toml(api), "metadata.toml") == BUILT
    from_label = parse_build_label(BUILT.to_label(api, LauncherVersion()), "image")
    assert from_label.launch.processes == BUILT.launch.processes
    assert from_label.launch.default_type == "web"


def test_label_of_the_official_lifecycle_with_nulls_is_read() -> None:
    label = (
        '{"bom":null,"buildpacks":[{"id":"a","version":"1"}],"launcher":{"version":"","source":{"git":{}}},'
        '"processes":[{"type":"web","command":"run","args":null,"direct":false,"buildpackID":"a"}]}'
    )
    (process,) = parse_build_label(label, "image").launch.processes
    assert process == Process("web", ("run",), (), False, False, "a")


A = Buildpack("a", "1.0.0", Api(0, 11), "/x")


def test_unmet_name_must_be_in_the_plan() -> None:
    assert parse_build_toml(b'[[unmet]]\nname = "x"\n', "build.toml", A, [Require("x")]).unmet == ("x",)
    with pytest.raises(BadBuildToml, match="not in the plan"):
        parse_build_toml(b'[[unmet]]\nname = "y"\n', "build.toml", A, [Require("x")])
    with pytest.raises(BadBuildToml, match="required"):
        parse_build_toml(b"[[unmet]]\n", "build.toml", A, [Require("x")])


def test_bom_gets_its_buildpack() -> None:
    raw = b'[[bom]]\nname = "x"\n[bom.metadata]\nwhen = 2020-01-01T00:00:00Z\n'
    assert parse_launch_toml(raw, "launch.toml", A).bom == (
        {"name": "x", "metadata": {"when": "2020-01-01T00:00:00Z"}, "buildpack": {"id": "a", "version": "1.0.0"}},
    )


def test_store_keeps_types() -> None:
    assert parse_store_toml(b"[metadata]\nn = 9007199254740993\n", "store.toml") == {"n": 9007199254740993}
