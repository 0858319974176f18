"""The build graph: nodes, keys, caches, and the solver that finds or makes what nodes give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.graph.cache import Cache, Record
    from lifecycle.graph.cancel import Cancellation, Cancelled
    from lifecycle.graph.document import BrokenCache, with_inline_cache
    from lifecycle.graph.explain import Explained, Memory
    from lifecycle.graph.exporting import export_cache, open_cache
    from lifecycle.graph.key import Ingredient, Key
    from lifecycle.graph.local import LocalCache
    from lifecycle.graph.node import Base, Node, Operation, Vertex
    from lifecycle.graph.packing import Packer
    from lifecycle.graph.remote import ImageCache
    from lifecycle.graph.repository import RepositoryCache, cache_repository
    from lifecycle.graph.solver import Probe, Solver
    from lifecycle.graph.spec import CacheSource, CacheTarget, parse_cache_from, parse_cache_to
    from lifecycle.graph.state import EMPTY, DiffLayer, KnownLayer, MemberLayer, State, StateLayer

_HOMES = {
    "cache": ("Cache", "Record"),
    "cancel": ("Cancellation", "Cancelled"),
    "document": ("BrokenCache", "with_inline_cache"),
    "explain": ("Explained", "Memory"),
    "exporting": ("export_cache", "open_cache"),
    "key": ("Ingredient", "Key"),
    "local": ("LocalCache",),
    "node": ("Base", "Node", "Operation", "Vertex"),
    "packing": ("Packer",),
    "remote": ("ImageCache",),
    "repository": ("RepositoryCache", "cache_repository"),
    "solver": ("Probe", "Solver"),
    "spec": ("CacheSource", "CacheTarget", "parse_cache_from", "parse_cache_to"),
    "state": ("EMPTY", "DiffLayer", "KnownLayer", "MemberLayer", "State", "StateLayer"),
}

__getattr__ = exports(__name__, _HOMES)

__all__ = [
    "EMPTY",
    "Base",
    "BrokenCache",
    "Cache",
    "CacheSource",
    "CacheTarget",
    "Cancellation",
    "Cancelled",
    "DiffLayer",
    "Explained",
    "ImageCache",
    "Ingredient",
    "Key",
    "KnownLayer",
    "LocalCache",
    "MemberLayer",
    "Memory",
    "Node",
    "Operation",
    "Packer",
    "Probe",
    "Record",
    "RepositoryCache",
    "Solver",
    "State",
    "StateLayer",
    "Vertex",
    "cache_repository",
    "export_cache",
    "open_cache",
    "parse_cache_from",
    "parse_cache_to",
    "with_inline_cache",
]
