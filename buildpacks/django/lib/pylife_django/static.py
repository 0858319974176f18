"""Static files: collected by the project's own manage.py, and put back from a cache layer while nothing changed.

Source: the rules are those of Heroku's Python buildpack: skipped without the staticfiles app, skipped on
DISABLE_COLLECTSTATIC, a failure stops the build.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile

from pylife_sdk.context import Build, read_bytes, write_file
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import note, warn
from pylife_sdk.tree import digest, tree_digest

from pylife_django.command import run_manage, run_quiet
from pylife_django.project import Project

_FACTS, _TREE = "facts.json", "tree"


def collect_static(build: Build, project: Project, venv: str) -> list[str]:
    """Runs collectstatic or restores what it made; returns the collected folder relative to the app, in a list.

    Empty when nothing was collected. Raises ``Failure`` when the command fails.
    """
    disabled = build.env.get("DISABLE_COLLECTSTATIC", "0")
    if disabled not in ("", "0"):
        note(f"Static files are not collected: DISABLE_COLLECTSTATIC={disabled}.")
        return []
    layer = open_layer(build, "static", cache=True)
    key = _key(build, project, venv)
    reason = layer.stale(key)
    if reason is None:
        facts = json.loads(read_bytes(os.path.join(layer.path, _FACTS)))
        layer.commit(key)
        if facts["skipped"]:
            note(facts["skipped"])
            return []
        # The kept tree holds what the app itself has there, too.
        shutil.rmtree(facts["root"], ignore_errors=True)
        shutil.copytree(os.path.join(layer.path, _TREE), facts["root"], symlinks=True)
        note("Static files are put back from the last build: the app, its packages and its environment are the same.")
        return _inside(build, facts["root"])
    note(f"Collecting static files: {reason}.")
    facts = _ask(project, venv)
    if skipped := _skipped(project, facts):
        note(skipped)
        _remember(layer, key, {"skipped": skipped, "root": ""}, None)
        return []
    root = str(facts["static_root"])
    before = _state(build.app, root)
    run_manage(project, venv, ["collectstatic", "--noinput", "--traceback"])
    slices = _inside(build, root)
    if root and not slices:
        warn(f"STATIC_ROOT is {root}, outside the app: what is collected there does not come into the image.")
    elif not root or not facts["local"]:
        note("The files went to a storage of their own; every build collects them anew.")
    elif _state(build.app, root) != before:
        note("Collecting also wrote outside STATIC_ROOT; every build collects anew.")
    else:
        _remember(layer, key, {"skipped": "", "root": root}, root)
    return slices


def _skipped(project: Project, facts: dict[str, object]) -> str:
    if not facts["staticfiles"]:
        return "Static files are not collected: django.contrib.staticfiles is not in INSTALLED_APPS."
    if not facts["static_root"] and facts["local"]:
        return (
            "Static files are not collected: STATIC_ROOT is not set. To have them in the image, add to "
            f'{project.settings_file()}:\nSTATIC_ROOT = BASE_DIR / "staticfiles"'
        )
    return ""


def _ask(project: Project, venv: str) -> dict[str, object]:
    """The settings that decide about static files, from the project itself."""
    with tempfile.TemporaryDirectory() as directory:
        result = os.path.join(directory, "facts.json")
        probe = os.path.join(os.path.dirname(__file__), "probe.py")
        run_quiet(project, venv, [probe, os.path.join(project.directory, "manage.py"), result])
        if not os.path.exists(result):
            # This manage.py does not go through Django's usual entry point: let the command decide by itself.
            return {"staticfiles": True, "static_root": "", "local": False}
        facts: dict[str, object] = json.loads(read_bytes(result))
        return facts


def _key(build: Build, project: Project, venv: str) -> dict[str, str]:
    user = digest(part for name, value in build.user_env().items() for part in (name.encode(), value))
    return {
        "the app": tree_digest(build.app),
        "its packages": _packages(venv),
        "the build's environment": user,
        "the settings module": project.settings,
        "recipe": "1",
    }


def _packages(venv: str) -> str:
    records = []
    library = os.path.join(venv, "lib")
    for python in sorted(os.listdir(library)):
        site = os.path.join(library, python, "site-packages")
        for name in sorted(os.listdir(site)) if os.path.isdir(site) else ():
            record = os.path.join(site, name, "RECORD")
            if os.path.isfile(record):
                records += [name.encode(), read_bytes(record)]
    return digest(records)


def _remember(layer: Layer, key: dict[str, str], facts: dict[str, str], root: str | None) -> None:
    layer.empty()
    if root is not None:
        shutil.copytree(root, os.path.join(layer.path, _TREE), symlinks=True)
    write_file(os.path.join(layer.path, _FACTS), json.dumps(facts))
    layer.commit(key)


def _inside(build: Build, root: str) -> list[str]:
    relative = os.path.relpath(root, build.app) if root else ".."
    return [] if relative == "." or relative.startswith("..") else [relative]


def _state(app: str, root: str) -> dict[str, tuple[int, int]]:
    """Size and time of every file of the app outside the collected folder."""
    state = {}
    for directory, folders, files in os.walk(app):
        folders[:] = [name for name in folders if os.path.join(directory, name) != root and name != "__pycache__"]
        for name in files:
            info = os.lstat(os.path.join(directory, name))
            state[os.path.join(directory, name)] = (info.st_size, info.st_mtime_ns)
    return state
