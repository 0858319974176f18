"""What each package manager is told: to install, to prune, to run a script."""

from __future__ import annotations

from pylife_nodejs.tools import Tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def install(tool: Tool, *, locked: bool, production: bool, offline: bool) -> list[str]:
    """The command that installs what the lockfile says. ``offline``: a vendored cache is all there is."""
    if tool.name == "npm":
        command = ["npm", "ci"] if locked else ["npm", "install", "--no-package-lock"]
        command += ["--omit=dev"] if production else ["--include=dev"]
        return [*command, "--offline" if offline else "--prefer-offline"]
    if tool.name == "pnpm":
        command = ["pnpm", "install", "--frozen-lockfile" if locked else "--no-frozen-lockfile"]
        command += ["--prod" if production else "--prod=false"]
        return [*command, "--offline" if offline else "--prefer-offline"]
    if tool.berry:
        return ["yarn", "install", "--immutable" if locked else "--no-immutable"]
    command = ["yarn", "install", "--non-interactive", "--ignore-engines", f"--production={str(production).lower()}"]
    command += ["--frozen-lockfile"] if locked else ["--no-lockfile"]
    return [*command, "--offline" if offline else "--prefer-offline"]


def prune(tool: Tool, *, locked: bool, workspace: bool) -> list[str]:
    """The command that removes development dependencies; empty where this package manager has none."""
    if tool.name == "npm":
        lock = [] if locked else ["--no-package-lock"]  # which it would write, into the first build's app alone
        return ["npm", "prune", *lock, "--omit=dev", "--ignore-scripts", "--prefer-offline"]
    if tool.name == "pnpm":
        if not workspace:
            return ["pnpm", "prune", "--prod", "--ignore-scripts"]
        lock = "--frozen-lockfile" if locked else "--no-frozen-lockfile"
        return ["pnpm", "install", "--prod", lock, "--ignore-scripts", "--offline"]
    if tool.berry:
        return ["yarn", "workspaces", "focus", "--all", "--production"] if tool.at_least("4.0.0") else []
    return [*install(tool, locked=locked, production=True, offline=False), "--ignore-scripts"]


def rebuild(tool: Tool) -> list[str]:
    """The command that compiles native modules of a node_modules that is there already."""
    return ["npm", "rebuild"]


def run_script(tool: Tool, name: str, flags: str = "") -> list[str]:
    """The command that runs a script of package.json, with flags of its own (as $NODE_BUILD_FLAGS has them)."""
    extra = flags.split()
    if not extra:
        return [tool.name, "run", name]
    return [tool.name, "run", name, *(["--"] if tool.name == "npm" else []), *extra]


def settings(tool: Tool, cache: str, *, plug_and_play: bool) -> Mapping[str, str]:
    """Variables that hold a package manager to this build: where its cache is, no questions, no news of itself."""
    if tool.name == "npm":
        return {"npm_config_cache": cache}
    if tool.name == "pnpm":
        values = {
            "store_dir": cache,
            "package_import_method": "clone-or-copy",
            "confirm_modules_purge": "false",
            "verify_deps_before_run": "false",
            "manage_package_manager_versions": "false",
            "pm_on_fail": "ignore",
            "package_manager_strict": "false",
        }
        return {f"{prefix}_{name}": value for name, value in values.items() for prefix in ("npm_config", "pnpm_config")}
    if tool.berry:
        return {
            "YARN_ENABLE_GLOBAL_CACHE": str(not plug_and_play).lower(),
            "YARN_GLOBAL_FOLDER": cache,
            "YARN_ENABLE_TELEMETRY": "0",
            "YARN_ENABLE_PROGRESS_BARS": "0",
            "YARN_ENABLE_COLORS": "0",
            "YARN_ENABLE_INLINE_BUILDS": "1",
            "YARN_ENABLE_SCRIPTS": "1",
        }
    return {"YARN_CACHE_FOLDER": cache, "YARN_SILENT": "", "YARN_IGNORE_PATH": "1", "DISABLE_OPENCOLLECTIVE": "1"}
