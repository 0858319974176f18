"""The order of a slug build: hooks, detect, compile, release, process types.

The source is in ``paths.build``, the cache in ``paths.cache``, each buildpack in ``paths.buildpacks/NN_name`` before
any of this is called.
Source: herokuish, include/buildpack.bash; deis slugbuilder, builder/build.sh; heroku-buildpack-multi, bin/compile.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path

from lifecycle.buildpack.execute import Runner
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.appjson import AppJson, parse_app_json
from lifecycle.slug.buildpack import (
    ClassicBuildpack,
    Surroundings,
    bash,
    compile,
    export_file,
    has,
    make_executable,
    release,
    report,
)
from lifecycle.slug.detection import Choice, detect_all, insist
from lifecycle.slug.dialects import Dialect
from lifecycle.slug.environment import (
    env_dir,
    parse_dotenv,
    ssh_command,
    ssh_key,
)
from lifecycle.slug.files import read_app_file
from lifecycle.slug.hooks import Hooks
from lifecycle.slug.moments import (
    Compiling,
    Discovering,
    Journal,
    Line,
    Selected,
    StepBegan,
    StepDone,
    StepName,
    TypesFound,
    Warned,
)
from lifecycle.slug.ownership import give
from lifecycle.slug.paths import Paths
from lifecycle.slug.place import check_writable, make_inside, move_app, own_directory
from lifecycle.slug.procfile import Procfile, parse_procfile
from lifecycle.slug.release import Release, Types, merge, parse_release, render_config_vars, render_release
from lifecycle.slug.selection import Mode

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CURL = {"CURL_CONNECT_TIMEOUT": "30", "CURL_TIMEOUT": "180"}


class NoTests(PylifeError):
    """An app is to be tested, and nothing says how."""

    code = "slug.no-tests"
    fix = 'Name the command in app.json: {"environments": {"test": {"scripts": {"test": "make test"}}}}.'


@dataclass(frozen=True, slots=True)
class SlugInputs:
    """What a slug build is given.

    ``buildpacks`` in order: for mode ``default`` those that are asked, else those chosen. ``config_vars`` go to the env
    directory alone; ``variables`` are the base of the process environment (PATH, proxies), as ``process_variables``
    picks them. ``dotenv`` exports the app's .env while it is built; ``dialect`` is how its Procfile is read.
    """

    buildpacks: tuple[ClassicBuildpack, ...]
    mode: Mode = "default"
    config_vars: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    stack: str = ""
    source_version: str = ""
    request_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    dotenv: bool = True
    dialect: Dialect = "heroku"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A built app, now in ``paths.app``. ``used`` are the buildpacks with what each called the app, in order.

    ``reports`` are what the bin/report of each said; ``seconds`` is wall time.
    """

    used: tuple[tuple[ClassicBuildpack, str], ...]
    types: Types
    procfile: Procfile | None
    reports: tuple[tuple[ClassicBuildpack, str], ...]
    seconds: float


def compile_slug(
    inputs: SlugInputs, root: BuildRoot, runner: Runner, paths: Paths, owner: tuple[int, int] | None, journal: Journal
) -> Compiled:
    """Build the app. ``owner`` is (uid, gid) of the build's user, None where one id stands for all.

    Tells the steps ``detect``, ``analysis`` and ``build``, then Discovering and TypesFound; setup, export and finish
    belong to the caller. On failure ``paths.app`` is what it was. Raises what detect, hooks, compile, release and
    Procfile raise.
    """
    began = time.monotonic()
    with Build.open(inputs, root, runner, paths, owner, journal) as build:
        used = build.compile()
        exports = build.exports
        releases = [(item.name, build.release(item)) for item, _ in used]
        journal.tell(Discovering())
        procfile = build.procfile()
        types = merge(procfile, releases)
        for warning in (*(procfile.warnings if procfile else ()), *types.warnings):
            journal.tell(Warned(warning))
        journal.tell(TypesFound(types.declared, types.default, used[-1][1]))
        build.write_release(releases[-1][1])
        reports = [(item, text) for item, _ in used if (text := report(item, build.around, exports))]
        move_app(root, paths.build, paths.app, owner)
    return Compiled(used, types, procfile, tuple(reports), time.monotonic() - began)


@dataclass(slots=True)
class Build:
    """One build at work. ``exports`` are the files that the buildpacks so far have left for later ones."""

    inputs: SlugInputs
    around: Surroundings
    owner: tuple[int, int] | None
    journal: Journal
    exports: tuple[str, ...] = ()

    @classmethod
    @contextmanager
    def open(
        cls,
        inputs: SlugInputs,
        root: BuildRoot,
        runner: Runner,
        paths: Paths,
        owner: tuple[int, int] | None,
        journal: Journal,
    ) -> Iterator[Build]:
        """A build whose directories and env directory are made; the SSH key, if any, is gone when the block ends."""

        def on_line(stream: str, line: str) -> None:
            journal.tell(Line(line, "stderr" if stream == "stderr" else "stdout"))

        for place in (paths.build, paths.app, paths.cache, paths.env):
            root.make_dirs(place, owner=owner)
        check_writable(root, paths.app)
        give(root, paths.cache, owner)
        for buildpack in inputs.buildpacks:
            make_executable(buildpack, root)
        variables = _variables(inputs, root, paths, journal)
        with env_dir(root, paths, inputs.config_vars, owner) as env, _key(inputs, root, paths, owner) as ssh:
            around = Surroundings(root, runner, replace(paths, env=env), {**variables, **ssh}, on_line)
            yield cls(inputs, around, owner, journal)

    def compile(self, *, for_tests: bool = False) -> tuple[tuple[ClassicBuildpack, str], ...]:
        """Detect, then run hooks and buildpacks; the buildpacks with what each called the app."""
        with self._step("detect"):
            choices = detect_all(self.inputs.buildpacks, self.inputs.mode, self.around, self.journal)
        with self._step("analysis"):
            self.journal.tell(Selected(tuple(choice.buildpack.name for choice in choices)))
            self.procfile(self.journal)  # a bad one is to be known before an hour of compiling
        with self._step("build"):
            buildpacks = [choice.buildpack for choice in choices]
            hooks = Hooks(self.around, buildpacks, self.inputs.config_vars, self.journal)
            hooks.run("pre-compile")
            used = tuple((choice.buildpack, self._compile(choice, for_tests)) for choice in choices)
            hooks.run("post-compile", self.exports)
        return used

    def _compile(self, choice: Choice, for_tests: bool) -> str:
        buildpack = choice.buildpack
        kind = insist(choice, self.inputs.mode, self.around, self.exports, self.journal)
        self.journal.tell(Compiling(kind, buildpack.name))
        compile(buildpack, self.around, self.exports, kind=kind, for_tests=for_tests)
        self.exports += export_file(buildpack, self.around.root)
        return kind

    def procfile(self, journal: Journal | None = None) -> Procfile | None:
        """The app's Procfile as it is now; ``journal`` is told when it cannot be read. Raises BadProcfile."""
        raw = _app_file("Procfile", self.around.root, self.around.paths, journal)
        return None if raw is None else parse_procfile(raw, self.inputs.dialect)

    def release(self, buildpack: ClassicBuildpack) -> Release:
        """What bin/release of ``buildpack`` says; nothing where there is none."""
        return parse_release(release(buildpack, self.around, self.exports) or b"", buildpack.name)

    def write_release(self, last: Release) -> None:
        """Put the release that counts into the slug: ``.release``, and what sets its variables when the app starts."""
        root, build = self.around.root, self.around.paths.build
        own_directory(root, build)
        root.write(f"{build}/.release", render_release(last), owner=self.owner)
        if last.config_vars:
            profiles = make_inside(root, build, ".profile.d", self.owner)
            root.write(f"{profiles}/00_config_vars.sh", render_config_vars(last.config_vars), owner=self.owner)

    @contextmanager
    def _step(self, name: StepName) -> Iterator[None]:
        began = time.monotonic()
        self.journal.tell(StepBegan(name))
        yield
        self.journal.tell(StepDone(name, time.monotonic() - began))


def _app_file(name: str, root: BuildRoot, paths: Paths, journal: Journal | None) -> bytes | None:
    """The bytes of a file at the top of the app. A link that leads out of it is not followed: whoever reads may be
    allowed more than the app."""
    raw = read_app_file(Path(own_directory(root, paths.build)), name)
    if raw is None and journal and os.path.lexists(root.host(f"{paths.build}/{name}", follow=False)):
        journal.tell(Warned(f"{name} is not read: it is no file of the app's own."))
    return raw


def _variables(inputs: SlugInputs, root: BuildRoot, paths: Paths, journal: Journal) -> dict[str, str]:
    """The environment of the build's processes: the app's .env in front of the base, what the contract sets behind."""
    own = {
        "HOME": paths.app,
        "APP_PATH": paths.app,
        "PATH": inputs.variables.get("PATH") or _PATH,
        "REQUEST_ID": inputs.request_id or f"build-{secrets.token_hex(4)}",
        "STACK": inputs.stack,
        "SOURCE_VERSION": inputs.source_version,
    }
    if trace := inputs.config_vars.get("BUILDPACK_XTRACE"):
        own["BUILDPACK_XTRACE"] = trace
    given: Mapping[str, str] = {}
    if inputs.dotenv and (raw := _app_file(".env", root, paths, journal)) is not None:
        dotenv = parse_dotenv(raw)
        given = dotenv.variables
        for warning in dotenv.warnings:
            journal.tell(Warned(warning))
    return {**_CURL, **inputs.variables, **given, **{name: value for name, value in own.items() if value}}


@contextmanager
def _key(inputs: SlugInputs, root: BuildRoot, paths: Paths, owner: tuple[int, int] | None) -> Iterator[dict[str, str]]:
    """What makes git use the app's SSH_KEY while it is built: a file outside of app and cache."""
    key = ssh_key(inputs.config_vars)
    if key is None:
        yield {}
        return
    directory = f"{paths.env}.ssh-{secrets.token_hex(4)}"
    file = f"{directory}/key"
    root.make_dirs(directory, mode=0o700, owner=owner)
    try:
        root.write(file, key, mode=0o600, owner=owner)
        yield {"GIT_SSH_COMMAND": ssh_command(file)}
    finally:
        shutil.rmtree(root.host(directory, follow=False), ignore_errors=True)  # a buildpack may have removed it


def test_app(
    inputs: SlugInputs, root: BuildRoot, runner: Runner, paths: Paths, owner: tuple[int, int] | None, journal: Journal
) -> int:
    """Build the app for its tests and run them in ``paths.app``; the exit code of the tests.

    What app.json says of the environment ``test`` counts: its config variables, its scripts test-setup and test.
    Raises what ``compile_slug`` raises, BadAppJson, and NoTests when neither app.json nor the last buildpack has any.
    Source: Heroku, "Testpack API" and "app.json Schema", "environments".
    """
    raw = _app_file("app.json", root, paths, journal)
    document = (parse_app_json(raw) if raw is not None else AppJson()).for_environment("test")
    config_vars = {**document.variables(inputs.config_vars), **inputs.config_vars}
    inputs = replace(inputs, config_vars=config_vars, variables={**inputs.variables, "CI": "true"})
    with Build.open(inputs, root, runner, paths, owner, journal) as build:
        last = build.compile(for_tests=True)[-1][0]
        own = (bash(root), "-c", document.scripts["test"]) if "test" in document.scripts else None
        if own is None and not has(last, "test", root):
            raise NoTests(
                "There are no tests to run", why=f"{last.name} has no bin/test, and app.json no script for it"
            )
        move_app(root, paths.build, paths.app, owner)
        profiles = [f"{paths.app}/.profile.d/{name}" for name in root.names(f"{paths.app}/.profile.d")]
        sourced = list(build.exports)  # tests may need programs that only builds have
        sourced += [path for path in profiles if path.endswith(".sh") and root.is_file(path)]
        sourced += [path for path in (f"{paths.app}/.profile",) if root.is_file(path)]
        commands = [(bash(root), "-c", document.scripts["test-setup"])] if "test-setup" in document.scripts else []
        commands.append(own or (f"{last.path}/bin/test", paths.app, build.around.paths.env))
        for command in commands:
            code = build.around.run(command, sourced=sourced, cwd=paths.app, variables=config_vars)
            if code:
                return code
    return 0
