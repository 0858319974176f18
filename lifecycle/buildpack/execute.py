"""Running one buildpack: prepare its inputs, start bin/detect or bin/build, read what it wrote.

How a process is started is the ``Runner``'s matter; there is no registry and no credential in reach from here.
Source: CNB buildpack.md, "Detection" and "Build", "Usage".
"""

from __future__ import annotations

import secrets
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import Buildpack, GroupElement, escape_id
from lifecycle.buildpack.environment import Environment
from lifecycle.buildpack.last_words import LastWords
from lifecycle.buildpack.launch import BuildToml, Launch, parse_build_toml, parse_launch_toml
from lifecycle.buildpack.layers import BuiltLayer, layers_path, read_layers, set_aside
from lifecycle.buildpack.plan import (
    NO_WISHES,
    BadBuildPlan,
    BuildPlan,
    Require,
    parse_build_plan,
    render_buildpack_plan,
)
from lifecycle.buildpack.resolve import Detection, Verdict
from lifecycle.buildpack.sbom import SbomFile, sbom_files
from lifecycle.buildpack.target import BaseTarget
from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.events import Message, Output, Sink

KEPT_LINES = 2000
_PATH_VARIABLES_API = Api(0, 8)
_TARGET_API = Api(0, 10)
_EXEC_ENV_API = Api(0, 12)


class BuildpackFailed(PylifeError):
    """A buildpack's bin/build ended with an error."""

    code = "buildpack.build-failed"
    exit_code = 51
    details_are_output = True
    fix = "Read what the buildpack printed above: it names the cause. Build again with -v to see more."


class MissingExecutable(PylifeError):
    """A component buildpack has no bin/build or no bin/detect."""

    code = "buildpack.missing-executable"
    exit_code = 52
    fix = "Package the buildpack again: bin/detect and bin/build must be in it and be executable."


OnLine = Callable[[str, str], None]


class Runner(Protocol):
    """Runs one process inside the build root as the CNB user and waits for it.

    ``env`` is the whole environment; ``cwd`` and ``argv[0]`` are inside paths. ``on_line(stream, line)`` gets each
    line of ``stdout`` and ``stderr`` without its newline. Returns the exit code (128 + n for signal n).
    """

    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, on_line: OnLine) -> int: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What is the same for every buildpack of a build. All directories are inside ``root``.

    ``inherited`` is the build image's environment as buildpacks may see it. ``owner`` is the CNB user's (uid, gid), to
    whom the files made for buildpacks are given; None leaves them to whoever runs. ``scratch_dir`` takes the plan
    files. ``variables`` say where the platform has put things, such as bindings.
    """

    root: BuildRoot
    target: BaseTarget
    inherited: Environment
    platform_api: Api
    app_dir: str = "/workspace"
    layers_dir: str = "/layers"
    platform_dir: str = "/platform"
    build_config_dir: str = "/cnb/build-config"
    scratch_dir: str = "/cnb/plans"
    exec_env: str = ""
    owner: tuple[int, int] | None = None
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)


def ineligible(element: GroupElement, buildpack: Buildpack, context: Context) -> Detection | None:
    """Why ``element`` need not even be run in this build, or None when it must be."""
    api = context.platform_api
    if api >= Api(0, 12) and not context.target.satisfies_any(buildpack.targets):
        wanted = " or ".join(map(str, buildpack.targets))
        return Detection(element, Verdict.TARGET, why=f"it supports {wanted}, but the run image is {context.target}")
    if api < Api(0, 15) or not context.exec_env:
        return None
    for declared, runs in (
        (buildpack.exec_env, buildpack.runs_in(context.exec_env)),
        (element.exec_env, not element.exec_env or not {"*", context.exec_env}.isdisjoint(element.exec_env)),
    ):
        if not runs:
            why = f"it is for {', '.join(declared)}, and this build is for {context.exec_env}"
            return Detection(element, Verdict.EXEC_ENV, why=why)
    return None


def detect_one(element: GroupElement, buildpack: Buildpack, context: Context, runner: Runner) -> Detection:
    """What bin/detect of ``buildpack`` says. Safe to call from several threads for several buildpacks.

    A detect that breaks, or whose plan is bad, is a Detection that says so, not an exception.
    """
    if skipped := ineligible(element, buildpack, context):
        return skipped
    executable = f"{buildpack.dir}/bin/detect"
    if not context.root.is_file(executable):
        if buildpack.extension:
            return _static_detection(element, buildpack, context)
        return Detection(element, Verdict.ERRORED, why=f"{executable} is missing")
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    scratch = _scratch(context, buildpack, b"")
    plan_path = f"{scratch}/plan.toml"
    env = _process_environment(buildpack, context, context.inherited, {"CNB_BUILD_PLAN_PATH": plan_path})
    try:
        argv = (executable, context.platform_dir, plan_path)
        code = runner.run(argv, env.variables, context.app_dir, lambda _stream, line: lines.append(line))
        plan = NO_WISHES if code else _read_plan(buildpack, context, plan_path)
    except (BadBuildPlan, BadFile) as error:
        return Detection(element, Verdict.ERRORED, exit_code=0, why=str(error), output=tuple(lines))
    finally:
        shutil.rmtree(context.root.host(scratch, follow=False), ignore_errors=True)
    return Detection.exited(element, code, plan, tuple(lines))


def _static_detection(element: GroupElement, buildpack: Buildpack, context: Context) -> Detection:
    try:
        plan = _read_plan(buildpack, context, f"{buildpack.dir}/detect/plan.toml")
    except (BadBuildPlan, BadFile) as error:
        return Detection(element, Verdict.ERRORED, why=str(error))
    return Detection.exited(element, 0, plan)


def _read_plan(buildpack: Buildpack, context: Context, path: str) -> BuildPlan:
    raw = context.root.read(path) or b""
    return parse_build_plan(raw, f"the build plan of {buildpack}", extension=buildpack.extension)


def _scratch(context: Context, buildpack: Buildpack, plan: bytes) -> str:
    """A fresh directory with ``plan.toml`` in it, owned by the build's user; its inside path."""
    context.root.make_dirs(context.scratch_dir)
    path = f"{context.scratch_dir}/{escape_id(buildpack.id)}.{secrets.token_hex(6)}"
    context.root.make_dirs(path, mode=0o700, owner=context.owner)
    context.root.write(f"{path}/plan.toml", plan, mode=0o600, owner=context.owner)
    return path


def _process_environment(
    buildpack: Buildpack, context: Context, env: Environment, paths: Mapping[str, str]
) -> Environment:
    """The whole environment of one executable: user's and operator's variables, then those of the contract."""
    if not buildpack.clear_env:
        env = env.with_platform(context.root, context.platform_dir)
    if context.platform_api >= Api(0, 11):
        env = env.with_operator(context.root, context.build_config_dir)
    own = {**context.variables, "CNB_EXTENSION_DIR" if buildpack.extension else "CNB_BUILDPACK_DIR": buildpack.dir}
    if buildpack.api >= _PATH_VARIABLES_API:
        own |= {"CNB_PLATFORM_DIR": context.platform_dir, **paths}
    if buildpack.api >= _TARGET_API:
        own |= context.target.variables()
    if buildpack.api >= _EXEC_ENV_API and context.exec_env:
        own["CNB_EXEC_ENV"] = context.exec_env
    return env.with_variables(own)


@dataclass(frozen=True, slots=True)
class Built:
    """What one buildpack's bin/build left.

    ``met`` are the names of its plan that later buildpacks need not see; ``environment`` is what the next buildpack
    inherits; ``build_bom`` the deprecated bom of build.toml.
    """

    buildpack: GroupElement
    layers: tuple[BuiltLayer, ...]
    launch: Launch
    met: tuple[str, ...]
    sboms: tuple[SbomFile, ...]
    environment: Environment
    build_bom: tuple[dict[str, Any], ...] = field(default=(), hash=False)


def build_one(
    element: GroupElement,
    buildpack: Buildpack,
    requires: Sequence[Require],
    env: Environment,
    context: Context,
    runner: Runner,
    sink: Sink,
) -> Built:
    """Run bin/build of ``buildpack`` and read its outputs.

    ``requires`` is its Buildpack Plan, ``env`` what it inherits (``context.inherited`` for the first). Every line goes
    to ``sink``. Raises BuildpackFailed (exit code 51), or what is wrong with a file that it wrote (52).
    """
    root, directory = context.root, layers_path(context.layers_dir, buildpack.id)
    executable = f"{buildpack.dir}/bin/build"
    if not root.is_file(executable):
        raise MissingExecutable(f"{buildpack} cannot build", why=f"{executable} is missing")
    root.make_dirs(directory, owner=context.owner)
    scratch = _scratch(context, buildpack, render_buildpack_plan(requires))
    plan_path = f"{scratch}/plan.toml"
    paths = {"CNB_BP_PLAN_PATH": plan_path, "CNB_LAYERS_DIR": directory}
    variables = _process_environment(buildpack, context, env, paths).variables
    last = LastWords()

    def on_line(stream: str, line: str) -> None:
        last.add(line)
        sink.emit(Output(buildpack.id, line, "stderr" if stream == "stderr" else "stdout"))

    try:
        argv = (executable, directory, context.platform_dir, plan_path)
        code = runner.run(argv, variables, context.app_dir, on_line)
    finally:
        shutil.rmtree(root.host(scratch, follow=False), ignore_errors=True)
    if code:
        what = f"{buildpack} failed: bin/build exited with {code}"
        raise BuildpackFailed(what, details=last.details, fix=last.fix)
    return _outputs(element, buildpack, requires, env, context, sink)


def _outputs(
    element: GroupElement,
    buildpack: Buildpack,
    requires: Sequence[Require],
    env: Environment,
    context: Context,
    sink: Sink,
) -> Built:
    root, directory = context.root, layers_path(context.layers_dir, buildpack.id)
    layers = read_layers(root, context.layers_dir, element)
    set_aside(root, layers)
    build = BuildToml()
    if (raw := root.read(f"{directory}/build.toml")) is not None:
        build = parse_build_toml(raw, f"{directory}/build.toml", buildpack, requires)
    launch = Launch()
    if (raw := root.read(f"{directory}/launch.toml")) is not None:
        launch = parse_launch_toml(raw, f"{directory}/launch.toml", buildpack)
    for warning in launch.warnings:
        sink.emit(Message(warning, "warning"))
    return Built(
        element,
        layers,
        launch,
        tuple(dict.fromkeys(require.name for require in requires if require.name not in build.unmet)),
        sbom_files(root, context.layers_dir, buildpack, layers),
        environment_after(root, env, layers),
        build.bom,
    )


def environment_after(root: BuildRoot, env: Environment, layers: Sequence[BuiltLayer]) -> Environment:
    """What the next buildpack inherits: ``env`` and the build layers, in the byte order of their toml files' names."""
    for layer in sorted(layers, key=lambda item: f"{item.name}.toml".encode(errors="surrogateescape")):
        if layer.types.build:
            env = env.after_build_layer(root, layer.path)
    return env
