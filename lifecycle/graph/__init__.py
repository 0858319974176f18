"""The build graph: nodes, keys, caches, and the solver that finds or makes what nodes give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.graph.cache import Cache, Record
    from lifecycle.graph.cancel import Cancellation, Cancelled
    from lifecycle.graph.key import Ingredient, Key
    from lifecycle.graph.local import LocalCache
    from lifecycle.graph.node import Base, Node, Operation, Vertex
    from lifecycle.graph.packing import Packer
    from lifecycle.graph.solver import Probe, Solver
    from lifecycle.graph.state import EMPTY, DiffLayer, KnownLayer, MemberLayer, State, StateLayer

_HOMES = {
    "cache": ("Cache", "Record"),
    "cancel": ("Cancellation", "Cancelled"),
    "key": ("Ingredient", "Key"),
    "local": ("LocalCache",),
    "node": ("Base", "Node", "Operation", "Vertex"),
    "packing": ("Packer",),
    "solver": ("Probe", "Solver"),
    "state": ("EMPTY", "DiffLayer", "KnownLayer", "MemberLayer", "State", "StateLayer"),
}

__getattr__ = exports(__name__, _HOMES)

__all__ = [
    "EMPTY",
    "Base",
    "Cache",
    "Cancellation",
    "Cancelled",
    "DiffLayer",
    "Ingredient",
    "Key",
    "KnownLayer",
    "LocalCache",
    "MemberLayer",
    "Node",
    "Operation",
    "Packer",
    "Probe",
    "Record",
    "Solver",
    "State",
    "StateLayer",
    "Vertex",
]
