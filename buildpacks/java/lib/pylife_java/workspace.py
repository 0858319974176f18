"""What becomes of the app's folder: sources go, what was built comes, with the slices that it is exported in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from fnmatch import fnmatch

from pylife_sdk.context import Build, read_bytes, write_file
from pylife_sdk.layer import Layer

from pylife_java.explode import App

_STAY = ("Procfile", "project.toml", ".git")
# A slug's: what other buildpacks made, what its start and its platform read, and the hook that is yet to run.
_SLUG = (".heroku", ".apt", ".profile.d", ".profile", "app.json", "bin/post-compile", "bin/post_compile")


def remember(layer: Layer, app: App) -> None:
    """Writes beside the built tree how it is started and divided."""
    document = {
        "arguments": app.arguments,
        "slices": app.slices,
        "classes": app.classes,
        "framework": app.framework,
        "notes": app.notes,
        "threads": app.threads,
    }
    write_file(os.path.join(layer.path, "app.json"), json.dumps(document, indent=1, sort_keys=True) + "\n")


def recall(layer: Layer) -> App:
    """What ``remember`` wrote."""
    document = json.loads(read_bytes(os.path.join(layer.path, "app.json")))
    return App(**document)


def came(build: Build) -> frozenset[str]:
    """What is to stay of the app as it came, relative to it: all that is in a slug's now, since other buildpacks and
    the Procfile may need it; nothing of an image's."""
    if not build.layers.startswith(build.app + os.sep):
        return frozenset()
    return frozenset(
        os.path.relpath(os.path.join(folder, name), build.app)
        for folder, folders, files in os.walk(build.app)
        for name in files + [each for each in folders if os.path.islink(os.path.join(folder, each))]
    )


def replace(build: Build, tree: str, staying: Collection[str] = ()) -> None:
    """Empties the app's folder, and copies the tree into it. The Procfile stays, what is ``staying``, and what
    BP_INCLUDE_FILES names."""
    kept = [pattern for pattern in build.env.get("BP_INCLUDE_FILES", "").replace(";", ":").split(":") if pattern]
    for folder, folders, files in os.walk(build.app, topdown=False):
        for name in files + [each for each in folders if os.path.islink(os.path.join(folder, each))]:
            path = os.path.join(folder, name)
            shown = os.path.relpath(path, build.app)
            if shown in staying or shown in _SLUG or shown.split("/")[0] in (*_STAY, *_SLUG):
                continue
            if not any(fnmatch(shown, pattern) for pattern in kept):
                os.unlink(path)
        if folder != build.app and not os.listdir(folder):
            os.rmdir(folder)
    shutil.copytree(tree, build.app, symlinks=True, dirs_exist_ok=True)


def copy_whole(build: Build, tree: str) -> None:
    """Copies the app's folder as its build left it, but for what ``replace`` leaves alone: that may be newer then."""

    def left_behind(folder: str, names: list[str]) -> list[str]:
        away = (*_STAY, *_SLUG) if folder == build.app else (".git", ".heroku")
        return [name for name in names if name in away]

    shutil.copytree(build.app, tree, symlinks=True, dirs_exist_ok=True, ignore=left_behind)


def starts_built_files(app: str) -> bool:
    """Whether the Procfile names files where a build leaves them, so that these must stay there."""
    try:
        text = read_bytes(os.path.join(app, "Procfile")).decode(errors="replace")
    except OSError:
        return False
    return any(part in text for part in ("target/", "build/libs/", "build/install/", "mvnw", "gradlew", "mvn "))


def whole_app(app: str) -> App:
    """An app that its Procfile starts: its jars in slices of their own, the rest as it is."""
    jars = sorted(
        os.path.relpath(os.path.join(folder, name), app)
        for folder, _, files in os.walk(app)
        for name in files
        if name.endswith(".jar") and "/dependency" in folder
    )
    snapshots = [path for path in jars if "SNAPSHOT" in path]
    return App([], [[path for path in jars if path not in snapshots], snapshots], 8000, "")
