"""The installed packages for a bill of materials, from the package.json of each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.sbom import Component, cyclonedx, spdx


def write_sbom(build: Build, paths: Sequence[str]) -> int:
    """Writes what is installed into launch.sbom files of the buildpack; returns how many packages that are."""
    found = sorted(set(installed(build.app, paths)))
    documents = (("cdx", cyclonedx("node-packages", found)), ("spdx", spdx("node-packages", found)))
    for extension, document in documents:
        with open(os.path.join(build.layers, f"launch.sbom.{extension}.json"), "w", encoding="utf-8") as file:
            file.write(document)
    return len(found)


def installed(app: str, paths: Sequence[str]) -> list[Component]:
    """All packages below these folders; links are passed over, since what they lead to is found by itself."""
    found: list[Component] = []
    for path in paths:
        full = os.path.join(app, path)
        if os.path.basename(path) == "node_modules":
            _modules(full, found)
        elif os.path.basename(path) == "cache":
            found += filter(None, (_archive(name) for name in sorted(os.listdir(full))))
    return found


def _modules(directory: str, found: list[Component]) -> None:
    if not os.path.isdir(directory):
        return
    with os.scandir(directory) as entries:
        folders = sorted((entry.name, entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    for name, path in folders:
        if name.startswith("@"):
            _modules(path, found)
        elif name == ".pnpm":
            for stored in sorted(os.listdir(path)):
                _modules(os.path.join(path, stored, "node_modules"), found)
        elif not name.startswith("."):
            _package(path, found)
            _modules(os.path.join(path, "node_modules"), found)


def _package(path: str, found: list[Component]) -> None:
    try:
        data = json.loads(read_bytes(os.path.join(path, "package.json")))
        name, version = data["name"], data["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if isinstance(name, str) and isinstance(version, str):
        licence = data.get("license", "")
        found.append(Component(name, version, purl(name, version), _licence(licence)))


def _licence(text: object) -> str:
    # Only what is an SPDX expression; "SEE LICENSE IN ..." and objects of old are none.
    plain = isinstance(text, str) and text and all(c.isalnum() or c in "-.+() " for c in text)
    return str(text) if plain and not str(text).startswith(("SEE", "UNLICENSED", "Commercial")) else ""


def _archive(name: str) -> Component | None:
    """A package of Yarn's cache, by the name of its archive: ``<name>-npm-<version>-<hash>-<key>.zip``."""
    head, npm, rest = name.partition("-npm-")
    version = rest.removesuffix(".zip").rsplit("-", 2)[0]
    if not npm or not name.endswith(".zip"):
        return None
    full = "/".join(head.split("-", 1)) if head.startswith("@") else head
    return Component(full, version, purl(full, version))


def purl(name: str, version: str) -> str:
    """The package URL of an npm package."""
    return f"pkg:npm/{name.replace('@', '%40')}@{version}"
