"""What each kind of source must answer, and which module answers for it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pylife_sdk.output import fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pylife_sdk.context import Build, Detect
    from pylife_sdk.runtimes.choice import Runtime
    from pylife_sdk.sbom import Component


class Source(ABC):
    """One place where versions of one runtime come from. ``online`` ones are asked by builds only."""

    name = ""
    online = False
    none = "no version"

    @abstractmethod
    def versions(self) -> list[str]:
        """All versions it has. Raises ``Failure`` runtime.network when it cannot be asked."""

    def cached(self) -> list[str]:
        """The versions that can be placed without asking it."""
        return []

    def fetch(self, version: str) -> None:  # noqa: B027 - most have it when they have been asked
        """Downloads a version that was chosen, of a source that knows versions without asking anybody.

        Raises ``Failure`` runtime.network as ``versions`` does.
        """

    @abstractmethod
    def origin(self, version: str) -> str:
        """Where the version comes from, for people."""

    def key(self, version: str) -> str:
        """What changes when the placed files change."""
        return f"{self.origin(version)} {version}"

    @abstractmethod
    def place(self, version: str, directory: str) -> None:
        """Fills an empty directory."""

    def libraries(self, directory: str) -> list[str]:
        """Directories that the loader must search."""
        return []

    @abstractmethod
    def components(self, version: str) -> list[Component]:
        """What was placed."""


def open_source(name: str, place: str, runtime: Runtime, context: Build | Detect) -> Source | str:
    """The source, or why it has nothing to do with this runtime, as one clause."""
    match name:
        case "image":
            from pylife_sdk.runtimes.local import Image

            return Image(runtime) if runtime.image else f"a build image's own {runtime.name} is not used"
        case "folder":
            from pylife_sdk.runtimes.local import Folder

            return Folder(runtime, context, place) if place else "no folder is named (folder:PATH)"
        case "mirror":
            from pylife_sdk.runtimes.mirror import Mirror

            return Mirror(runtime, context, place) if place else "no mirror is named (mirror:URL)"
        case "npm":
            from pylife_sdk.runtimes.npm import Npm

            return Npm(runtime, context) if runtime.npm else f"no npm package brings {runtime.name}"
        case "pypi":
            from pylife_sdk.runtimes.pypi import Pypi

            return Pypi(runtime, context) if runtime.pypi else f"no package of the Python index brings {runtime.name}"
        case "debian":
            from pylife_sdk.runtimes.debian_source import Debian

            return Debian(runtime, context) if runtime.debian else f"no Debian package brings {runtime.name}"
        case "uv":
            from pylife_sdk.runtimes.uv_source import Uv

            return Uv(runtime, context) if runtime.uv else f"uv does not bring {runtime.name}"
    raise ValueError(name)


def arch() -> str:
    """This machine's processor in the words of npm packages and mirrors: x64 or arm64."""
    import os

    machine = os.uname().machine
    names = {"x86_64": "x64", "aarch64": "arm64"}
    if machine not in names:
        fail(
            "runtime.processor-unsupported",
            "Runtimes are not to be had for this processor.",
            found=f"processor: {machine}; known: {', '.join(sorted(names))}",
            fix="Build on one of these (pylife build --platform linux/amd64), or use the build image's own runtime:\n"
            "--env BP_RUNTIME_SOURCES=image",
        )
    return names[machine]
