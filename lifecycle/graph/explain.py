"""Telling why a step was found or not: what changed since the last build of the same place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from lifecycle.errors import PylifeError
from lifecycle.graph.key import Ingredient, Key, Value, encode
from lifecycle.graph.node import Base, Node, Vertex
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass
from lifecycle.store.partial import write_file

Verdict = Literal["hit", "same content", "miss", "not needed"]

_LOOKED_INTO = ("miss", "same content")
_FILES_SHOWN = 10
_TEXT_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Explained:
    """One step: found by its definition (``hit``), found by its content, done (``miss``), or not needed at all.

    ``causes`` say why it was not found by its definition; none for a hit.
    """

    title: str
    outcome: Verdict
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.outcome}: {self.title}" + "".join(f"\n  {cause}" for cause in self.causes)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a place in a Dockerfile was made of, last time: by name a fingerprint and a text to show."""

    ingredients: Mapping[str, tuple[str, str]]
    files: Mapping[str, str] = field(default_factory=dict)


class Memory:
    """What every slot was made of when it was built last, in the directory ``root``.

    A lost or damaged piece costs an explanation, nothing else; what cannot be written is not remembered.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def recall(self, slot: str) -> Remembered | None:
        try:
            data = json.loads(self._path(slot).read_bytes().partition(b"\n")[2])
            pairs = {str(name): (str(item[0]), str(item[1])) for name, item in data["ingredients"].items()}
            return Remembered(pairs, {str(name): str(item) for name, item in data["files"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None

    def remember(self, node: Node) -> None:
        """Keep what the node is made of, unless that is what is kept already."""
        path = self._path(node.slot)
        head = node.definition_key.hex.encode()
        with suppress(OSError, PylifeError):
            if path.is_file():
                with path.open("rb") as stream:
                    if stream.read(len(head)) == head:
                        return
            self._root.mkdir(parents=True, exist_ok=True)
            data = {"ingredients": _prints(node), "files": dict(node.operation.manifest())}
            write_file(path, head + b"\n" + json.dumps(data, separators=(",", ":")).encode())

    def _path(self, slot: str) -> Path:
        return self._root / hashlib.sha256(slot.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def explain(
    nodes: Iterable[Node],
    outcomes: Mapping[Key, Verdict],
    recall: Callable[[str], Remembered | None],
    lost: Set[Key],
) -> tuple[Explained, ...]:
    """Why each of ``nodes`` (each after what it depends on) ended as ``outcomes`` says.

    ``lost`` are the keys of which there was a record, but not all its layers.
    """
    nodes = list(nodes)
    if not any(outcome in _LOOKED_INTO for outcome in outcomes.values()):  # nothing to tell, so nothing is read
        return tuple(Explained(node.operation.title, outcomes.get(node.definition_key, "not needed")) for node in nodes)
    changes: dict[Key, tuple[str, ...]] = {}
    origins: dict[Key, str] = {}
    rows = []
    for node in nodes:
        key = node.definition_key
        before = recall(node.slot) if node.slot else None
        if key not in changes:
            changes[key] = _changes(node, before) if before else ()
            if node.operation.no_cache:
                origins[key] = f"an earlier step was done without cache: {node.operation.title}"
            elif changes[key]:
                origins[key] = f"an earlier step changed: {node.operation.title}"
            elif above := _origin((node.parent, *node.inputs), origins):
                origins[key] = above
        outcome = outcomes.get(key, "not needed")
        causes: tuple[str, ...] = ()
        if outcome in _LOOKED_INTO:
            causes = _causes(node, before, changes[key], origins, lost)
        rows.append(Explained(node.operation.title, outcome, causes))
    return tuple(rows)


def _causes(
    node: Node,
    before: Remembered | None,
    changed: tuple[str, ...],
    origins: Mapping[Key, str],
    lost: Set[Key],
) -> tuple[str, ...]:
    above = _origin((node.parent, *node.inputs), origins)
    if node.operation.no_cache:
        return ("--no-cache",)
    if changed:
        return changed
    if above:
        return (above,)
    if node.definition_key in lost:
        return ("the cached layer is gone from the store",)
    return ("no record: first build" if before is None else "no record: it was removed from the cache",)


def _origin(above: Sequence[Vertex], origins: Mapping[Key, str]) -> str | None:
    """What is to be said of a step because of what it depends on."""
    return next((origins[item.definition_key] for item in above if item.definition_key in origins), None)


def _prints(node: Node) -> dict[str, tuple[str, str]]:
    """By name a fingerprint and a text of every ingredient, those of a base image below and beside included."""
    found: dict[str, list[Value]] = {}
    bases = [item for item in (node.parent, *node.inputs) if isinstance(item, Base)]
    above = [item for base in bases for item in base.ingredients or (Ingredient("base layers", base.state.diff_ids),)]
    for item in (*node.definition, *above):
        found.setdefault(item.name, []).append(item.value)
    return {
        name: (hashlib.sha256(encode(values)).hexdigest()[:16], ", ".join(show(value) for value in values))
        for name, values in found.items()
    }


def _changes(node: Node, before: Remembered) -> tuple[str, ...]:
    """What differs between the node and its slot as remembered, a sentence each."""
    now = _prints(node)
    files = _file_changes(before.files, node.operation.manifest())
    found = []
    for name in [*now, *(name for name in before.ingredients if name not in now)]:
        old, new = before.ingredients.get(name), now.get(name)
        if old is not None and new is not None and old[0] == new[0]:
            continue
        if files and "files" in name.split():
            continue  # told one by one
        if old is None:
            found.append(f"{name} is new: {new[1] if new else ''}")
        elif new is None:
            found.append(f"{name} is gone, it was {old[1]}")
        elif old[1] != new[1] and name.split()[0] not in ("files", "file", "context"):
            found.append(f"{name}: {old[1]} → {new[1]}")
        else:
            found.append(f"{name} changed")
    return (*found, *(files if found or _differs(now, before) else ()))


def _differs(now: Mapping[str, tuple[str, str]], before: Remembered) -> bool:
    return {name: item[0] for name, item in now.items()} != {name: item[0] for name, item in before.ingredients.items()}


def _file_changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    if not old or not new:
        return ()
    told = []
    for name in sorted({*old, *new}):
        if name not in old:
            told.append(f"file {name} added")
        elif name not in new:
            told.append(f"file {name} removed")
        elif old[name] != new[name]:
            told.append(f"file {name} changed")
    more = len(told) - _FILES_SHOWN
    return (*told[:_FILES_SHOWN], *((f"and {more} more files",) if more > 0 else ()))


def show(value: Any) -> str:
    """A value of an ingredient for people, cut when it is long."""
    match value:
        case bytes():
            text = f"{len(value)} bytes"
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case Digest():
            text = f"{value.algorithm}:{value.short}"
        case Mapping():
            text = " ".join(f"{name}={show(item)}" for name, item in value.items())
        case list() | tuple():
            text = " ".join(item if isinstance(item, str) else show(item) for item in value)
        case _:
            text = str(value)
    return text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]}…"
