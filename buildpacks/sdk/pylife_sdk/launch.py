"""Launch metadata: the processes, slices and labels of an app image.

Source: Buildpack API 0.10, "launch.toml"; a command is a list and always started directly, so a command that needs
``$PORT`` goes through bash.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pylife_sdk import toml
from pylife_sdk.context import Build, write_file


@dataclass(frozen=True, slots=True)
class Process:
    """A way to start the app. ``directory`` is absolute; empty means the app's own."""

    type: str
    command: tuple[str, ...]
    default: bool = False
    directory: str = ""

    def as_toml(self) -> dict[str, Any]:
        """The process as launch.toml has it."""
        table: dict[str, Any] = {"type": self.type, "command": list(self.command)}
        if self.default:
            table["default"] = True
        if self.directory:
            table["working-dir"] = self.directory
        return table


def shell(line: str) -> tuple[str, ...]:
    """The command that runs one line in bash."""
    return ("bash", "-c", line)


def write_launch(
    build: Build,
    processes: Sequence[Process],
    slices: Sequence[Sequence[str]] = (),
    labels: Mapping[str, str] | None = None,
) -> None:
    """Writes launch.toml."""
    document: dict[str, Any] = {"processes": [process.as_toml() for process in processes]}
    document["labels"] = [{"key": name, "value": value} for name, value in (labels or {}).items()]
    document["slices"] = [{"paths": list(paths)} for paths in slices]
    text = toml.dumps({name: part for name, part in document.items() if part})
    write_file(os.path.join(build.layers, "launch.toml"), text)
