"""Whether what the image starts is in the image: development dependencies are gone by now, and the build has run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from pylife_sdk.context import read_bytes
from pylife_sdk.output import warn

from pylife_nodejs.project import Project
from pylife_nodejs.start import Start

_KEEP = {"npm": "NPM_CONFIG_PRODUCTION=false", "yarn": "YARN_PRODUCTION=false", "pnpm": "PNPM_SKIP_PRUNING=true"}
# What node itself tries when the file of its command line is not there as it is written.
_ENDINGS = ("", ".js", ".json", ".node", "/index.js", "/package.json")


def check_start(project: Project, start: Start, manager: str, env: Mapping[str, str]) -> None:
    """Warns of a web process that will end at once, because its program or its file is not there."""
    words = _words(start)
    if not words:
        return
    if words[0] == "node":
        _check_file(project, words)
    elif not _is_there(project, words[0], env):
        package = _development(project, words[0])
        why = f"{package} is among the devDependencies, which are removed" if package else "no package here brings it"
        keep = f"npm install --save-prod {package or words[0]}   (or yarn add, pnpm add)"
        stay = f"\nor keep what is for development: pylife build --env {_KEEP[manager]} ..." if package else ""
        warn(
            f"web starts {words[0]}, which is NOT IN THE IMAGE: {why}.\n"
            f"If {words[0]} is for development, name what the build makes, in a Procfile: web: node dist/main.js\n"
            f"If it is for production: {keep}{stay}"
        )


def check_prisma(project: Project) -> None:
    """Warns of a Prisma client that was never generated: its package installs one that ends the app."""
    path = os.path.join(project.root.directory, "node_modules", ".prisma", "client", "index.js")
    if os.path.isfile(path) and b"did not initialize yet" in read_bytes(path):
        warn(
            "The Prisma client is NOT GENERATED: the app will end when it asks for one.\n"
            'Let the build make it, with prisma in devDependencies: "build": "prisma generate && ..."\n'
            "It fetches Prisma's engines, so the build needs a network, or PRISMA_ENGINES_MIRROR."
        )


def _words(start: Start) -> list[str]:
    """The command that is started at last, [] where a shell decides it."""
    if start.command:
        return list(start.command)
    head, exec_, last = start.line.rpartition("exec ")
    return last.split() if exec_ and (not head or head.endswith(" ")) else []


def _check_file(project: Project, words: list[str]) -> None:
    if len(words) < 2 or words[1].startswith("-") or "$" in words[1]:
        return
    path = os.path.join(project.manifest.directory, words[1])
    if any(os.path.isfile(path.rstrip("/") + ending) for ending in _ENDINGS):
        return
    has = project.root.scripts.get("build") or project.manifest.scripts.get("build")
    made = f"the build script ({has}) did not write it" if has else "there is no script build that would make it"
    warn(
        f"web starts {words[1]}, which is NOT IN THE IMAGE: {made}.\n"
        f'Correct "start" in {project.manifest.shown}, or the script that is to make the file.'
    )


def _is_there(project: Project, program: str, env: Mapping[str, str]) -> bool:
    folders = dict.fromkeys((project.manifest.directory, project.root.directory))
    if "/" in program:
        return os.path.exists(os.path.join(project.manifest.directory, program))
    if any(os.path.lexists(os.path.join(folder, "node_modules", ".bin", program)) for folder in folders):
        return True
    # Yarn's Plug'n'Play has no such folder; package managers are in a layer of their own.
    if program in ("npm", "npx", "yarn", "pnpm", "pnpx", "corepack") or os.path.isfile(
        os.path.join(project.root.directory, ".pnp.cjs")
    ):
        return True
    return shutil.which(program, path=env.get("PATH", "")) is not None


def _development(project: Project, program: str) -> str:
    """The development dependency that likely brings the program."""
    known = {"ng": "@angular/cli", "nest": "@nestjs/cli", "tsc": "typescript"}
    for manifest in (project.manifest, project.root):
        development = manifest.table("devDependencies")
        for name in (program, known.get(program, program)):
            if name in development and name not in manifest.dependencies:
                return name
    return ""
