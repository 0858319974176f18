"""Is this a Node.js app, and what will the build do? Broad on purpose: a build can explain what is wrong."""

from __future__ import annotations

import os

from pylife_sdk.context import NO_MATCH, Detect
from pylife_sdk.decisions import Decisions
from pylife_sdk.output import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pylife_nodejs.scripts_plan import Step

SIGNS = (
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "server.js",
    "index.js",
)


def detect(context: Detect) -> int:
    """Passes when the root (or the folder that BP_NODE_PROJECT_PATH names) has a sign of Node.js; says which."""
    asked = context.env.get("BP_NODE_PROJECT_PATH", "").strip()
    present = sorted(os.listdir(context.app))
    signs = [name for name in SIGNS if os.path.isfile(os.path.join(context.app, name))]
    if asked:
        signs.append(f"BP_NODE_PROJECT_PATH={asked}")
    if not signs:
        print(f"No Node.js app: looked for {', '.join(SIGNS)}.")
        print(f"Found in its root: {', '.join(present[:20]) or 'nothing'}.")
        return NO_MATCH
    print(f"A Node.js app, because of {', '.join(signs)}.")
    decisions = Decisions()
    metadata: dict[str, object] = {"build": True, "launch": True}
    try:
        metadata |= _decide(context, decisions)
    except Failure as failure:
        print(f"The build will stop: {failure.what} [{failure.id}]")
        decisions.problem(failure.id, failure.what)
    requires = [{"name": "node", "metadata": metadata}, {"name": "node_modules", "metadata": {"build": True}}]
    return context.pass_with(["node", "node_modules"], requires, decisions)


def _decide(context: Detect, decisions: Decisions) -> dict[str, object]:
    from pylife_nodejs.manager import choose_manager
    from pylife_nodejs.project import find_project
    from pylife_nodejs.scripts_plan import CLEANUP, PREBUILD, build_steps, hook, prunes
    from pylife_nodejs.start import choose_start, missing_start, procfile_types, read_procfile
    from pylife_nodejs.version import read_wishes

    project = find_project(context.app, context.env)
    if project.nested or project.origin:
        print(f"The app is {os.path.dirname(project.manifest.shown)}: {project.origin}.")
    wishes = read_wishes(project, context.env)
    decisions.read(*wishes.files)
    decisions.version("node", wishes.text, f"asked for by {wishes}" if wishes.wishes else str(wishes))
    print(f"Node.js: {wishes}.")
    decisions.layer("node", "Node.js")
    if project.root.exists:
        manager = choose_manager(project)
        version = manager.exact or manager.wanted or "*"
        decisions.read(*([manager.lockfile] if manager.lockfile else []))
        decisions.version(manager.name, version, manager.origin)
        print(f"Package manager: {manager.name} {version} ({manager.origin}).")
        decisions.layer("package-manager", manager.title)
        decisions.layer("modules", "the installed packages, a layer of their own in the image")
        steps = [hook(project, PREBUILD)]
        _commands(decisions, steps)
        decisions.command(_install(manager.name, manager.berry, bool(manager.lockfile)))
        _commands(decisions, build_steps(project, context.env))
        stays = prunes(project, context.env, manager.name)
        print(f"Development dependencies: {f'stay ({stays})' if stays else 'removed after the build'}.")
        _commands(decisions, [hook(project, CLEANUP)])
    procfile = read_procfile(context.app)
    start = choose_start(project, manager.name if project.root.exists else "npm", built=False)
    if procfile:
        print(f"Processes: the Procfile's own ({', '.join(procfile_types(procfile))}).")
    elif start:
        print(f"web: {start.shown} ({start.why}).")
        decisions.process("web", start.shown, start.why)
    else:
        print(f"web: nothing says how the app is started. {missing_start(project)}")
    return {"version": wishes.text, "version-origin": str(wishes)}


def _install(name: str, berry: bool, locked: bool) -> str:
    if name == "npm":
        return "npm ci" if locked else "npm install"
    if name == "pnpm":
        return "pnpm install --frozen-lockfile" if locked else "pnpm install"
    return f"yarn install {'--immutable' if berry else '--frozen-lockfile'}" if locked else "yarn install"


def _commands(decisions: Decisions, steps: Sequence[Step | None]) -> None:
    for step in steps:
        if step is not None:
            decisions.command(step.shown)
