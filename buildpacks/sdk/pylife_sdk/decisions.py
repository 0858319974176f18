"""What a buildpack decided while it looked at the app: shown by ``pylife detect`` and before a build.

It travels in the build plan, as ``metadata.pylife`` of one of the buildpack's own requirements: any lifecycle carries
that along, and the buildpack's build can read there what its detection found.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Decisions:
    """Collects decisions in plain words. Empty parts are left out of the plan."""

    __slots__ = ("_commands", "_files", "_layers", "_problems", "_processes", "_versions")

    def __init__(self) -> None:
        self._files: list[str] = []
        self._versions: list[dict[str, str]] = []
        self._layers: list[dict[str, str]] = []
        self._commands: list[str] = []
        self._processes: list[dict[str, str]] = []
        self._problems: list[dict[str, str]] = []

    def read(self, *files: str) -> None:
        """Files of the app that decided something, relative to it."""
        self._files += (name for name in files if name not in self._files)

    def version(self, name: str, version: str, why: str) -> None:
        """A version that will be used: ``why`` is one clause naming its origin ("asked for by .nvmrc:1 (20)")."""
        self._versions.append({"name": name, "version": version, "why": why})

    def layer(self, name: str, holds: str) -> None:
        """A layer that the build will make or keep, and what is in it."""
        self._layers.append({"name": name, "holds": holds})

    def command(self, line: str) -> None:
        """A command that the build will run, as a user would type it."""
        self._commands.append(line)

    def process(self, type: str, command: str, why: str) -> None:
        """A way to start the app that the image will have."""
        self._processes.append({"type": type, "command": command, "why": why})

    def problem(self, id: str, what: str) -> None:
        """Why the build will stop, as far as that is seen already; ``id`` is a failure's."""
        self._problems.append({"id": id, "what": what})

    def as_metadata(self) -> dict[str, Any]:
        """``metadata.pylife`` of a requirement."""
        parts = {
            "files": self._files,
            "versions": self._versions,
            "layers": self._layers,
            "commands": self._commands,
            "processes": self._processes,
            "problems": self._problems,
        }
        return {name: part for name, part in parts.items() if part}
