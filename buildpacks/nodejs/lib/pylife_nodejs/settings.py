"""The environment that package managers and scripts run in: the build's own, with what this build needs on top.

Passwords and tokens reach the programs as they are and get into nothing that is kept.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pylife_sdk.bindings import Binding, bindings
from pylife_sdk.cache import Cache, open_cache
from pylife_sdk.context import Build
from pylife_sdk.output import fail, note, warn
from pylife_sdk.tree import digest

from pylife_nodejs.commands import settings
from pylife_nodejs.project import Project
from pylife_nodejs.runtime import Node
from pylife_nodejs.tools import Tool

_SECRET = re.compile(r"auth|token|passw|secret|cert|key", re.I)
_CLIENT = re.compile(r"(npm_config|pnpm_config|yarn|pnpm)_", re.I)
_OURS = re.compile(
    r"(npm_config_(cache|prefix|nodedir|userconfig|globalconfig|tmp)|YARN_(CACHE_FOLDER|GLOBAL_FOLDER|ENABLE_GLOBAL_CACHE)"
    r"|p?npm_config_store_dir|NODE_PATH)$",
    re.I,
)
_BINDINGS = {"npmrc": (".npmrc",), "yarnrc": (".yarnrc.yml",)}
_READERS = {
    ".npmrc": ("npm", "pnpm", "Yarn 1"),
    ".yarnrc.yml": ("Yarn 2 and later",),
}
_OFFLINE = {"npm": "npm-cache", "yarn": "npm-packages-offline-cache", "pnpm": "pnpm-store"}


class Settings:
    """``env`` is for every program of the build; ``cache`` the package manager's; ``offline`` a vendored cache."""

    __slots__ = ("cache", "env", "offline", "plug_and_play")

    def __init__(self, env: dict[str, str], cache: Cache, offline: str, plug_and_play: bool) -> None:
        self.env, self.cache, self.offline, self.plug_and_play = env, cache, offline, plug_and_play


@contextmanager
def prepared(build: Build, project: Project, node: Node, tool: Tool) -> Iterator[Settings]:
    """The settings of a build; a home with the binding's npmrc exists as long as the block runs."""
    cache = _cache(build, tool)
    folder = _OFFLINE[tool.name]
    offline = folder if os.path.isdir(os.path.join(project.root.directory, folder)) else ""
    pnp = _plug_and_play(project, tool)
    aside = sorted(name for name in build.user_env() if _OURS.match(name) and name.lower() != "npm_config_userconfig")
    if aside:
        warn(f"{', '.join(aside)}: left aside; the layers decide it.")
    env = {name: value for name, value in build.env.items() if name not in aside}
    where = os.path.join(project.root.directory, offline) if offline else cache.path
    env |= settings(tool, where, plug_and_play=pnp)
    env |= {
        "PATH": os.pathsep.join([tool.bin, node.bin, env.get("PATH", "")]),
        "npm_config_audit": "false",
        "npm_config_fund": "false",
        "npm_config_update_notifier": "false",
        "npm_config_logs_max": "0",  # a log for each run would be a change of the cache
        "npm_config_progress": "false",
        "npm_config_fetch_retries": "1",
        "NEXT_TELEMETRY_DISABLED": "1",
        "NUXT_TELEMETRY_DISABLED": "1",
        "ASTRO_TELEMETRY_DISABLED": "1",
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        "COREPACK_ENABLE_STRICT": "0",
    }
    env.setdefault("NPM_CONFIG_LOGLEVEL", "error")
    env.setdefault("NODE_ENV", "production")
    env.setdefault("NX_DAEMON", "false")  # it would outlive the script, and write into the app
    if node.headers:
        env |= {"npm_config_nodedir": node.headers, "npm_package_config_node_gyp_nodedir": node.headers}
    if offline and tool.name == "yarn":
        env["YARN_YARN_OFFLINE_MIRROR"] = where
        env["YARN_CACHE_FOLDER"] = cache.path
    if registry := _value(env, "npm_config_registry"):  # which these two do not read themselves
        if tool.berry:
            env.setdefault("YARN_NPM_REGISTRY_SERVER", registry)
        elif tool.name == "pnpm":
            env.setdefault("pnpm_config_registry", registry)
    with tempfile.TemporaryDirectory(prefix="pylife-node-") as home:
        _bind(build, tool, env, home)
        _warn_of_tokens(project)
        yield Settings(env, cache, offline, pnp)


def client_settings(build: Build) -> dict[str, str]:
    """The part of a layer key that the user's settings for package managers make; no secret is in it."""
    said = []
    for name, value in build.user_env().items():
        if _CLIENT.match(name) and not _SECRET.search(name) and not _OURS.match(name):
            said.append(b"%s=%s" % (name.lower().encode(), re.sub(rb"//[^/@\s]+@", b"//", value)))
    return {"settings of the package manager": digest(sorted(said))} if said else {}


def _cache(build: Build, tool: Tool) -> Cache:
    kind = f"yarn-{'berry' if tool.berry else 'classic'}" if tool.name == "yarn" else tool.name
    major = tool.version.split(".")[0] if tool.name == "pnpm" else "1"
    return open_cache(build, f"{tool.name}-cache", {"client": kind, "major": major})


def _plug_and_play(project: Project, tool: Tool) -> bool:
    """Whether Yarn is to make a .pnp.cjs instead of a node_modules: its own default."""
    if not tool.berry:
        return False
    path = os.path.join(project.root.directory, ".yarnrc.yml")
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            match = re.search(r"^nodeLinker:\s*[\"']?([a-z-]+)", file.read(), re.M)
    except FileNotFoundError:
        return True
    return match is None or match[1] == "pnp"


def _bind(build: Build, tool: Tool, env: dict[str, str], home: str) -> None:
    """Service bindings of the types npmrc and yarnrc: settings with passwords, which are read where they lie."""
    for type, names in _BINDINGS.items():
        found = bindings(build.platform, env, type)
        if len(found) > 1:
            fail(
                "node.npmrc-binding",
                f"There are several bindings of the type {type}; one is possible.",
                found="\n".join(f"{each.name}: {', '.join(each.keys)}" for each in found),
                fix="Give the build one of them.",
            )
        for binding in found:
            given = [name for name in names if name in binding.keys]
            if not given:
                fail(
                    "node.npmrc-binding",
                    f"The binding {binding.name} of the type {type} has no file {' or '.join(names)}.",
                    found=f"files: {', '.join(binding.keys) or 'none'}",
                    fix=f"Name the file {names[0]} in the binding {binding.name}.",
                )
            for name in given:
                _give(binding, name, tool, env, home)


def _give(binding: Binding, name: str, tool: Tool, env: dict[str, str], home: str) -> None:
    """Puts a binding's file where the package manager looks for it, unless it is another one's."""
    readers = _READERS[name]
    kind = "Yarn 2 and later" if tool.berry else "Yarn 1" if tool.name == "yarn" else tool.manager.title
    if kind not in readers:
        warn(
            f"The binding {binding.name} is left aside: {kind} does not read its {name}.\n"
            f"Settings for {kind} are a file {'.yarnrc.yml' if tool.berry else '.npmrc'} in a binding of the type "
            f"{'yarnrc' if tool.berry else 'npmrc'}."
        )
        return
    note(f"Settings from the binding {binding.name} ({name}).")
    os.symlink(binding.file(name), os.path.join(home, name))
    if name == ".npmrc":
        env["npm_config_userconfig"] = os.path.join(home, name)
        env.pop("NPM_CONFIG_USERCONFIG", None)
    if tool.name in ("yarn", "pnpm"):  # pnpm 11 and later knows no variable for it
        env["HOME"] = home


def _warn_of_tokens(project: Project) -> None:
    path = os.path.join(project.root.directory, ".npmrc")
    if not os.path.isfile(path):
        return
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if re.search(r"_(authToken|auth|password)\s*=\s*[^\s$]", line):
                warn(
                    f".npmrc:{number} holds a token or password, and the file goes into the image with the source.\n"
                    "Write ${NPM_TOKEN} in its place and give that variable to the build, or give the file as a "
                    "binding of the type npmrc."
                )


def _value(env: dict[str, str], name: str) -> str:
    return next((value for each, value in env.items() if each.lower() == name), "")
