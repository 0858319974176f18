"""A root filesystem made from layers, and what changed in it."""

from lifecycle.snapshot.base import Diff, Root, Snapshotter, Tree, View, Virtual
from lifecycle.snapshot.opening import collect_snapshots, open_snapshotter, sweep_snapshots
from lifecycle.snapshot.places import Yard

__all__ = [
    "Diff",
    "Root",
    "Snapshotter",
    "Tree",
    "View",
    "Virtual",
    "Yard",
    "collect_snapshots",
    "open_snapshotter",
    "sweep_snapshots",
]
