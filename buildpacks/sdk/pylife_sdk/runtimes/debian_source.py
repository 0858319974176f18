"""Runtimes in Debian packages, unpacked as they are: usr/bin, usr/lib …, with bin and lib as links to these."""

from __future__ import annotations

import os
import re

from pylife_sdk.context import Build, Detect
from pylife_sdk.runtimes.choice import Runtime
from pylife_sdk.runtimes.source import Source
from pylife_sdk.sbom import Component

_UPSTREAM = re.compile(r"(?:\d+:)?v?(\d+(?:\.\d+)*)")


class Debian(Source):
    """The one version that the build image's Debian sources have."""

    name = "debian"
    online = True

    def __init__(self, runtime: Runtime, context: Build | Detect) -> None:
        self.packages, self.context, self.runtime = runtime.debian, context, runtime
        self.none = f"Debian's archive has no package {runtime.debian[0]}"
        self._placed: list[Component] = []

    def versions(self) -> list[str]:
        from pylife_sdk.debian import open_apt

        assert isinstance(self.context, Build)
        candidate = open_apt(self.context).candidate(self.packages[0])
        match = _UPSTREAM.match(candidate or "")
        return [match[1]] if match else []

    def origin(self, version: str) -> str:
        return f"Debian packages {', '.join(self.packages)}"

    def place(self, version: str, directory: str) -> None:
        from pylife_sdk.debian import open_apt, unpack

        assert isinstance(self.context, Build)
        apt = open_apt(self.context)
        packages = apt.fetch(self.packages)
        unpack(packages, directory)
        apt.spare(packages)
        self._placed = [package.component() for package in packages]
        for name in ("bin", "lib"):
            if os.path.isdir(os.path.join(directory, "usr", name)) and not os.path.lexists(
                os.path.join(directory, name)
            ):
                os.symlink(f"usr/{name}", os.path.join(directory, name))

    def libraries(self, directory: str) -> list[str]:
        from pylife_sdk.debian import library_directories

        return library_directories(directory)

    def components(self, version: str) -> list[Component]:
        return self._placed
