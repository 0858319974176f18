"""Tiny operations that make real layers, and what a solver needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lifecycle.events import RecordingSink, StepEnded, StepStarted
from lifecycle.graph import (
    Base,
    DiffLayer,
    Ingredient,
    KnownLayer,
    MemberLayer,
    Node,
    Packer,
    Solver,
    State,
    StateLayer,
    Vertex,
)
from lifecycle.graph.cache import Cache
from lifecycle.graph.local import LocalCache
from lifecycle.snapshot import Snapshotter
from lifecycle.store import LocalStore
from lifecycle.testing.images import layer_of, members


@dataclass
class Write:
    """Writes files; ``reads`` inputs by the diffIDs of their layers."""

    log: list[str]
    title: str
    files: Mapping[str, bytes]
    packer: Packer
    kind: str = "write"
    no_cache: bool = False
    linked: bool = False
    arguments: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    text: str | None = None
    broken: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    root: Snapshotter | None = None

    def definition(self) -> tuple[Ingredient, ...]:
        files = [Ingredient(f"file {name}", content) for name, content in self.files.items()]
        named = [Ingredient(f"argument {name}", value) for name, value in self.arguments.items()]
        if self.sources:
            named.append(Ingredient("context files", dict(self.sources)))
        return (Ingredient("instruction", self.text or self.title), *named, *files)

    def content(self, parent: State, inputs: Sequence[State]) -> tuple[Ingredient, ...]:
        return tuple(Ingredient("source", list(state.diff_ids)) for state in inputs)

    def execute(self, parent: State, inputs: Sequence[State]) -> StateLayer:
        self.before()
        if self.root is not None:  # as a RUN does
            with self.root.prepare(parent.strata(self.root)) as root:
                self.log.append(self.title)
                for name, content in self.files.items():
                    (root.path / name).write_bytes(content)
                return DiffLayer(root.commit(), self.packer, self.title)
        self.log.append(self.title)
        made = members(self.files)
        if self.broken:
            made = [(replace(entry, size=entry.size + 1), content) for entry, content in made]
        return MemberLayer(made, self.packer, self.title)

    def manifest(self) -> Mapping[str, str]:
        return self.sources


class Workshop:
    """A store, a local cache, and builds upon them: each ``build`` is a new solver and packer, as in a new process."""

    def __init__(self, root: Path) -> None:
        self.store = LocalStore(root / "store")
        self.cache = LocalCache(root / "graph", self.store)
        self.log: list[str] = []
        self.sink = RecordingSink()
        self.packer = Packer(self.store)
        self.more: list[Cache] = []
        self.base = Base((KnownLayer(layer_of(self.store, {"etc/os": b"base\n"})),))
        self.lock = threading.Lock()

    def write(self, title: str, parent: Vertex | None = None, *inputs: Vertex, **options: object) -> Node:
        """A step; without a parent, upon the base. ``slot`` names its place, the title unless it is given."""
        slot = str(options.pop("slot", title))
        files = options.pop("files", {title: title.encode()})
        operation = Write(self.log, title, files, self.packer, **options)  # type: ignore[arg-type]
        return Node(operation, parent or self.base, inputs, slot=slot)

    def solver(self, **options: object) -> Solver:
        cache = LocalCache(self.cache.root, self.store)  # nothing is remembered from the last build
        caches = options.pop("caches", None) or [cache, *self.more]
        return Solver(caches, self.packer, sink=self.sink, **options)  # type: ignore[arg-type]

    def build(self, *targets: Vertex, **options: object) -> list[str]:
        """Build; what was done, in order."""
        self.log.clear()
        self.sink.events.clear()
        self.solver(**options).solve(targets)
        return list(self.log)

    def shown(self) -> list[tuple[str, str]]:
        """(title, outcome) of every step that was shown, in the order of their ends."""
        titles = {event.step: event.title for event in self.sink.events if isinstance(event, StepStarted)}
        return [(titles[event.step], event.outcome) for event in self.sink.events if isinstance(event, StepEnded)]
