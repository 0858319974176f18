"""Real executables, run by a runner whose build root is the machine's own: inside paths are host paths."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import Buildpack, GroupElement
from lifecycle.buildpack.environment import Environment
from lifecycle.buildpack.execute import (
    BuildpackFailed,
    Context,
    MissingExecutable,
    OnLine,
    build_one,
    detect_one,
    ineligible,
)
from lifecycle.buildpack.launch import BadLaunchToml
from lifecycle.buildpack.layers import BadLayer, LayerTypes, read_layers
from lifecycle.buildpack.plan import Require
from lifecycle.buildpack.resolve import Verdict
from lifecycle.buildpack.sbom import BadSbom, SbomKind, place_sboms, restore_sboms, write_legacy_sboms
from lifecycle.buildpack.target import BaseTarget, Distro, Target
from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.events import Output, RecordingSink


class ProcessRunner:
    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, on_line: OnLine) -> int:
        done = subprocess.run(argv, env=dict(env), cwd=cwd, capture_output=True, text=True, check=False)
        for stream, text in (("stdout", done.stdout), ("stderr", done.stderr)):
            for line in text.splitlines():
                on_line(stream, line)
        return done.returncode


@pytest.fixture
def context(tmp_path: Path) -> Context:
    for name in ("workspace", "layers", "platform/env", "config/env"):
        (tmp_path / name).mkdir(parents=True)
    return Context(
        BuildRoot(Path("/")),
        BaseTarget("linux", "amd64", "", Distro("debian", "12")),
        Environment.inherited({"PATH": "/usr/bin:/bin", "SECRET": "x"}),
        Api(0, 12),
        app_dir=str(tmp_path / "workspace"),
        layers_dir=str(tmp_path / "layers"),
        platform_dir=str(tmp_path / "platform"),
        build_config_dir=str(tmp_path / "config"),
        scratch_dir=str(tmp_path / "scratch"),
    )


def make(tmp_path: Path, name: str = "detect", script: str = "", *, api: str = "0.11") -> Buildpack:
    directory = tmp_path / "bp"
    (directory / "bin").mkdir(parents=True, exist_ok=True)
    if script:
        file = directory / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return Buildpack("a/b", "1.0.0", Api.parse(api), str(directory), sbom_formats=("application/spdx+json",))


ELEMENT = GroupElement("a/b", "1.0.0")


def test_detect_reads_the_plan_and_keeps_both_streams(tmp_path: Path, context: Context) -> None:
    script = 'echo out; echo err >&2; printf \'[[provides]]\\nname = "x"\\n\' > "$2"; pwd'
    found = detect_one(ELEMENT, make(tmp_path, script=script), context, ProcessRunner())
    assert found.verdict is Verdict.PASSED
    assert found.plan.alternatives[0].provides == ("x",)
    assert found.output == ("out", context.app_dir, "err")
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(("code", "verdict"), [(100, Verdict.FAILED), (1, Verdict.ERRORED), (137, Verdict.ERRORED)])
def test_detect_exit_codes(tmp_path: Path, context: Context, code: int, verdict: Verdict) -> None:
    found = detect_one(ELEMENT, make(tmp_path, script=f"exit {code}"), context, ProcessRunner())
    assert (found.verdict, found.exit_code) == (verdict, code)


def test_detect_with_a_bad_plan_is_an_error_that_tells_why(tmp_path: Path, context: Context) -> None:
    script = 'printf \'[[requires]]\\nname = "x"\\nversion = "1"\\n\' > "$CNB_BUILD_PLAN_PATH"'
    found = detect_one(ELEMENT, make(tmp_path, script=script), context, ProcessRunner())
    assert found.verdict is Verdict.ERRORED
    assert "requires[0].version in the build plan of a/b@1.0.0" in found.why


def test_missing_detect_is_an_error(tmp_path: Path, context: Context) -> None:
    found = detect_one(ELEMENT, make(tmp_path), context, ProcessRunner())
    assert found.verdict is Verdict.ERRORED
    assert found.why.endswith("bin/detect is missing")


def test_flooding_detect_keeps_the_last_lines(tmp_path: Path, context: Context) -> None:
    found = detect_one(ELEMENT, make(tmp_path, script="seq 1 100000"), context, ProcessRunner())
    assert len(found.output) == 2000
    assert found.output[-1] == "100000"


def seen(tmp_path: Path, context: Context, api: str, *, clear_env: bool = False) -> dict[str, str]:
    buildpack = replace(make(tmp_path, script="env", api=api), clear_env=clear_env)
    found = detect_one(ELEMENT, buildpack, context, ProcessRunner())
    pairs = (line.partition("=") for line in found.output)
    return {name: value for name, _, value in pairs if name not in ("PWD", "SHLVL", "_", "OLDPWD")}


def test_oldest_api_sees_only_the_directory_variable(tmp_path: Path, context: Context) -> None:
    assert set(seen(tmp_path, context, "0.7")) == {"PATH", "CNB_BUILDPACK_DIR"}


def test_paths_since_0_8_targets_since_0_10_exec_env_since_0_12(tmp_path: Path, context: Context) -> None:
    context = replace(context, exec_env="test")
    paths = {"PATH", "CNB_BUILDPACK_DIR", "CNB_PLATFORM_DIR", "CNB_BUILD_PLAN_PATH"}
    targets = {"CNB_TARGET_OS", "CNB_TARGET_ARCH", "CNB_TARGET_DISTRO_NAME", "CNB_TARGET_DISTRO_VERSION"}
    assert set(seen(tmp_path, context, "0.9")) == paths
    assert set(seen(tmp_path, context, "0.10")) == paths | targets
    assert seen(tmp_path, context, "0.12")["CNB_EXEC_ENV"] == "test"


def test_user_and_operator_variables_reach_the_buildpack(tmp_path: Path, context: Context) -> None:
    (tmp_path / "platform/env/USER_VAR").write_text("user")
    (tmp_path / "config/env/OPERATOR").write_text("operator")
    assert seen(tmp_path, context, "0.11")["USER_VAR"] == "user"
    cleared = seen(tmp_path, context, "0.11", clear_env=True)
    assert "USER_VAR" not in cleared
    assert cleared["OPERATOR"] == "operator"
    assert "OPERATOR" not in seen(tmp_path, replace(context, platform_api=Api(0, 10)), "0.11")


def test_other_target_is_not_run(tmp_path: Path, context: Context) -> None:
    buildpack = replace(make(tmp_path, script="exit 0"), targets=(Target("linux", "arm64"),))
    found = detect_one(ELEMENT, buildpack, context, ProcessRunner())
    assert found.verdict is Verdict.TARGET
    assert found.why == "it supports linux/arm64, but the run image is linux/amd64 (debian 12)"
    assert ineligible(ELEMENT, buildpack, replace(context, platform_api=Api(0, 11))) is None


@pytest.mark.parametrize("where", ["element", "buildpack"])
def test_other_execution_environment_is_not_run(tmp_path: Path, context: Context, where: str) -> None:
    buildpack, element = make(tmp_path, script="exit 0", api="0.12"), ELEMENT
    if where == "buildpack":
        buildpack = replace(buildpack, exec_env=("test",))
    else:
        element = replace(element, exec_env=("test",))
    live = replace(context, exec_env="production", platform_api=Api(0, 15))
    found = detect_one(element, buildpack, live, ProcessRunner())
    assert found.verdict is Verdict.EXEC_ENV
    assert detect_one(element, buildpack, replace(live, exec_env="test"), ProcessRunner()).verdict is Verdict.PASSED


def test_extension_without_detect_uses_its_static_plan(tmp_path: Path, context: Context) -> None:
    buildpack = replace(make(tmp_path), extension=True)
    assert detect_one(ELEMENT, buildpack, context, ProcessRunner()).verdict is Verdict.PASSED
    (tmp_path / "bp/detect").mkdir()
    (tmp_path / "bp/detect/plan.toml").write_text('[[provides]]\nname = "x"\n')
    assert detect_one(ELEMENT, buildpack, context, ProcessRunner()).plan.alternatives[0].provides == ("x",)


def build(tmp_path: Path, context: Context, script: str, requires: Sequence[Require] = (), **changes: str):  # type: ignore[no-untyped-def]
    buildpack = make(tmp_path, "build", script, **changes)
    sink = RecordingSink()
    return build_one(ELEMENT, buildpack, requires, context.inherited, context, ProcessRunner(), sink), sink


def test_build_reads_layers_launch_store_and_environment(tmp_path: Path, context: Context) -> None:
    script = """
mkdir -p "$1/venv/bin" "$1/venv/env.build" "$1/tmp"
printf 3.12 > "$1/venv/env.build/PYTHON_VERSION"
printf '[types]\\nbuild = true\\nlaunch = true\\n[metadata]\\nn = 5\\n' > "$1/venv.toml"
printf '[metadata]\\n' > "$1/tmp.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["run"]\\n' > "$1/launch.toml"
printf '[[unmet]]\\nname = "later"\\n' > "$1/build.toml"
echo "plan: $3 $CNB_BP_PLAN_PATH"; cat "$3"; echo oops >&2
"""
    built, sink = build(tmp_path, context, script, [Require("now"), Require("later")])
    home = f"{context.layers_dir}/a_b"
    assert [(layer.name, str(layer.types), layer.present) for layer in built.layers] == [
        ("tmp", "ignored", True),
        ("venv", "build+launch", True),
    ]
    assert (Path(home) / "tmp.ignore").is_dir()
    assert not (Path(home) / "tmp").exists()
    assert built.layers[1].metadata.data == {"n": 5}
    assert built.launch.processes[0].type == "web"
    assert built.met == ("now",)
    assert built.environment.get("PATH") == f"{home}/venv/bin:/usr/bin:/bin"
    assert built.environment.get("PYTHON_VERSION") == "3.12"
    output = [event for event in sink.events if isinstance(event, Output)]
    assert output[-1] == Output("a/b", "oops", "stderr")
    assert any('name = "later"' in event.line for event in output)
    plan, variable = output[0].line.removeprefix("plan: ").split()
    assert plan == variable


def test_failing_build_shows_its_last_lines(tmp_path: Path, context: Context) -> None:
    with pytest.raises(BuildpackFailed, match="exited with 3") as error:
        build(tmp_path, context, "seq 1 50; exit 3")
    assert error.value.exit_code == 51
    assert error.value.details is not None
    assert error.value.details.splitlines()[-1] == "50"
    assert error.value.details_are_output
    assert "printed above" in error.value.fix


def test_failing_build_leads_to_the_page_that_its_last_lines_name(tmp_path: Path, context: Context) -> None:
    report = """
echo "look at pylife explain a.first"
echo " !     [python.no-index] More: pylife explain python.no-index." >&2
exit 1
"""
    with pytest.raises(BuildpackFailed) as error:
        build(tmp_path, context, report)
    assert error.value.fix.endswith(": pylife explain python.no-index")
    assert error.value.code == "buildpack.build-failed"


def test_missing_build_is_an_error(tmp_path: Path, context: Context) -> None:
    with pytest.raises(MissingExecutable):
        build(tmp_path, context, "")


def test_flags_at_the_top_level_are_an_error(tmp_path: Path, context: Context) -> None:
    with pytest.raises(BadLayer, match=r"types\.launch") as error:
        build(tmp_path, context, 'printf "launch = true\\n" > "$1/l.toml"')
    assert error.value.exit_code == 52


@pytest.mark.parametrize("name", ["build", "launch", "store"])
def test_forbidden_layer_names(tmp_path: Path, context: Context, name: str) -> None:
    with pytest.raises(BadLayer, match="reserved"):
        build(tmp_path, context, f'mkdir "$1/{name}"')


def test_bad_launch_toml_names_the_file(tmp_path: Path, context: Context) -> None:
    with pytest.raises(BadLaunchToml, match=r"a_b/launch\.toml"):
        build(tmp_path, context, 'printf "[[processes]]\\n" > "$1/launch.toml"')


def test_link_as_layer_is_no_layer(tmp_path: Path, context: Context) -> None:
    built, _ = build(tmp_path, context, 'ln -s /etc "$1/l"; printf "[types]\\nlaunch = true\\n" > "$1/l.toml"')
    assert [(layer.name, layer.present) for layer in built.layers] == [("l", False)]


def test_sbom_files_go_by_layer_type_and_come_back(tmp_path: Path, context: Context) -> None:
    script = """
for name in launch build l.v1 c gone; do echo "$name" > "$1/$name.sbom.spdx.json"; done
mkdir "$1/l.v1" "$1/c"
printf '[types]\\nlaunch = true\\n' > "$1/l.v1.toml"
printf '[types]\\ncache = true\\n' > "$1/c.toml"
"""
    built, _ = build(tmp_path, context, script)
    home = context.layers_dir
    assert [(item.kind, item.target.removeprefix(home)) for item in built.sboms] == [
        (SbomKind.BUILD, "/sbom/build/a_b/sbom.spdx.json"),
        (SbomKind.BUILD, "/sbom/build/a_b/c/sbom.spdx.json"),
        (SbomKind.CACHE, "/sbom/cache/a_b/c/sbom.spdx.json"),
        (SbomKind.LAUNCH, "/sbom/launch/a_b/l.v1/sbom.spdx.json"),
        (SbomKind.LAUNCH, "/sbom/launch/a_b/sbom.spdx.json"),
    ]
    place_sboms(context.root, built.sboms)
    write_legacy_sboms(context.root, home, [], [{"name": "x"}])
    assert Path(f"{home}/sbom/launch/a_b/l.v1/sbom.spdx.json").read_text() == "l.v1\n"
    assert Path(f"{home}/sbom/launch/sbom.legacy.json").read_text() == "null\n"
    assert Path(f"{home}/sbom/build/sbom.legacy.json").read_text() == '[{"name":"x"}]\n'
    for file in Path(home, "a_b").glob("*.sbom.spdx.json"):
        file.unlink()
    written = restore_sboms(context.root, home, [ELEMENT])
    assert written == (f"{home}/a_b/c.sbom.spdx.json", f"{home}/a_b/l.v1.sbom.spdx.json")
    assert Path(written[1]).read_text() == "l.v1\n"
    assert not Path(home, "sbom").exists()


@pytest.mark.parametrize(("name", "why"), [("cdx", "does not declare"), ("other", "must end in")])
def test_undeclared_sbom_format_is_an_error(tmp_path: Path, context: Context, name: str, why: str) -> None:
    with pytest.raises(BadSbom, match=why):
        build(tmp_path, context, f'echo > "$1/launch.sbom.{name}.json"')


def test_types_text() -> None:
    assert str(LayerTypes(True, True, True)) == "build+launch+cache"


def test_undeclared_directory_with_an_odd_name_is_no_layer(tmp_path: Path, context: Context) -> None:
    built, _ = build(tmp_path, context, """mkdir "$1/$(printf '\\377')" "$1/plain" """)
    assert [layer.name for layer in built.layers] == ["plain"]


def test_declared_layer_with_an_odd_name_is_an_error(tmp_path: Path, context: Context) -> None:
    with pytest.raises(BadLayer, match="no name for a layer"):
        build(tmp_path, context, """: > "$1/$(printf '\\377').toml" """)


def test_layer_that_is_named_like_a_contract_directory_of_pylife_is_fine(tmp_path: Path, context: Context) -> None:
    built, _ = build(tmp_path, context, 'mkdir "$1/sbom"; printf "[types]\\nlaunch = true\\n" > "$1/sbom.toml"')
    assert built.layers[0].types == LayerTypes(launch=True)


def test_huge_launch_toml_is_refused(tmp_path: Path, context: Context) -> None:
    with pytest.raises(BadFile, match="too large"):
        build(tmp_path, context, 'truncate -s 1T "$1/launch.toml"')


def test_launch_toml_that_is_a_link_to_the_host_stays_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "layers" / "a_b").mkdir(parents=True)
    (tmp_path / "outside.toml").write_text("[types]\nlaunch = true\n")
    (root / "layers" / "a_b" / "l.toml").symlink_to(tmp_path / "outside.toml")
    (layer,) = read_layers(BuildRoot(root), "/layers", ELEMENT)
    assert not layer.declared


def test_aside_name_that_is_taken_is_left_alone(tmp_path: Path, context: Context) -> None:
    script = 'mkdir "$1/l" "$1/l.ignore"; : > "$1/l/f"; : > "$1/l.toml"'
    build(tmp_path, context, script)
    assert Path(context.layers_dir, "a_b", "l", "f").exists()


def test_many_detects_at_once_do_not_disturb_each_other(tmp_path: Path, context: Context) -> None:
    script = """printf '[[provides]]\\nname = "%s"\\n' "$$" > "$2"; echo $$"""
    buildpack = make(tmp_path, script=script)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: detect_one(ELEMENT, buildpack, context, ProcessRunner()), range(48)))
    assert all(item.verdict is Verdict.PASSED for item in found)
    assert all(item.plan.alternatives[0].provides == item.output for item in found)
    assert len({item.output for item in found}) == 48


def test_directories_made_by_many_threads_at_once(tmp_path: Path) -> None:
    root = BuildRoot(tmp_path)
    for round_ in range(50):
        barrier = Barrier(4)

        def make_them(_: int, at: str = f"/r{round_}/a/b/c", barrier: Barrier = barrier) -> None:
            barrier.wait()
            root.make_dirs(at)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(make_them, range(4)))
        assert root.is_dir(f"/r{round_}/a/b/c")
