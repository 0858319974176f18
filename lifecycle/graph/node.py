"""The build graph: operations upon filesystems, and what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias, Union

from lifecycle.graph.key import Ingredient, Key
from lifecycle.graph.state import State, StateLayer
from lifecycle.oci.digest import Digest


class Operation(Protocol):
    """One step as data: what its result depends on, and how to make it. Its result is one layer."""

    @property
    def kind(self) -> str:
        """What sort of operation it is (``run``, ``copy``): part of its keys."""
        ...

    @property
    def title(self) -> str:
        """What people see: ``[builder 2/5] RUN make``."""
        ...

    @property
    def no_cache(self) -> bool:
        """Whether it must be done even when its result is known; the result is recorded all the same."""
        ...

    @property
    def linked(self) -> bool:
        """Whether it reads nothing of the filesystem it works on (``COPY --link``).

        It is then given an empty state, may be done before its parent, and its result outlives a change of parent.
        """
        ...

    def definition(self) -> tuple[Ingredient, ...]:
        """All that the result depends on, but the parent and the inputs. May read files; called once a node."""
        ...

    def content(self, parent: State, inputs: Sequence[State]) -> tuple[Ingredient, ...]:
        """What it reads from the inputs, by content (and from the parent beyond its layers: nothing, usually)."""
        ...

    def execute(self, parent: State, inputs: Sequence[State]) -> StateLayer:
        """Do it. The layer may still be packing when this returns."""
        ...

    def manifest(self) -> Mapping[str, str]:
        """Digests of the files behind the ingredients, by name, to tell which one changed; empty when it reads none."""
        ...


@dataclass(eq=False, frozen=True)
class Base:
    """A filesystem that is there already: a base image's, or nothing at all (``FROM scratch``)."""

    layers: tuple[StateLayer, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    """How it is named in keys: by its diffIDs unless something better is known (``base image`` and its digest)."""

    @cached_property
    def state(self) -> State:
        return State(self.layers)

    @cached_property
    def definition_key(self) -> Key:
        named = self.ingredients or (Ingredient("base layers", self.state.diff_ids),)
        return Key.of("base", named, level="definition")


@dataclass(eq=False)
class Node:
    """An operation in its place: ``parent`` is the filesystem it works on, ``inputs`` the others that it reads.

    ``slot`` names its place in the file over time (image, stage, position), for telling what changed since last time.
    The keys are found once, when first asked for; not before the first ``probe`` or ``solve``, by one thread.
    """

    operation: Operation
    parent: Vertex
    inputs: tuple[Vertex, ...] = ()
    slot: str = ""

    @cached_property
    def definition(self) -> tuple[Ingredient, ...]:
        """The operation's ingredients."""
        return self.operation.definition()

    @cached_property
    def operation_key(self) -> Key:
        """What names the operation alone, wherever it stands."""
        return Key.of(self.operation.kind, self.definition, level="operation")

    @cached_property
    def definition_key(self) -> Key:
        """What names the result before anything is done: the operation, and how parent and inputs are defined."""
        inputs = [self.parent.definition_key, *(item.definition_key for item in self.inputs)]
        return Key.of(self.operation.kind, (), [self.operation_key, *inputs], level="definition")

    def content_key(self, own: Sequence[Ingredient], parent: Sequence[Digest]) -> Key:
        """What names the result by what it is really made of: ``own`` are the operation's ``content``, ``parent`` the
        diffIDs of the filesystem it works on."""
        below = () if self.operation.linked else parent
        return Key.of(self.operation.kind, own, [self.operation_key, None, *below], level="content")

    @property
    def base(self) -> Base:
        """The filesystem at the bottom of the chain."""
        parent = self.chain[0].parent
        assert isinstance(parent, Base)
        return parent

    @cached_property
    def chain(self) -> tuple[Node, ...]:
        """The nodes whose layers lie upon the base, bottom first, this one last."""
        found = [self]
        while isinstance(found[-1].parent, Node):
            found.append(found[-1].parent)
        return tuple(reversed(found))


Vertex: TypeAlias = Union[Node, Base]  # noqa: UP007 (used before both are defined)


def walk(targets: Sequence[Vertex]) -> Iterator[Node]:
    """Every node that the targets depend on, once, each after its parent and inputs."""
    done: set[int] = set()
    waiting: list[tuple[Vertex, bool]] = [(target, False) for target in reversed(targets)]
    while waiting:
        vertex, visited = waiting.pop()
        if id(vertex) in done or isinstance(vertex, Base):
            continue
        if visited:
            done.add(id(vertex))
            yield vertex
            continue
        waiting.append((vertex, True))
        waiting += [(item, False) for item in reversed((vertex.parent, *vertex.inputs))]
