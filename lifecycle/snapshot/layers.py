"""Unpacked layers on disk: one directory a layer, shared by all roots, never written to again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive import Entry, Ownership, Whiteouts, extract
from lifecycle.oci.digest import Digest
from lifecycle.snapshot.errors import LayerNotUnpacked
from lifecycle.snapshot.places import Lock, Yard


@dataclass(frozen=True, slots=True)
class Stratum:
    """One unpacked layer, or a tree in its place, as something to build a root from.

    ``implied`` are directories (relative, ``.`` the root) that the layer only passes through: their owner and mode
    are those of the layers below.
    """

    path: str
    implied: frozenset[str]


class LayerShelf:
    """The unpacked layers below ``home``; ``whiteouts`` says in which form they keep what they hide."""

    def __init__(self, home: str, ownership: Ownership, whiteouts: Whiteouts) -> None:
        self._home = home
        self._ownership = ownership
        self._whiteouts = whiteouts
        self._layers = os.path.join(home, "layers")
        os.makedirs(self._layers, mode=0o755, exist_ok=True)
        self.yard = Yard(os.path.join(home, "partial"))

    def _place(self, diff_id: Digest) -> str:
        return os.path.join(self._layers, f"{diff_id.algorithm}-{diff_id.hex}")

    def has(self, diff_id: Digest) -> bool:
        """Whether the layer is here, whole."""
        return os.path.isdir(self._place(diff_id))

    def unpack(self, diff_id: Digest, open_tar: Callable[[], BinaryIO]) -> None:
        """Put the layer here unless it is; others who want the same wait."""
        place = self._place(diff_id)
        if os.path.isdir(place):
            return
        lock = Lock.take(place + ".lock")
        assert lock is not None
        try:
            if os.path.isdir(place):
                return
            partial, claim = self.yard.claim()
            try:
                self._extract(open_tar, partial)
                os.rename(partial, place)
            finally:
                self.yard.drop(partial, claim)
        finally:
            lock.release()

    def _extract(self, open_tar: Callable[[], BinaryIO], partial: str) -> None:
        tree = os.path.join(partial, "fs")
        os.mkdir(tree, 0o755)
        rooted = False

        def look(entry: Entry) -> None:
            nonlocal rooted
            rooted = rooted or entry.name == b"."

        with open_tar() as stream:
            done = extract(stream, tree, ownership=self._ownership, whiteouts=self._whiteouts, report=look)
        implied = [os.fsdecode(path) for path in done.implied]
        if not rooted:
            implied.append(".")
        with open(os.path.join(partial, "implied.json"), "w", encoding="utf-8") as file:
            json.dump(implied, file)

    def hold(self, layers: Sequence[Digest]) -> tuple[list[Stratum], list[Lock]]:
        """The strata of ``layers`` in their order, and locks that keep them here. Raises LayerNotUnpacked."""
        locks: list[Lock] = []
        try:
            strata = []
            for diff_id in layers:
                place = self._place(diff_id)
                if not os.path.isdir(place):
                    raise LayerNotUnpacked(f"Layer {diff_id.short} is not unpacked")
                lock = Lock.take(place + ".lock", shared=True)
                assert lock is not None
                locks.append(lock)
                strata.append(self._stratum(place, diff_id))
        except BaseException:
            for lock in locks:
                lock.release()
            raise
        return strata, locks

    def _stratum(self, place: str, diff_id: Digest) -> Stratum:
        try:
            with open(os.path.join(place, "implied.json"), encoding="utf-8") as file:
                return Stratum(os.path.join(place, "fs"), frozenset(json.load(file)))
        except OSError as error:
            raise LayerNotUnpacked(f"Layer {diff_id.short} has just been removed", why=error.strerror) from error

    def collect(self, keep: Callable[[str], bool]) -> int:
        """Remove layers that nobody holds and ``keep`` does not want; how many."""
        count = 0
        for name in sorted(os.listdir(self._layers)):
            if name.endswith(".lock") or keep(name.replace("-", ":", 1)):
                continue
            place = os.path.join(self._layers, name)
            lock = Lock.take(place + ".lock", wait=False)
            if lock is None:
                continue
            doomed, claim = self.yard.claim()
            os.rename(place, os.path.join(doomed, "layer"))  # out of sight at once, whatever happens next
            lock.release(remove=True)
            self.yard.drop(doomed, claim)
            count += 1
        return count


def tree_stratum(root: Path, at: str) -> Stratum:
    """A kept tree as a stratum: of the way to it, only what no layer below knows counts."""
    if not os.path.isdir(os.path.join(root, at.strip("/"))):
        raise LayerNotUnpacked(f"The kept tree for {at} is not at {root}")
    parts = at.strip("/").split("/")
    return Stratum(os.fspath(root), frozenset([".", *("/".join(parts[:count]) for count in range(1, len(parts)))]))
