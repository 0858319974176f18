"""The installed packages: node_modules where Node.js looks for it, put back from a cache layer while nothing it was
made from has changed.

They stay real folders of the app (links into a layer break tools that look for the app's root above node_modules, as
well as Turbopack) and become an image layer of their own: a slice of the app, with the same bytes as long as the
packages are the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import note, warn
from pylife_sdk.process import run
from pylife_sdk.tree import SKIPPED, digest, tree_digest

from pylife_nodejs import commands
from pylife_nodejs.delta import apply_delta, clean, record_delta
from pylife_nodejs.failures import explain_install
from pylife_nodejs.manifest import Manifest
from pylife_nodejs.plugnplay import drop_unnamed
from pylife_nodejs.project import Project
from pylife_nodejs.runtime import Node
from pylife_nodejs.settings import Settings, client_settings
from pylife_nodejs.tools import Tool

FOLDER = "node_modules"
_LAYER, _TREE = "modules", "tree"
_PNP = (".pnp.cjs", ".pnp.loader.mjs", ".yarn/cache", ".yarn/unplugged")
_STATE = ".yarn/install-state.gz"
_CONFIGURATION = (
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pnpmfile.cjs",
    ".pnpmfile.mjs",
    "pnpm-workspace.yaml",
    "patches",
    ".yarn/patches",
    ".yarn/plugins",
)
# Fields of package.json that no package manager installs by.
# fmt: off
_HARMLESS = frozenset((
    "scripts", "description", "keywords", "author", "contributors", "license", "repository", "homepage",
    "bugs", "main", "module", "browser", "types", "typings", "exports", "browserslist", "jest",
    "eslintConfig", "prettier", "nodemon", "lint-staged", "husky", "babel", "stylelint", "ava", "mocha",
    "nyc", "cacheDirectories", "type", "sideEffects", "files", "funding", "volta",
))
# fmt: on
LIFECYCLE = ("preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish")
# What well-known commands of these scripts read; any other may read all of the source.
_INPUTS = {
    "patch-package": "patches",
    "prisma generate": "prisma",
    "husky": "",
    "husky install": "",
    "is-ci || husky": "",
}
_SKIPPED = SKIPPED | {FOLDER}


class Modules:
    """What is installed. ``paths`` are the folders (and files) of packages relative to the app, ``final`` says that
    nothing of it is to be removed: development dependencies were left out from the start, or all is committed."""

    __slots__ = ("_build", "_settings", "_tool", "final", "layer", "paths", "project")

    def __init__(
        self,
        build: Build,
        project: Project,
        tool: Tool,
        settings: Settings,
        layer: Layer,
        paths: list[str],
        *,
        final: bool,
    ) -> None:
        self._build, self.project, self._tool, self._settings = build, project, tool, settings
        self.layer, self.paths, self.final = layer, paths, final

    def clean(self) -> None:
        """Takes out what differs between two equal installs. The package manager is not to run afterwards."""
        clean(self._build.app, self.paths)

    def prune(self) -> None:
        """Removes development dependencies: as remembered, or by the package manager. Raises ``Failure``."""
        if self.final:
            return
        app, kept = self._build.app, os.path.join(self.layer.path, "pruned")
        if os.path.isdir(kept):
            apply_delta(app, kept)
            note("Development dependencies are removed as in the last build.")
            return
        locked = bool(self._tool.manager.lockfile)
        command = commands.prune(self._tool, locked=locked, workspace=bool(self.project.members))
        if not command:
            note(f"Yarn {self._tool.version} cannot remove development dependencies: they stay.")
            return
        note(f"$ {' '.join(command)}")
        with record_delta(app, self.paths, kept):
            with _alone(self._tool, self._settings, self.project):
                ran = run(command, env=_unasked(self._settings), cwd=self.project.root.directory, show=None)
            if ran.code:
                explain_install(ran, command, self._tool, self.project, self._settings.env)
            if self._settings.plug_and_play and (freed := drop_unnamed(self.project.root.directory)):
                note(f"Packages for development alone are removed: {freed / 1e6:.1f} MB.")


def provide_modules(
    build: Build, project: Project, node: Node, tool: Tool, settings: Settings, *, production: bool
) -> Modules:
    """Installs the packages or puts them back. Raises ``Failure`` when they cannot be installed."""
    layer = open_layer(build, _LAYER, cache=True)
    key = _key(build, project, node, tool, production)
    reason = layer.stale(key)
    stored = os.path.join(layer.path, _TREE)
    vendored = _vendored(build, project, tool, settings)
    if reason is None and not vendored:
        paths = json.loads(read_bytes(os.path.join(layer.path, "paths.json")))
        for path in paths:
            _copy(os.path.join(stored, path), os.path.join(build.app, path))
        layer.commit(key)
        note(f"Packages are put back from the last build: the lockfile is the same ({_short(key)}).")
        return Modules(build, project, tool, settings, layer, paths, final=production)
    layer.empty()
    if vendored:
        command = commands.rebuild(tool)
    else:
        locked = bool(tool.manager.lockfile)
        command = commands.install(tool, locked=locked, production=production, offline=bool(settings.offline))
        note(f"Installing packages: {reason}.")
    _run(command, tool, settings, project)
    paths = _installed(build, project, settings)
    if not vendored:
        for path in paths:
            _copy(os.path.join(build.app, path), os.path.join(stored, path))
        with open(os.path.join(layer.path, "paths.json"), "w", encoding="utf-8") as file:
            json.dump(paths, file)
        layer.commit(key)
    return Modules(build, project, tool, settings, layer, paths, final=production or vendored)


def without_development(project: Project) -> bool:
    """Whether no script of the build can need development dependencies, so that they need not be installed first."""
    manifests = (project.root, *project.members.values())
    return not any(manifest.scripts.get(name) for manifest in manifests for name in LIFECYCLE)


def _run(command: list[str], tool: Tool, settings: Settings, project: Project) -> None:
    note(f"$ {' '.join(command)}")
    root = project.root.directory
    with _alone(tool, settings, project):
        ran = run(command, env=_unasked(settings), cwd=root)
        if ran.code and "--prefer-offline" in command and any(word in ran.output for word in _OLD_NEWS):
            note("What the cache knows of the registry may be old: asking again.")
            fresh = [each if each != "--prefer-offline" else "--prefer-online" for each in command]
            fresh = fresh if tool.name == "npm" else [each for each in fresh if each != "--prefer-online"]
            ran = run(fresh, env=_unasked(settings), cwd=root)
    if ran.code:
        explain_install(ran, command, tool, project, settings.env)


def _unasked(settings: Settings) -> dict[str, str]:
    # pnpm asks before it removes anything unless this is set; scripts do not get it, since some change what they make.
    return {"CI": "true", **settings.env}


_OLD_NEWS = ("ETARGET", "E404", "ERR_PNPM_NO_MATCHING_VERSION", "Couldn't find any versions")


@contextmanager
def _alone(tool: Tool, settings: Settings, project: Project) -> Iterator[None]:
    """Holds the cache of the one package manager that cannot share it, and the lockfile to what it is in the source:
    pruning rewrites it."""
    lockfile = os.path.join(project.root.directory, tool.manager.lockfile) if tool.manager.lockfile else ""
    before = read_bytes(lockfile) if lockfile else b""
    with settings.cache.locked() if tool.name == "yarn" and not tool.berry else nullcontext():
        yield
    if lockfile and read_bytes(lockfile) != before:
        with open(lockfile, "wb") as file:
            file.write(before)


def _vendored(build: Build, project: Project, tool: Tool, settings: Settings) -> bool:
    """Whether node_modules is committed and to be taken as it is; one that is ignored by git is removed."""
    path = os.path.join(project.root.directory, FOLDER)
    if not os.path.isdir(path) or not any(not name.startswith(".") for name in os.listdir(path)):
        return False
    shown = project.shown(path)
    if _ignored(build.app) or tool.name != "npm":
        why = ".gitignore names it" if _ignored(build.app) else f"{tool.manager.title} makes its own"
        note(f"{shown} in the source is left out: {why}.")
        for manifest in (project.root, *project.members.values()):
            shutil.rmtree(os.path.join(manifest.directory, FOLDER), ignore_errors=True)
        return False
    warn(
        f"{shown} is committed: it is taken as it is, with what only development needs, and only its native modules\n"
        "are compiled again.\n"
        f"Better let npm install from the lockfile: git rm -r --cached {shown} && echo node_modules >> .gitignore"
    )
    return True


def _ignored(app: str) -> bool:
    try:
        with open(os.path.join(app, ".gitignore"), encoding="utf-8", errors="replace") as file:
            lines = [line.strip().strip("/") for line in file]
    except OSError:
        return False
    return any(line.removeprefix("**/") == FOLDER for line in lines)


def _installed(build: Build, project: Project, settings: Settings) -> list[str]:
    folders = [os.path.join(manifest.directory, FOLDER) for manifest in (project.root, *project.members.values())]
    if settings.plug_and_play:
        folders += [os.path.join(project.root.directory, name) for name in _PNP]
    if os.path.isfile(os.path.join(project.root.directory, _STATE)):
        folders.append(os.path.join(project.root.directory, _STATE))
    return sorted({os.path.relpath(path, build.app) for path in folders if os.path.lexists(path)})


def _copy(source: str, target: str) -> None:
    """Copies a tree as it is; the build may write into its copy."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)
    subprocess.run(["cp", "-a", "--reflink=auto", "--", source, target], check=True, stdin=subprocess.DEVNULL)


def _key(build: Build, project: Project, node: Node, tool: Tool, production: bool) -> dict[str, str]:
    root = project.root.directory
    key = {
        "Node.js": node.version,
        "the package manager": f"{tool.name} {tool.version}",
        "platform": os.uname().machine,
        "the folder of the app": build.app,
        "kinds of dependencies": "production" if production else "all",
        "NODE_ENV": build.env.get("NODE_ENV", "production"),
        "recipe": "2" if tool.berry else "1",
    }
    if tool.manager.lockfile:
        key[tool.manager.lockfile] = digest([read_bytes(os.path.join(root, tool.manager.lockfile))])
    for manifest in (project.root, *project.members.values()):
        key[f"dependencies in {manifest.shown}"] = digest([_relevant(manifest)])
        for name, place in _local_sources(manifest):
            key[f"the source of {name}"] = tree_digest(place, skip=_SKIPPED)
        for source in _script_inputs(manifest, build.app):
            shown = os.path.relpath(source, build.app)
            key[f"what install scripts read in {shown}"] = tree_digest(source, skip=_SKIPPED)
    for name in _CONFIGURATION:
        path = os.path.join(root, name)
        if os.path.isdir(path):
            key[name] = tree_digest(path)
        elif os.path.isfile(path):
            key[name] = digest([read_bytes(path)])
    return key | client_settings(build)


def _relevant(manifest: Manifest) -> bytes:
    chosen = {name: value for name, value in manifest.data.items() if name not in _HARMLESS}
    chosen["scripts"] = {name: text for name, text in manifest.scripts.items() if name in LIFECYCLE}
    return json.dumps(chosen, sort_keys=True).encode()


def _local_sources(manifest: Manifest) -> list[tuple[str, str]]:
    """Folders and archives of the source that are copied into node_modules."""
    found = []
    for name, asked in sorted({**manifest.dependencies, **manifest.table("devDependencies")}.items()):
        if asked.startswith(("file:", "./", "../")):
            place = os.path.normpath(os.path.join(manifest.directory, asked.removeprefix("file:")))
            if os.path.exists(place):
                found.append((name, place if os.path.isdir(place) else os.path.dirname(place)))
    return found


def _script_inputs(manifest: Manifest, app: str) -> list[str]:
    """Folders that the package's own install scripts may read."""
    found = []
    for name in LIFECYCLE:
        text = manifest.scripts.get(name, "")
        if text.strip() in _INPUTS:
            place = os.path.join(manifest.directory, _INPUTS[text.strip()])
            found += [place] if _INPUTS[text.strip()] and os.path.isdir(place) else []
        elif text:
            return [app]
    return found


def _short(key: dict[str, str]) -> str:
    return digest(f"{name}={value}".encode() for name, value in key.items())[:12]
