"""Service bindings: what the platform gives a build beside the app, such as certificates or a client's settings.

A binding is a directory with a file ``type`` (and perhaps ``provider``) and one file for each secret.
Source: servicebinding.io, "Workload Projection"; CNB platform.md, "Bindings": $SERVICE_BINDING_ROOT, else
``<platform>/bindings``.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Binding:
    """One binding. ``type`` is in lower case, as comparisons are; ``keys`` are the names of its secrets, sorted."""

    __slots__ = ("keys", "name", "path", "provider", "type")

    def __init__(self, name: str, type: str, provider: str, path: str, keys: tuple[str, ...]) -> None:
        self.name, self.type, self.provider, self.path, self.keys = name, type, provider, path, keys

    def file(self, key: str) -> str:
        """The path of a secret's file."""
        return os.path.join(self.path, key)

    def read(self, key: str) -> bytes | None:
        """A secret as it is, None when the binding has none of that name."""
        if key not in self.keys:
            return None
        with open(self.file(key), "rb") as file:
            return file.read()


def bindings(platform: str, env: Mapping[str, str], type: str) -> list[Binding]:
    """The bindings of a type (case does not matter), by name. What has no readable ``type`` is no binding."""
    root = env.get("SERVICE_BINDING_ROOT") or os.path.join(platform, "bindings")
    found = []
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        path = os.path.join(root, name)
        said = _word(path, "type").lower()
        if said == type.lower():
            files = (each for each in sorted(os.listdir(path)) if not each.startswith(".."))
            keys = tuple(each for each in files if each not in ("type", "provider") and _is_file(path, each))
            found.append(Binding(name, said, _word(path, "provider"), path, keys))
    return found


def _word(path: str, name: str) -> str:
    try:
        with open(os.path.join(path, name), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _is_file(path: str, name: str) -> bool:
    return os.path.isfile(os.path.join(path, name))
