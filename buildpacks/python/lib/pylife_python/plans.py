"""What an app's package manager comes to: the files that decide, the directories, the commands of uv."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.output import fail, note, warn
from pylife_sdk.python_app import table
from pylife_sdk.requirements import read_requirements
from pylife_sdk.tree import digest

from pylife_python import pdm, pipenv, poetry
from pylife_python.checkouts import copy_name, without_checkouts
from pylife_python.local import Local
from pylife_python.managers import RELOCK, Manager, explain_broken, read_toml
from pylife_python.markers import environment
from pylife_python.pins import Locked

GROUPS = "PYLIFE_PYTHON_GROUPS"
_READERS = {"poetry": poetry, "pdm": pdm, "pipenv": pipenv}
_SYNC = {
    "poetry": "poetry sync --only main",
    "pdm": "pdm sync --prod",
    "pipenv": "pipenv sync",
    "pylock": "uv pip sync pylock.toml",
}


class Step:
    """One command of uv: its arguments, and texts of files that it reads, named in the arguments as ``@NAME``."""

    __slots__ = ("arguments", "texts")

    def __init__(self, *arguments: str, texts: Mapping[str, str] | None = None) -> None:
        self.arguments, self.texts = arguments, dict(texts or {})


class Plan:
    """``said`` is the command as a user would type it; ``key`` the layer key's parts; ``indexes`` those of a lock."""

    __slots__ = ("hashed", "indexes", "key", "locals", "manager", "said", "steps")

    def __init__(self, manager: Manager, said: str, key: dict[str, str]) -> None:
        self.manager, self.said, self.key = manager, said, key
        self.locals: list[Local] = []
        self.steps: list[Step] = []
        self.indexes: tuple[tuple[str, str], ...] = ()
        self.hashed = False


def make_plan(build: Build, manager: Manager, version: str, *, mirrored: bool) -> Plan:
    """The plan for an app. ``mirrored``: packages come from elsewhere than the addresses that uv.lock has.

    Raises ``Failure``: a file that cannot be read, a lock that is not of the present pyproject.toml.
    """
    groups = build.env.get(GROUPS, "").replace(",", " ").split()
    match manager.name:
        case "pip":
            if groups:
                warn(f"{GROUPS} is left aside: a requirements.txt has no groups.")
            plan = _requirements(build.app, manager)
        case "uv":
            plan = _uv(build.app, manager, groups, mirrored)
        case "pyproject":
            plan = _pyproject(build.app, manager, groups)
        case "pylock":
            plan = Plan(manager, _SYNC["pylock"], _files(build.app, "pylock.toml"))
            _whole(build.app, "pylock.toml", "lock-version")
            plan.steps = [Step("pip", "sync", "pylock.toml")]
        case _:
            plan = _locked(build.app, manager, groups, version)
    if groups:
        plan.key["groups"] = " ".join(groups)
    return plan


def _requirements(app: str, manager: Manager) -> Plan:
    plan = Plan(manager, "pip install " + " ".join(f"-r {name}" for name in manager.files), {})
    read: list[str] = []
    for name in manager.files:
        wanted = read_requirements(os.path.join(app, name))
        plan.key |= {os.path.relpath(path, app): digest([read_bytes(path)]) for path in wanted.files}
        plan.locals += [Local(path, path in wanted.editable) for path in wanted.local if os.path.exists(path)]
        plan.hashed = plan.hashed or wanted.hashed
        read += (path for path in wanted.files if path not in read)
    named = list(manager.files)
    copies = without_checkouts(read)
    if copies:
        note("Editable checkouts are installed as packages: nobody edits them in an image.")
        named = [f"@{copy_name(os.path.normpath(os.path.join(app, name)), read)}" for name in named]
    arguments = [part for name in named for part in ("--requirement", name)]
    texts = {copy_name(path, read): text for path, text in copies.items()}
    plan.steps = [Step("pip", "install", *arguments, texts=texts)]
    return plan


def _uv(app: str, manager: Manager, groups: list[str], mirrored: bool) -> Plan:
    lock, project = _whole(app, "uv.lock", "version"), _project(app, manager)
    chosen = [part for name in groups for part in ("--extra" if _is_extra(project, name) else "--group", name)]
    plan = Plan(manager, " ".join(["uv sync --locked --no-dev", *chosen]), _files(app, "uv.lock", "pyproject.toml"))
    for package in lock.get("package", []):
        source = package.get("source", {})
        for kind in ("editable", "directory", "path"):
            if kind in source:
                plan.locals.append(Local(os.path.normpath(os.path.join(app, source[kind])), kind == "editable"))
    if mirrored:
        export = Step("export", "--quiet", "--frozen", "--no-dev", *chosen, "--output-file", "@pins.txt")
        plan.steps = [export, Step("pip", "install", "--no-deps", "--requirement", "@pins.txt")]
    else:
        plan.steps = [Step("sync", "--locked", "--no-dev", *chosen)]
    return plan


def _pyproject(app: str, manager: Manager, groups: list[str]) -> Plan:
    project = _project(app, manager)
    warn(
        "There is no lock file: every build may take other versions of the packages.\n"
        "Make one and commit it: uv lock && git add uv.lock"
    )
    extras = [name for name in groups if _is_extra(project, name)]
    others = [part for name in groups if name not in extras for part in ("--group", name)]
    if "build-system" in project:
        target = f".[{','.join(extras)}]" if extras else "."
        plan = Plan(manager, f"pip install -e {target}", _files(app, "pyproject.toml"))
        plan.locals = [Local(app, editable=True)]
        plan.steps = [Step("pip", "install", "--editable", target, *others)]
    else:
        chosen = [part for name in extras for part in ("--extra", name)]
        plan = Plan(manager, "pip install -r pyproject.toml", _files(app, "pyproject.toml"))
        plan.steps = [Step("pip", "install", "--requirement", "pyproject.toml", *chosen, *others)]
    return plan


def _locked(app: str, manager: Manager, groups: list[str], version: str) -> Plan:
    names = ("Pipfile.lock", "Pipfile") if manager.name == "pipenv" else (manager.file, "pyproject.toml")
    project = read_toml(app, "Pipfile") if manager.name == "pipenv" else _project(app, manager)
    lock = _json(app, manager.file) if manager.name == "pipenv" else _whole(app, manager.file, "metadata")
    reader = _READERS[manager.name]
    try:
        if not reader.is_current(lock, project):
            _explain_outdated(manager, names[1])
        locked = reader.locked(lock, project, app, environment(version), groups)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        explain_broken(app, manager.file, f"{type(error).__name__}: {error}")
    plan = Plan(manager, _SYNC[manager.name], _files(app, *names))
    plan.indexes = locked.indexes
    plan.locals = [Local(pin.local, pin.editable) for pin in locked.pins if pin.local]
    for local in plan.locals:
        if not os.path.exists(local.path):
            shown = os.path.relpath(local.path, app)
            fail(
                "python.requirements-include-missing",
                f"{manager.file} installs from {shown}, which is not there.",
                found=f"in {manager.file}: {shown}",
                fix=f"Commit what it names:\ngit add {shown}",
            )
    plan.steps = _pinned(locked, manager)
    if _is_package(app, manager.name, project):
        plan.locals.append(Local(app, editable=True))
        plan.steps.append(Step("pip", "install", "--no-deps", "--editable", "."))
    return plan


def _pinned(locked: Locked, manager: Manager) -> list[Step]:
    hashed = [pin for pin in locked.pins if not pin.source and pin.hashes]
    bare = [pin for pin in locked.pins if not pin.source and not pin.hashes]
    if bare:
        warn(f"{manager.file} has no hash for {', '.join(pin.name for pin in bare)}: taken as the index gives it.")
    others = [*bare, *(pin for pin in locked.pins if pin.source)]
    steps = []
    for name, pins, option in (("pins.txt", hashed, "--require-hashes"), ("sources.txt", others, "--no-deps")):
        if pins:
            text = "".join(pin.line() + "\n" for pin in pins)
            chosen = ["--no-deps"] if option == "--no-deps" else ["--no-deps", option]
            steps.append(Step("pip", "install", *chosen, "--requirement", f"@{name}", texts={name: text}))
    return steps


def _is_package(app: str, manager: str, project: Mapping[str, Any]) -> bool:
    """Whether the app itself is to be installed."""
    if "build-system" not in project:
        return False
    if manager == "poetry":
        settings = table(project, "tool", "poetry")
        return bool(settings.get("package-mode", True)) and not _has_nothing(app, project, settings)
    settings = table(project, "tool", "pdm")
    return manager == "pdm" and "name" in table(project, "project") and bool(settings.get("distribution", True))


def _has_nothing(app: str, project: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether Poetry's own backend would find no code to install, by its rules: `poetry new --flat` without a package.
    Many apps are like that, since Poetry's first releases only warned of it."""
    standard = table(project, "project")
    name = str(standard.get("name") or settings.get("name") or "")
    module = name.replace("-", "_").replace(".", "_")
    stock = str(table(project, "build-system").get("build-backend", "")).startswith("poetry.")
    asked = any(part in settings for part in ("packages", "include", "scripts", "plugins", "build"))
    asked = asked or any(part in standard for part in ("scripts", "gui-scripts", "entry-points"))
    places = [os.path.join(app, *parent, module) for parent in ((), ("src",))]
    if not stock or not module or asked or any(os.path.isdir(at) or os.path.isfile(f"{at}.py") for at in places):
        return False
    warn(
        f"The app itself is not installed: there is no folder {module}/ or src/{module}/ and no {module}.py, so it is\n"
        "no package. Its modules are found where they are. To say so, write below [tool.poetry]:\n"
        "package-mode = false"
    )
    return True


def _is_extra(project: Mapping[str, Any], name: str) -> bool:
    return name in table(project, "project", "optional-dependencies")


def _project(app: str, manager: Manager) -> dict[str, Any]:
    if not os.path.isfile(os.path.join(app, "pyproject.toml")):
        fail(
            "python.pyproject-missing",
            f"There is {manager.file} and no pyproject.toml that it was made from.",
            found=", ".join(sorted(os.listdir(app))[:20]),
            fix=f"Commit both, or remove the lock:\ngit add pyproject.toml\nor: git rm {manager.file}",
        )
    return read_toml(app, "pyproject.toml")


def _whole(app: str, name: str, part: str) -> dict[str, Any]:
    """A lock file that has a part which every one has."""
    document = read_toml(app, name)
    if part not in document:
        explain_broken(app, name, f"it has no {part}, as a file that was cut off")
    return document


def _json(app: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(read_bytes(os.path.join(app, name)))
    except ValueError as error:
        explain_broken(app, name, str(error))
    if not isinstance(document, dict) or "default" not in document:
        explain_broken(app, name, "it is not what Pipenv writes: it has no part called default")
    return document


def _explain_outdated(manager: Manager, origin: str) -> None:
    fail(
        "python.lock-outdated",
        f"{manager.file} was not made from the present {origin}.",
        found=f"{manager.file} names a hash of the {origin} that it was made from; the present one has another.",
        fix=f"{RELOCK[manager.file]}\ngit add {origin} {manager.file}",
    )


def _files(app: str, *names: str) -> dict[str, str]:
    return {name: digest([read_bytes(path)]) for name in names if os.path.isfile(path := os.path.join(app, name))}
