"""Packages pinned by a lock file, and the walk through a lock that tells only who needs whom.

The locks of Poetry, PDM and Pipenv are read here and installed by uv, with the hashes that they have and without any
resolution: what is installed is what the lock names, whoever installs it. The tools themselves are not run: they
would each bring thirty packages of their own, pinned by nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pylife_python.markers import applies
from pylife_python.ranges import parse


class Pin:
    """One package: from an index with ``version`` and ``hashes``, or from elsewhere as ``source`` says in a line of
    requirements; ``local`` is its directory when that is on this machine."""

    __slots__ = ("editable", "hashes", "local", "name", "source", "version")

    def __init__(
        self,
        name: str,
        version: str = "",
        hashes: Iterable[str] = (),
        source: str = "",
        local: str = "",
        editable: bool = False,
    ) -> None:
        self.name, self.version, self.hashes = name, version, tuple(sorted(set(hashes)))
        self.source, self.local, self.editable = source, local, editable

    def line(self) -> str:
        """The pin as a line of a requirements file."""
        if self.source:
            return self.source
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={each}" for each in self.hashes)])


class Locked:
    """What a lock file comes to: its pins, sorted, and further package indexes that it names."""

    __slots__ = ("indexes", "pins")

    def __init__(self, pins: Iterable[Pin], indexes: Iterable[tuple[str, str]] = ()) -> None:
        self.pins = tuple(sorted(pins, key=lambda pin: (pin.name, pin.version)))
        self.indexes = tuple(dict.fromkeys(indexes))


def git_source(name: str, url: str, commit: str, subdirectory: str = "") -> str:
    """A requirement from a git repository at one commit."""
    if re.match(r"[\w.-]+@[\w.-]+:", url):  # the short form of ssh
        url = "ssh://" + url.replace(":", "/", 1)
    prefix = "" if url.startswith("git+") else "git+"
    return f"{name} @ {prefix}{url}@{commit}" + (f"#subdirectory={subdirectory}" if subdirectory else "")


def path_pin(name: str, app: str, path: str, *, editable: bool) -> Pin:
    """A package from a directory or an archive of the app."""
    full = os.path.normpath(os.path.join(app, path))
    return Pin(name, source=f"-e {full}" if editable else f"{name} @ file://{full}", local=full, editable=editable)


class Need:
    """An edge: a package that is needed, in a version, under a marker, with extras. Optional ones need an extra."""

    __slots__ = ("extras", "marker", "name", "wanted")

    def __init__(self, name: str, wanted: str = "*", marker: str = "", extras: Iterable[str] = ()) -> None:
        self.name, self.wanted, self.marker, self.extras = normal(name), wanted, marker, frozenset(map(normal, extras))


class Node:
    """A locked package with the Pythons it is for and what it needs; ``data`` is its own table in the lock."""

    __slots__ = ("data", "name", "needs", "pythons", "version")

    def __init__(self, name: str, version: str, pythons: str, needs: Sequence[Need], data: Mapping[str, Any]) -> None:
        self.name, self.version, self.pythons = normal(name), version, pythons or "*"
        self.needs, self.data = tuple(needs), data


def walk(roots: Iterable[Need], nodes: Iterable[Node], environment: Mapping[str, str]) -> list[Node]:
    """The nodes that ``roots`` lead to in an environment.

    Raises ValueError when one that is needed is not there: the lock is not of these roots.
    """
    python = environment["python_full_version"]
    known: dict[str, list[Node]] = {}
    for node in nodes:
        if parse(node.pythons)(python):
            known.setdefault(node.name, []).append(node)
    taken: dict[tuple[str, str], tuple[Node, set[str]]] = {}
    pending = [(need, frozenset[str]()) for need in roots]
    while pending:
        need, requested = pending.pop()
        if not applies(need.marker, environment, requested):
            continue
        fitting = [node for node in known.get(need.name, ()) if _fits(need.wanted, node.version)]
        if not fitting:
            raise ValueError(f"{need.name} {need.wanted} is needed, and the lock has none that fits")
        node = fitting[0]
        first = (node.name, node.version) not in taken
        _, extras = taken.setdefault((node.name, node.version), (node, set()))
        if first or need.extras - extras:
            extras |= need.extras
            pending += ((each, frozenset(extras)) for each in node.needs)
    return [node for node, _ in taken.values()]


def requirement(text: str) -> Need:
    """An edge from a requirement as PEP 508 writes it. Raises ValueError when it is none."""
    head, _, marker = text.partition(";")
    match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?\s*(?:@.*|\(?([^)]*)\)?)\s*$", head)
    if match is None:
        raise ValueError(f"{text!r} is not a requirement")
    extras = [extra.strip() for extra in (match[2] or "").split(",") if extra.strip()]
    return Need(match[1], (match[3] or "").strip() or "*", marker.strip(), extras)


def normal(name: str) -> str:
    """A package's name in the one spelling that compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _fits(wanted: str, version: str) -> bool:
    try:
        return parse(wanted)(version)
    except ValueError:
        return True  # a range in a form of its own: the lock has chosen, and names are unique but for a few
