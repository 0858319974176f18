"""Which scripts of package.json a build runs, in Heroku's order, and whether it prunes afterwards.

Source: heroku/nodejs: heroku-prebuild before the install; heroku-build, else build; heroku-postbuild;
heroku-cleanup after pruning.
"""

from __future__ import annotations

import os

from pylife_sdk.output import fail, warn

from pylife_nodejs.manifest import Manifest
from pylife_nodejs.project import Project

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "BP_NODE_RUN_SCRIPTS"
PREBUILD, CLEANUP = "heroku-prebuild", "heroku-cleanup"


class Step:
    """One script of one package."""

    __slots__ = ("manifest", "name")

    def __init__(self, manifest: Manifest, name: str) -> None:
        self.manifest, self.name = manifest, name

    @property
    def shown(self) -> str:
        """Script and text for people."""
        return f"{self.name} of {self.manifest.shown}: {self.manifest.scripts[self.name]}"


def build_steps(project: Project, env: Mapping[str, str]) -> list[Step]:
    """The scripts that make the app, in order. Raises ``Failure`` for one that is asked for and is not there."""
    if VARIABLE in env:
        return [_named(project, name) for name in env[VARIABLE].replace(",", " ").split()]
    chosen = project.origin.startswith("BP_")
    if project.nested and (chosen or not _main(project.root)):
        steps = [Step(manifest, name) for manifest in project.needed() if (name := _main(manifest))]
    else:
        steps = [Step(project.root, name)] if (name := _main(project.root)) else []
    top = project.manifest if chosen else project.root
    return steps + ([Step(top, "heroku-postbuild")] if top.scripts.get("heroku-postbuild") else [])


def hook(project: Project, name: str) -> Step | None:
    """A hook of the root, if its package.json has it."""
    return Step(project.root, name) if project.root.scripts.get(name) else None


def prunes(project: Project, env: Mapping[str, str], manager: str) -> str:
    """Why development dependencies stay, "" when they are to be removed."""
    for name, off in (("NPM_CONFIG_PRODUCTION", "npm"), ("YARN_PRODUCTION", "yarn")):
        if manager == off and env.get(name, "").lower() in ("false", "0"):
            return f"{name}={env[name]}"
    if manager == "pnpm" and env.get("PNPM_SKIP_PRUNING", "").lower() in ("true", "1"):
        return f"PNPM_SKIP_PRUNING={env['PNPM_SKIP_PRUNING']}"
    if (value := env.get("NODE_ENV", "production")) != "production":
        return f"NODE_ENV={value}"
    return _project_toml(project)


def _project_toml(project: Project) -> str:
    path = os.path.join(project.app, "project.toml")
    if not os.path.isfile(path):
        return ""
    import tomllib

    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
        for name in ("com", "heroku", "buildpacks", "nodejs", "actions"):
            table = table.get(name, {})
        return "project.toml (prune_dev_dependencies = false)" if table.get("prune_dev_dependencies") is False else ""
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        warn(f"project.toml was not understood: {error}")
        return ""


def _main(manifest: Manifest) -> str:
    return next((name for name in ("heroku-build", "build") if manifest.scripts.get(name)), "")


def _named(project: Project, name: str) -> Step:
    found = [each for each in (project.manifest, project.root) if each.scripts.get(name)]
    if not found:
        fail(
            "node.script-missing",
            f"{VARIABLE} names the script {name}, and package.json has none of that name.",
            found=f"scripts of {project.manifest.shown}: {', '.join(project.manifest.scripts) or 'none'}",
            fix=f"Correct {VARIABLE}, or add the script to {project.manifest.shown}.",
        )
    return Step(found[0], name)
