"""What layers say about the environment: applied to the build's own, or written as lines of a shell.

Source: Buildpack API 0.10, "Provided by the Buildpacks" and "Environment Variable Modification Rules".
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping

from pylife_sdk.context import read_bytes

_AT_BUILD = {"bin": ("PATH",), "lib": ("LD_LIBRARY_PATH", "LIBRARY_PATH"), "include": ("CPATH",)}
_AT_LAUNCH = {"bin": ("PATH",), "lib": ("LD_LIBRARY_PATH",)}
_MODES = ("default", "override", "append", "prepend")


class Change:
    """One modification of a variable: ``mode`` is a suffix of the contract, ``delimiter`` what joins."""

    __slots__ = ("delimiter", "mode", "name", "value")

    def __init__(self, name: str, mode: str, value: str, delimiter: str = "") -> None:
        self.name, self.mode, self.value, self.delimiter = name, mode, value, delimiter

    def apply(self, env: dict[str, str]) -> None:
        """Changes the variable in ``env``."""
        old = env.get(self.name, "")
        match self.mode:
            case "default":
                env[self.name] = old or self.value
            case "append" if old:
                env[self.name] = f"{old}{self.delimiter}{self.value}"
            case "prepend" if old:
                env[self.name] = f"{self.value}{self.delimiter}{old}"
            case _:
                env[self.name] = self.value

    def as_shell(self) -> str:
        """The line that makes the change in a POSIX shell."""
        name, value, delimiter = self.name, shlex.quote(self.value), shlex.quote(self.delimiter)
        match self.mode:
            case "default":
                return f'[ -n "${{{name}:-}}" ] || export {name}={value}'
            case "append":
                joined = f'"${name}"{delimiter}{value}'
            case "prepend":
                joined = f'{value}{delimiter}"${name}"'
            case _:
                return f"export {name}={value}"
        return f'if [ -n "${{{name}:-}}" ]; then export {name}={joined}; else export {name}={value}; fi'

    def moved(self, places: Mapping[str, str]) -> Change:
        """The change with other paths for the directories that ``places`` names."""
        value = self.value
        for old, new in places.items():
            value = ":".join(new + part[len(old) :] if _is_below(part, old) else part for part in value.split(":"))
        return Change(self.name, self.mode, value, self.delimiter)


def layer_changes(layers: Iterable[str], *, launch: bool) -> list[Change]:
    """What the layers at these paths say for the launch, or else for later buildpacks; in order."""
    layers = list(layers)
    found = []
    for layer in layers:
        for folder, names in (_AT_LAUNCH if launch else _AT_BUILD).items():
            path = os.path.join(layer, folder)
            found += [Change(name, "prepend", path, ":") for name in names if os.path.isdir(path)]
    for layer in layers:
        for folder in ("env", "env.launch" if launch else "env.build"):
            found += _from_files(os.path.join(layer, folder))
    return found


def _from_files(folder: str) -> list[Change]:
    if not os.path.isdir(folder):
        return []
    names = sorted(name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name)))
    texts = {name: read_bytes(os.path.join(folder, name)).decode() for name in names}
    found = []
    for full, text in texts.items():
        name, _, mode = full.rpartition(".") if full.endswith(tuple(f".{mode}" for mode in _MODES)) else (full, "", "")
        if not full.endswith(".delim"):
            found.append(Change(name, mode or "override", text, texts.get(f"{name}.delim", "")))
    return found


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top + os.sep)
