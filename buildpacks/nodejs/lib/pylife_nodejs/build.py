"""Makes the layers of a Node.js app: runtime, package manager, packages; runs its scripts; says how it starts."""

from __future__ import annotations

import os
import shutil
import tomllib

from pylife_sdk.context import Build
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.output import heading, note, warn

from pylife_nodejs.checks import check_ignored, check_packages, check_source
from pylife_nodejs.components import write_sbom
from pylife_nodejs.launch import set_launch
from pylife_nodejs.manager import choose_manager
from pylife_nodejs.modules import Modules, provide_modules, without_development
from pylife_nodejs.project import Project, find_project
from pylife_nodejs.runtime import Node, choose_node, provide_node, warn_of_version
from pylife_nodejs.scripts import BuildCaches, run_hook, run_steps
from pylife_nodejs.scripts_plan import CLEANUP, PREBUILD, Step, build_steps, hook, prunes
from pylife_nodejs.settings import Settings, prepared
from pylife_nodejs.start import (
    choose_start,
    is_development_server,
    missing_start,
    procfile_types,
    read_procfile,
    starts_manager,
)
from pylife_nodejs.start_check import check_prisma, check_start
from pylife_nodejs.tools import Tool, provide_tool
from pylife_nodejs.version import read_wishes


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for what the user can mend."""
    project = find_project(context.app, context.env)
    check_source(project)
    check_ignored(project)
    wishes = read_wishes(project, context.env)
    manager = choose_manager(project) if project.root.exists else None
    if manager:
        check_packages(project, manager)
    steps = build_steps(project, context.env)
    static = _is_static(context)
    if project.nested:
        heading(f"App: {os.path.dirname(project.manifest.shown)} ({project.origin})")
    found = choose_node(context, wishes)
    heading(f"Node.js {found.version}: {wishes}; {found.origin}")
    warn_of_version(found.version, wishes)
    node = provide_node(context, found, launch=not static)
    paths: list[str] = []
    pnp = ""
    if manager:
        start = choose_start(project, manager.name, built=False)
        at_launch = not static and starts_manager(project, start, read_procfile(context.app))
        heading(f"{manager.title}: {manager.origin}")
        tool = provide_tool(context, manager, node.version, launch=at_launch)
        if at_launch:
            note(f"{manager.title} goes into the image: a process starts it.")
        with prepared(context, project, node, tool) as settings:
            modules = _packages(context, project, node, tool, settings, build_scripts=bool(steps))
            _scripts(context, project, tool, settings, steps, modules, static=static)
        paths, pnp = modules.paths, _pnp(project)
    if static:
        heading("Static output: Node.js and the packages stay out of the image")
        for path in paths:
            shutil.rmtree(os.path.join(context.app, path), ignore_errors=True)
        write_launch(context, [])
        return
    _finish(context, project, node, paths, pnp, manager.name if manager else "npm")


def _packages(
    context: Build, project: Project, node: Node, tool: Tool, settings: Settings, *, build_scripts: bool
) -> Modules:
    run_hook(hook(project, PREBUILD), tool, settings, context)
    heading("Packages")
    stays = prunes(project, context.env, tool.name)
    # Yarn 2 and later compares the lockfile only when it installs everything.
    needless = not stays and not tool.berry and not build_scripts and without_development(project)
    needless = needless and not any(hook(project, name) for name in (PREBUILD, CLEANUP))
    if needless:
        note("No script of the build can need development dependencies: they are not installed.")
    return provide_modules(context, project, node, tool, settings, production=needless)


def _scripts(
    context: Build,
    project: Project,
    tool: Tool,
    settings: Settings,
    steps: list[Step],
    modules: Modules,
    *,
    static: bool,
) -> None:
    caches = BuildCaches(context, project)
    if steps:
        heading("Building")
        caches.restore()
        run_steps(steps, tool, settings, context)
    stays = prunes(project, context.env, tool.name)
    if static:
        note("Development dependencies need not be removed: no package goes into the image.")
    elif stays:
        note(f"Development dependencies stay: {stays}.")
    else:
        modules.prune()
    run_hook(hook(project, CLEANUP), tool, settings, context)
    caches.save()
    modules.clean()


def _finish(context: Build, project: Project, node: Node, paths: list[str], pnp: str, manager: str) -> None:
    folders = dict.fromkeys((project.manifest.directory, project.root.directory))
    set_launch(node.layer, [os.path.join(folder, "node_modules", ".bin") for folder in folders], pnp)
    heading("Start")
    check_prisma(project)
    procfile = read_procfile(context.app)
    start = choose_start(project, manager, built=True)
    processes = []
    if "web" in procfile_types(procfile):
        note("web: the Procfile's own.")
    elif start:
        note(f"web: {start.shown} ({start.why})")
        if is_development_server(start):
            warn(
                "web is a DEVELOPMENT SERVER, which is not made for production. Build the app with a script build,\n"
                "and serve the result: by buildpack pylife/static, or by a server that the start script names."
            )
        check_start(project, start, manager, context.env)
        directory = project.manifest.directory if project.nested or project.manifest.directory != context.app else ""
        processes.append(Process("web", start.command or shell(start.line), True, directory))
    elif not procfile:
        warn(
            "Nothing says how the app is started: there is no Procfile, no start script, no server.js.\n"
            + missing_start(project)
        )
    if paths:
        note(f"{write_sbom(context, paths)} packages in the image; {', '.join(paths[:4])}: a layer of their own.")
    write_launch(context, processes, [paths] if paths else [])


def _pnp(project: Project) -> str:
    path = os.path.join(project.root.directory, ".pnp.cjs")
    return path if os.path.isfile(path) else ""


def _is_static(context: Build) -> bool:
    """Whether a later buildpack serves what the build script makes, and nothing of Node.js is needed in the image."""
    try:
        with open(context.plan_path, "rb") as file:
            entries = tomllib.load(file).get("entries", [])
    except (OSError, tomllib.TOMLDecodeError):
        return False
    return any(
        entry.get("name") == "node_modules" and entry.get("metadata", {}).get("static") is True for entry in entries
    )
