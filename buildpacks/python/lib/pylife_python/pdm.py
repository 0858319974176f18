"""pdm.lock: which packages it pins for an app in production.

Source: PDM's documentation, "Lock file"; with the strategy inherit_metadata (PDM's default since 2.11) every package
names its groups and its marker, without it they follow from pyproject.toml.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pylife_python.markers import applies
from pylife_python.pins import Locked, Need, Node, Pin, git_source, normal, path_pin, requirement, walk


def locked(
    lock: Mapping[str, Any],
    project: Mapping[str, Any],
    app: str,
    environment: Mapping[str, str],
    wanted: Collection[str] = (),
) -> Locked:
    """What ``pdm sync --prod`` would install but for the app itself; ``wanted`` are further groups. Raises ValueError
    when the lock cannot be meant for this project."""
    packages = lock.get("package", [])
    if "inherit_metadata" in lock.get("metadata", {}).get("strategy", []):
        groups = {"default"} | {normal(name) for name in wanted}
        chosen = [
            package
            for package in packages
            if groups & {normal(group) for group in package.get("groups", ["default"])}
            and applies(package.get("marker", ""), environment)
        ]
    else:
        nodes = walk(_roots(project, wanted), _nodes(packages), environment)
        chosen = [dict(node.data) for node in nodes]
    # A package with extras has an entry of its own beside the one without.
    found = {(normal(package["name"]), package["version"]): package for package in chosen}
    sources = project.get("tool", {}).get("pdm", {}).get("source", [])
    indexes = [(source.get("name", ""), source["url"]) for source in sources if "url" in source]
    return Locked((_pin(package, app) for package in found.values()), indexes)


def is_current(lock: Mapping[str, Any], project: Mapping[str, Any]) -> bool:
    """Whether the lock was made from this pyproject.toml; true when the lock does not tell."""
    algorithm, _, said = lock.get("metadata", {}).get("content_hash", "").partition(":")
    return algorithm != "sha256" or said in {_content_hash(project, former=former) for former in (False, True)}


def _content_hash(project: Mapping[str, Any], *, former: bool) -> str:
    standard, pdm = project.get("project", {}), project.get("tool", {}).get("pdm", {})
    groups = {} if former else {normal(name): list(said) for name, said in project.get("dependency-groups", {}).items()}
    for name, said in pdm.get("dev-dependencies", {}).items():
        key = name if former else normal(name)
        groups[key] = [*groups.get(key, []), *said]
    content = {
        "sources": pdm.get("source", []),
        "dependencies": standard.get("dependencies", []),
        "dev-dependencies": groups,
        "optional-dependencies": standard.get("optional-dependencies", {}),
        "requires-python": standard.get("requires-python", ""),
    }
    resolution = pdm.get("resolution", {})
    content |= {"overrides": resolution.get("overrides", {})} if former else {"resolution": resolution}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _nodes(packages: Sequence[Mapping[str, Any]]) -> list[Node]:
    """One node for a package and its entries with extras, whose needs count when the extra is asked for."""
    needs: dict[tuple[str, str], list[Need]] = {}
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    for package in packages:
        key = (normal(package["name"]), package["version"])
        first.setdefault(key, package)
        asked = " or ".join(f"extra == '{extra}'" for extra in package.get("extras", ()))
        for need in map(requirement, package.get("dependencies", [])):
            marker = " and ".join(f"({part})" for part in (asked, need.marker) if part)
            needs.setdefault(key, []).append(Need(need.name, need.wanted, marker, need.extras))
    return [
        Node(*key, package.get("requires_python", "*"), needs.get(key, ()), package) for key, package in first.items()
    ]


def _roots(project: Mapping[str, Any], wanted: Collection[str]) -> list[Need]:
    standard = project.get("project", {})
    texts = list(standard.get("dependencies", []))
    for name in wanted:
        texts += standard.get("optional-dependencies", {}).get(name, [])
        texts += [text for text in project.get("dependency-groups", {}).get(name, []) if isinstance(text, str)]
    return [requirement(text) for text in texts]


def _pin(package: Mapping[str, Any], app: str) -> Pin:
    name, version = package["name"], package["version"]
    if "git" in package:
        commit = package.get("revision") or package.get("ref", "HEAD")
        return Pin(name, version, source=git_source(name, package["git"], commit, package.get("subdirectory", "")))
    if "path" in package:
        return path_pin(name, app, package["path"], editable=bool(package.get("editable")))
    if "url" in package:
        return Pin(name, version, source=f"{name} @ {package['url']}")
    return Pin(name, version, [file["hash"] for file in package.get("files", [])])
