"""The package manager itself: fetched from npm in the wanted version, into a layer of its own."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from typing import Any

from pylife_sdk.context import Build, read_bytes, write_file
from pylife_sdk.layer import Layer, open_layer
from pylife_sdk.output import fail, note
from pylife_sdk.runtimes import Found, NotFound, Runtime, find
from pylife_sdk.runtimes.source import arch

from pylife_nodejs.manager import Manager
from pylife_nodejs.semver import Range, parse_version

LAYER = "package-manager"
_SOURCES = "BP_RUNTIME_SOURCES"
# Taken where nothing asks for another: the newest of those that run on this Node.js and that read the lockfile.
_PINNED = {
    "npm": (("^20.17.0 || >=22.9.0", "11.21.2"), ("^18.17.0 || >=20.5.0", "10.9.9"), (">=14.17.0", "9.9.4")),
    "yarn": ((">=4.0.0", "1.22.22"),),
    "berry": ((">=18.12.0", "4.18.1"), (">=14.15.0", "3.8.7")),
    "pnpm": ((">=18.12.0", "10.34.8"), (">=16.14.0", "8.15.9"), (">=14.6.0", "7.33.7")),
}
_OLDEST_NPM = "6.14.18"


class Tool:
    """A package manager that is there. ``bin`` is a directory for PATH, ``version`` what was installed."""

    __slots__ = ("bin", "layer", "manager", "version")

    def __init__(self, manager: Manager, version: str, layer: Layer) -> None:
        self.manager, self.version, self.layer = manager, version, layer
        self.bin = os.path.join(layer.path, "bin")

    @property
    def name(self) -> str:
        return self.manager.name

    @property
    def berry(self) -> bool:
        return self.manager.berry

    def at_least(self, version: str) -> bool:
        """Whether this is that version or a newer one."""
        return Range(f">={version}").allows(self.version.split("-")[0])


def provide_tool(build: Build, manager: Manager, node_version: str, *, launch: bool) -> Tool:
    """The package manager, kept or fetched. ``launch`` says whether the app itself starts it.

    Raises ``Failure`` for a version that nobody has and for a package that is not what its hash says.
    """
    layer = open_layer(build, LAYER, at_build=True, launch=launch, cache=True)
    if manager.script:
        return _committed(build, manager, layer)
    package = _package(manager)
    asked = manager.exact or manager.wanted
    version = manager.exact or _pinned(manager, node_version)
    found: Found | None = None
    if not version:
        found = _find(build, package, Range(manager.wanted).allows, asked, manager)
        version = found.version
    key = {"package": package, "version": version, "hash": ":".join(manager.hash or ()), "recipe": "3"}
    if reason := layer.stale(key):
        note(f"Installing {manager.title} {version}: {reason}.")
        found = found or _find(build, package, lambda each: each == version, version, manager)
        directory = os.path.join(layer.empty(), "lib", "node_modules", package)
        found.place(directory)
        _check_hash(build, package, version, manager, directory)
        _link(layer, directory, _place_native(build, manager, directory))
    else:
        note(f"{manager.title} {version} is kept from the last build.")
    layer.commit(key)
    return Tool(manager, version, layer)


def _committed(build: Build, manager: Manager, layer: Layer) -> Tool:
    """The Yarn in the source: a program that starts it is all there is to install."""
    root = os.path.join(build.app, manager.script)
    key = {"program": manager.script, "recipe": "1"}
    if layer.stale(key):
        layer.empty()
        _write_program(os.path.join(layer.path, "bin", "yarn"), root)
    layer.commit(key)
    base = os.path.basename(manager.script)
    version = base.removeprefix("yarn-").removesuffix(".cjs").removesuffix(".js")
    note(f"Yarn is taken from the source: {manager.script}.")
    return Tool(manager, version if parse_version(version) else "4.0.0", layer)


def _package(manager: Manager) -> str:
    return "@yarnpkg/cli-dist" if manager.name == "yarn" and manager.berry else manager.name


def _pinned(manager: Manager, node_version: str) -> str:
    """A version that is known without asking, "" when what is asked for needs a look at the registry."""
    kind = "berry" if manager.name == "yarn" and manager.berry else manager.name
    for nodes, version in _PINNED[kind]:
        if Range(nodes).allows(node_version) and (not manager.wanted or Range(manager.wanted).allows(version)):
            return version
    return "" if manager.wanted else _OLDEST_NPM if kind == "npm" else _PINNED[kind][-1][1]


def _find(build: Build, package: str, matches: Callable[[str], bool], asked: str, manager: Manager) -> Found:
    # Where the user's own order leaves out npm, package managers still come from there: nobody else has them.
    order = build.env.get(_SOURCES, "")
    if order and "npm" not in [part.strip() for part in order.split(",")]:
        env = {**build.env, _SOURCES: f"{order},npm"}
        build = Build(build.app, build.layers, build.platform, build.plan_path, env)
    try:
        return find(Runtime(manager.name, default="folder,npm", npm=package), matches, build, want=asked)
    except NotFound as failure:
        fail(
            "node.manager-version",
            f"There is no {manager.title} {asked}.",
            found=f"asked for by {manager.origin}\n{failure.found}",
            fix=f"npm view {package} versions\nand write one of these versions.",
        )


def _check_hash(build: Build, package: str, version: str, manager: Manager, directory: str) -> None:
    """Compares with the hash in packageManager: of the archive, for Yarn 2 and later of its one program."""
    if not manager.hash:
        return
    import hashlib

    from pylife_sdk.runtimes.downloads import Downloads

    algorithm, expected = manager.hash
    if package == "@yarnpkg/cli-dist":
        path: str | None = os.path.join(directory, "bin", "yarn.js")
    else:
        path = Downloads(build, "npm").find(package, version)
    if path is None or not os.path.isfile(path):
        note("The hash in packageManager was not compared: this source of runtimes has no archive from npm.")
        return
    actual = hashlib.new(algorithm, read_bytes(path)).hexdigest()
    if actual != expected:
        fail(
            "node.manager-hash",
            f"{manager.title} {version} is not the file that {manager.origin} names by its hash.",
            found=f"expected {algorithm}: {expected}\nfound    {algorithm}: {actual}",
            fix=f"If the hash was mistyped: corepack use {manager.name}@{version}\n"
            "If it was not, the registry or a proxy altered the package: do not use it.",
        )


def _place_native(build: Build, manager: Manager, directory: str) -> str:
    """The compiled program of a package manager that has one for each kind of machine, such as pnpm 12; else ""."""
    wanted = _described(directory).get("optionalDependencies", {}) if manager.name == "pnpm" else {}
    if not wanted or (package := f"@pnpm/exe.linux-{arch()}") not in wanted:
        return ""
    from pylife_sdk.runtimes.archives import bad
    from pylife_sdk.runtimes.downloads import Downloads
    from pylife_sdk.runtimes.npm_client import open_npm

    version = wanted[package]
    archive = Downloads(build, "npm").keep(package, version, lambda at: open_npm(build).pack(package, version, at))
    program = os.path.join(directory, "pnpm")
    with tarfile.open(archive) as tar:
        if "package/pnpm" not in tar.getnames():
            bad(archive, "it holds no program pnpm")
        content = tar.extractfile("package/pnpm")
        assert content is not None
        os.unlink(program)  # which only says that this one is to be in its place
        with content, open(program, "wb") as file:
            shutil.copyfileobj(content, file)
    os.chmod(program, 0o755)
    return program


def _link(layer: Layer, directory: str, native: str) -> None:
    """A program in bin/ for each that the package has; a ``native`` one goes by all their names."""
    described = _described(directory)
    programs = described.get("bin", {})
    if native:
        os.makedirs(os.path.join(layer.path, "bin"))
        for name in sorted(programs):
            os.symlink(os.path.relpath(native, os.path.join(layer.path, "bin")), os.path.join(layer.path, "bin", name))
        return
    if isinstance(programs, str):
        programs = {described["name"].rpartition("/")[2]: programs}
    for name, path in sorted(programs.items()):
        _write_program(os.path.join(layer.path, "bin", name), os.path.normpath(os.path.join(directory, path)))


def _described(directory: str) -> dict[str, Any]:
    with open(os.path.join(directory, "package.json"), encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def _write_program(path: str, script: str) -> None:
    """A program that starts a script: one of its own layer by the place in it, since a slug's build moves layers."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    if script.startswith(os.path.dirname(folder) + os.sep):
        script = f"${{self%/*}}/{os.path.relpath(script, folder)}"
    write_file(path, f'#!/bin/sh\nself=$0\n[ ! -h "$0" ] || self=$(readlink -f "$0")\nexec node "{script}" "$@"\n')
    os.chmod(path, 0o755)
