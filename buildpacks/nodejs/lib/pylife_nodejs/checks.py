"""What is wrong with the source before anything is fetched."""

from __future__ import annotations

import os

from pylife_sdk.output import fail, listing, warn

from pylife_nodejs.failures import check_lockfile
from pylife_nodejs.manager import Manager
from pylife_nodejs.project import LOCKFILES, Project


def check_source(project: Project) -> None:
    """Raises ``Failure`` for leftovers of another build and for a lockfile without package.json."""
    if os.path.isdir(os.path.join(project.app, ".heroku", "node")):
        fail(
            "node.heroku-directory",
            "The source holds .heroku/node, which a build on Heroku makes.",
            found=listing(os.path.join(project.app, ".heroku")),
            fix="git rm -r --cached .heroku && echo .heroku >> .gitignore",
        )
    if project.root.exists:
        return
    locks = [name for name in LOCKFILES if os.path.isfile(os.path.join(project.app, name))]
    if locks or os.path.isdir(os.path.join(project.app, "node_modules")):
        fail(
            "node.package-json-missing",
            f"There is {locks[0] if locks else 'node_modules'} and no package.json.",
            found=listing(project.app),
            fix="git add package.json\nIf it lies in a folder, name the folder: "
            "pylife build --env BP_NODE_PROJECT_PATH=FOLDER ...",
        )


def check_packages(project: Project, manager: Manager) -> None:
    """Raises ``Failure`` for a lockfile that is broken; warns where there is none."""
    if manager.lockfile:
        check_lockfile(project, manager.lockfile)
        return
    if {**project.root.dependencies, **project.root.table("devDependencies")}:
        lock = {"npm": "package-lock.json", "yarn": "yarn.lock", "pnpm": "pnpm-lock.yaml"}[manager.name]
        warn(
            f"There is no lockfile: each build takes the newest packages that package.json allows.\n"
            f"{manager.name} install && git add {lock}"
        )


def check_ignored(project: Project) -> None:
    """Warns of a package.json that git leaves out: it will not be there when the app is deployed by git push."""
    for name in (".gitignore", ".slugignore"):
        path = os.path.join(project.app, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                if any(line.strip().lstrip("/") == "package.json" for line in file):
                    warn(f"{name} names package.json: it will be missing where the source comes from git.")
