"""Running the scripts of package.json, and the caches that their tools keep."""

from __future__ import annotations

import os
import shutil

from pylife_sdk.context import Build
from pylife_sdk.layer import open_layer
from pylife_sdk.output import heading, note
from pylife_sdk.process import run

from pylife_nodejs import commands
from pylife_nodejs.failures_script import explain_script
from pylife_nodejs.project import Project
from pylife_nodejs.scripts_plan import Step
from pylife_nodejs.settings import Settings
from pylife_nodejs.tools import Tool

_CACHES = (
    "node_modules/.cache",
    ".next/cache",
    ".nuxt/cache",
    ".parcel-cache",
    ".turbo",
    ".nx/cache",
    ".nx/workspace-data",  # the database that tells what is in it, with times
    ".angular/cache",
)


def run_steps(steps: list[Step], tool: Tool, settings: Settings, build: Build) -> None:
    """Runs scripts. Raises ``Failure`` for the first that fails."""
    for step in steps:
        flags = build.env.get("NODE_BUILD_FLAGS", "") if step.name in ("build", "heroku-build") else ""
        command = commands.run_script(tool, step.name, flags)
        where = os.path.dirname(step.manifest.shown)
        note(f"$ {f'cd {where} && ' if where else ''}{' '.join(command)}")
        env = settings.env
        ran = run(command, env=env, cwd=step.manifest.directory)
        if ran.code:
            explain_script(ran, step.manifest, step.name, command)


class BuildCaches:
    """What tools keep from one build to the next: node_modules/.cache and its like, and cacheDirectories."""

    __slots__ = ("_build", "_layer", "_paths")

    def __init__(self, build: Build, project: Project) -> None:
        self._build = build
        self._layer = open_layer(build, "build-cache", cache=True)
        names = [*_CACHES]
        declared = project.root.data.get("cacheDirectories") or project.root.data.get("cache_directories")
        if isinstance(declared, list):
            names += [name for name in declared if isinstance(name, str) and name.strip("/") != "node_modules"]
        paths = []
        for directory in dict.fromkeys((project.root.directory, project.manifest.directory)):
            for name in names:
                path = os.path.normpath(os.path.join(directory, name))
                if path.startswith(build.app + os.sep):
                    paths.append(os.path.relpath(path, build.app))
        self._paths = list(dict.fromkeys(paths))

    def restore(self) -> None:
        """Puts back what the last build left."""
        for path in self._paths:
            source, target = os.path.join(self._layer.path, path), os.path.join(self._build.app, path)
            if os.path.isdir(source) and not os.path.lexists(target):
                shutil.copytree(source, target, symlinks=True)
                note(f"{path} is put back from the last build.")

    def save(self) -> None:
        """Keeps the caches for the next build; the app image does not get them."""
        self._layer.empty()
        for path in self._paths:
            source, target = os.path.join(self._build.app, path), os.path.join(self._layer.path, path)
            if os.path.isdir(source) and not os.path.islink(source):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.move(source, target)
        self._layer.commit({"format": "1"})

    def drop(self) -> None:
        """Removes the caches from the app; nothing was built."""
        if self._layer.remembered is not None:
            self._layer.commit(self._layer.remembered)


def run_hook(step: Step | None, tool: Tool, settings: Settings, build: Build) -> None:
    """Runs a hook, if there is one."""
    if step is not None:
        heading(f"Running {step.name}")
        run_steps([step], tool, settings, build)
