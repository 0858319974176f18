"""A root filesystem made from layers, and what changed in it."""

from lifecycle.snapshot.base import Root, Snapshotter, Tree
from lifecycle.snapshot.opening import open_snapshotter
from lifecycle.snapshot.places import Yard

__all__ = ["Root", "Snapshotter", "Tree", "Yard", "open_snapshotter"]
