"""poetry.lock: which packages it pins for an app in production.

Source: Poetry's locker; from lock-version 2.1 on every package names its groups and its marker, before that the
groups follow from pyproject.toml.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from pylife_python.markers import applies
from pylife_python.pins import Locked, Need, Node, Pin, git_source, normal, path_pin, requirement, walk
from pylife_python.ranges import parse

_LEGACY = ("dependencies", "source", "extras", "dev-dependencies")


def locked(
    lock: Mapping[str, Any],
    project: Mapping[str, Any],
    app: str,
    environment: Mapping[str, str],
    wanted: Collection[str] = (),
) -> Locked:
    """What ``poetry sync --only main`` would install but for the app itself; ``wanted`` are further groups and
    extras. Raises ValueError when the lock cannot be meant for this project."""
    extras = {normal(name) for name in wanted}
    if parse(">=2.1")(str(lock.get("metadata", {}).get("lock-version", "1.0"))):
        groups = {"main"} | {normal(name) for name in wanted}
        chosen = [package for package in lock.get("package", []) if _belongs(package, groups, environment, extras)]
    else:
        nodes = [_node(package) for package in lock.get("package", [])]
        chosen = [dict(node.data) for node in walk(_roots(project, wanted, environment), nodes, environment)]
    files = lock.get("metadata", {}).get("files", {})  # where locks of Poetry 1.0 to 1.2 have their hashes
    pins = [_pin(package, app, files) for package in chosen]
    sources = [package["source"] for package in chosen if "source" in package]
    indexes = [(source.get("reference", ""), source["url"]) for source in sources if source.get("type") == "legacy"]
    return Locked(pins, indexes)


def is_current(lock: Mapping[str, Any], project: Mapping[str, Any]) -> bool:
    """Whether the lock was made from this pyproject.toml; true when the lock does not tell."""
    said = lock.get("metadata", {}).get("content-hash")
    return not said or said in {_content_hash(project, groups=True), _content_hash(project, groups=False)}


def _content_hash(document: Mapping[str, Any], *, groups: bool) -> str:
    project, poetry = document.get("project", {}), document.get("tool", {}).get("poetry", {})
    dependency_groups = document.get("dependency-groups", {}) if groups else {}
    standard = {
        key: project[key]
        for key in ("requires-python", "dependencies", "optional-dependencies")
        if project.get(key) is not None
    }
    own = {}
    for key in (*_LEGACY, "group"):
        if poetry.get(key) is None and (key not in _LEGACY or standard or dependency_groups):
            continue
        own[key] = poetry.get(key)
    content: dict[str, Any] = {}
    if standard:
        content["project"] = standard
    if dependency_groups:
        content["dependency-groups"] = dependency_groups
    content = {**content, "tool": {"poetry": own}} if content else own
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _belongs(
    package: Mapping[str, Any], groups: Collection[str], environment: Mapping[str, str], extras: Collection[str]
) -> bool:
    markers = package.get("markers", "")
    for group in package.get("groups", ["main"]):
        if normal(group) in groups:
            marker = markers.get(group, "") if isinstance(markers, Mapping) else markers
            if applies(marker, environment, extras):
                return True
    return False


def _node(package: Mapping[str, Any]) -> Node:
    needs = [need for name, said in package.get("dependencies", {}).items() for need in _needs(name, said)]
    return Node(package["name"], package["version"], package.get("python-versions", "*"), needs, package)


def _needs(name: str, said: object) -> list[Need]:
    """The edges that a dependency table's value means: a range, a table, or a list of such."""
    if isinstance(said, list):
        return [need for each in said for need in _needs(name, each)]
    if isinstance(said, str):
        return [Need(name, said)]
    assert isinstance(said, Mapping)
    markers = [f"({said['markers']})"] if said.get("markers") else []
    if said.get("platform"):
        markers.append(f"sys_platform == '{said['platform']}'")
    return [Need(name, said.get("version", "*"), " and ".join(markers), said.get("extras", ()))]


def _roots(project: Mapping[str, Any], wanted: Collection[str], environment: Mapping[str, str]) -> list[Need]:
    poetry = project.get("tool", {}).get("poetry", {})
    named = {normal(name) for name in wanted}
    tables = [poetry.get("dependencies", {})]
    tables += [
        group.get("dependencies", {}) for name, group in poetry.get("group", {}).items() if normal(name) in named
    ]
    if "dev" in named:
        tables.append(poetry.get("dev-dependencies", {}))
    asked = {
        normal(each) for extra, names in poetry.get("extras", {}).items() if normal(extra) in named for each in names
    }
    roots = [requirement(text) for text in project.get("project", {}).get("dependencies", [])]
    for table in tables:
        for name, said in table.items():
            for each in said if isinstance(said, list) else [said]:
                detail = each if isinstance(each, Mapping) else {}
                pythons = detail.get("python", "*")
                skipped = detail.get("optional") and normal(name) not in asked
                if name != "python" and not skipped and parse(pythons)(environment["python_full_version"]):
                    roots += _needs(name, each)
    return roots


def _pin(package: Mapping[str, Any], app: str, files: Mapping[str, Any]) -> Pin:
    name, version, source = package["name"], package["version"], package.get("source", {})
    hashes = [each["hash"] for each in package.get("files") or files.get(name, [])]
    match source.get("type", ""):
        case "git":
            commit = source.get("resolved_reference") or source.get("reference", "HEAD")
            return Pin(name, version, source=git_source(name, source["url"], commit, source.get("subdirectory", "")))
        case "url":
            return Pin(name, version, source=f"{name} @ {source['url']}" + "".join(f" --hash={h}" for h in hashes[:1]))
        case "directory" | "file":
            return path_pin(name, app, source["url"], editable=bool(package.get("develop")))
    return Pin(name, version, hashes)
