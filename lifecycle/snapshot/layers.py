"""Unpacked layers on disk: one directory a layer, shared by all roots, never written to again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

from lifecycle.archive import Entry, Kind, Ownership, Whiteouts, extract
from lifecycle.oci.digest import Digest
from lifecycle.snapshot.base import Diff, Virtual
from lifecycle.snapshot.changes import Change
from lifecycle.snapshot.diff import FrozenDiff
from lifecycle.snapshot.errors import LayerNotUnpacked, SnapshotFailed
from lifecycle.snapshot.looking import DiskLayer, Layer, MemberLayer
from lifecycle.snapshot.places import Lock, Yard, remove_own_tree
from lifecycle.snapshot.stratum import Notes, Owner, Stratum
from lifecycle.snapshot.view import MergedView

_ADOPTED = "adopted"
_OPAQUE = {Whiteouts.OVERLAY_TRUSTED: "trusted.overlay.opaque", Whiteouts.OVERLAY_USER: "user.overlay.opaque"}


class Hold(Protocol):
    """What keeps a layer on the shelf."""

    def release(self) -> None: ...


class LayerShelf:
    """The unpacked layers below ``home``; ``whiteouts`` says in which form they keep what they hide.

    A layer is a directory with its tree (``fs``), the directories it only passes through, and notes; one that was
    adopted is a link to the diff's directory, which stays where the roots made of it know it to be.
    """

    def __init__(self, home: str, ownership: Ownership, whiteouts: Whiteouts) -> None:
        self._ownership = ownership
        self._whiteouts = whiteouts
        self.single = ownership is Ownership.SELF
        self.opaque = _OPAQUE.get(whiteouts)
        self._layers = os.path.join(home, "layers")
        os.makedirs(self._layers, mode=0o755, exist_ok=True)
        self.yard = Yard(os.path.join(home, "partial"))
        self.diffs = Yard(os.path.join(home, "diffs"))
        self._known: dict[str, tuple[tuple[int, int], Stratum]] = {}

    def _place(self, diff_id: Digest) -> str:
        return os.path.join(self._layers, f"{diff_id.algorithm}-{diff_id.hex}")

    def has(self, diff_id: Digest) -> bool:
        """Whether the layer is here, whole."""
        return os.path.isdir(self._place(diff_id))

    def unpack(self, diff_id: Digest, open_tar: Callable[[], BinaryIO]) -> None:
        """Put the layer here unless it is; others who want the same wait."""
        place = self._place(diff_id)
        lock = Lock.to_make(place + ".lock", lambda: os.path.isdir(place))
        if lock is None:
            return
        try:
            partial, claim = self.yard.claim()
            try:
                self._extract(open_tar, partial)
                _unlink(place)
                os.rename(partial, place)
            finally:
                self.yard.drop(partial, claim)
        finally:
            lock.release()

    def _extract(self, open_tar: Callable[[], BinaryIO], partial: str) -> None:
        tree = os.path.join(partial, "fs")
        os.mkdir(tree, 0o755)
        rooted = False
        owners: dict[bytes, Owner] = {}
        devices: dict[bytes, Entry] = {}

        def look(entry: Entry) -> None:
            nonlocal rooted
            rooted = rooted or entry.name == b"."
            if self.single:
                owner = owners.get(entry.linkname, (0, 0)) if entry.kind is Kind.HARDLINK else (entry.uid, entry.gid)
                if owner != (0, 0) or entry.name in owners:
                    owners[entry.name] = owner
            if entry.kind is Kind.CHAR or entry.kind is Kind.BLOCK:
                devices[entry.name] = entry

        with open_tar() as stream:
            done = extract(stream, tree, ownership=self._ownership, whiteouts=self._whiteouts, report=look)
        implied = [os.fsdecode(path) for path in done.implied]
        if not rooted:
            implied.append(".")
        _describe(partial, implied, Notes(owners, {name: devices[name] for name in done.skipped_devices}))

    def hold(self, layers: Sequence[Digest | Diff]) -> tuple[list[Stratum], list[Hold]]:
        """The strata of ``layers`` in their order, and holds that keep them here. Raises LayerNotUnpacked."""
        strata: list[Stratum] = []
        holds: list[Hold] = []
        try:
            for layer in layers:
                stratum, hold = self._hold(layer)
                strata.append(stratum)
                holds.append(hold)
        except BaseException:
            for each in holds:
                each.release()
            raise
        return strata, holds

    def _hold(self, layer: Digest | Diff) -> tuple[Stratum, Hold]:
        if isinstance(layer, FrozenDiff):
            return layer.stratum, layer.hold()
        if not isinstance(layer, Digest):
            raise TypeError(f"{layer!r} is no layer of this snapshotter")
        place = self._place(layer)
        if not os.path.isdir(place):
            raise LayerNotUnpacked(f"Layer {layer.short} is not unpacked")
        lock = Lock.take(place + ".lock", shared=True)
        assert lock is not None
        try:
            return self._stratum(place, layer), lock
        except BaseException:
            lock.release()
            raise

    def _stratum(self, place: str, diff_id: Digest) -> Stratum:
        try:
            here = os.lstat(place)
            version = here.st_ino, here.st_ctime_ns
            known = self._known.get(place)
            if known is None or known[0] != version:
                known = self._known[place] = version, _read_stratum(os.path.realpath(place))
        except OSError as error:
            raise LayerNotUnpacked(f"Layer {diff_id.short} has just been removed", why=error.strerror) from error
        return known[1]

    def view(self, layers: Sequence[Digest | Diff | Virtual]) -> MergedView:
        """What ``layers`` show together, held until the view is closed. Raises LayerNotUnpacked."""
        strata, holds = self.hold([layer for layer in layers if not isinstance(layer, Virtual)])
        rest = iter(strata)
        stack: list[Layer] = [
            MemberLayer(layer.members) if isinstance(layer, Virtual) else self.look_into(next(rest)) for layer in layers
        ]
        return MergedView(stack[::-1], lambda: release(holds))

    def look_into(self, stratum: Stratum) -> DiskLayer:
        """The stratum as a layer of a view."""
        return DiskLayer(stratum, self.opaque, self.single)

    # -- diffs -----------------------------------------------------------------------------------------------------

    def frozen(self, place: str, claim: Lock, changes: Sequence[Change]) -> FrozenDiff:
        """The diff whose tree is at ``place``/fs, a directory claimed in the yard of diffs."""
        wanted = [change for change in changes if change.wanted]
        return FrozenDiff(place, claim, wanted, self.single, self._adopt, self._let_go)

    def _adopt(self, diff: FrozenDiff, diff_id: Digest) -> bool:
        """Make the diff's directory the layer; False when another was there first."""
        place = self._place(diff_id)
        if os.path.isdir(place):
            return False
        try:
            for name in os.listdir(diff.place):  # what was of use to the root alone
                if name != "fs":
                    remove_own_tree(os.path.join(diff.place, name))
            _describe(diff.place, sorted(diff.stratum.implied), diff.stratum.notes)
            lock = Lock.to_make(place + ".lock", lambda: os.path.isdir(place))
            if lock is None:
                return False
            try:
                _unlink(place)
                # first the word in the directory, then the link: whoever finds one without the other may remove both
                with open(os.path.join(diff.place, _ADOPTED), "w", encoding="utf-8") as file:
                    file.write(os.path.basename(place))
                os.symlink(os.path.join("..", "diffs", os.path.basename(diff.place)), place)
            finally:
                lock.release()
        except OSError as error:
            what = f"The step's changes could not be kept as layer {diff_id.short}"
            raise SnapshotFailed(what, why=f"{error.filename}: {error.strerror}") from error
        return True

    def _let_go(self, place: str, claim: Lock, kept: bool) -> None:
        if kept:
            claim.release(remove=True)
        else:
            self.diffs.drop(place, claim)

    def _is_adopted(self, place: str) -> bool:
        try:
            with open(os.path.join(place, _ADOPTED), encoding="utf-8") as file:
                name = file.read()
            return os.path.basename(os.readlink(os.path.join(self._layers, name))) == os.path.basename(place)
        except OSError:
            return False

    # -- removing --------------------------------------------------------------------------------------------------

    def sweep(self) -> int:
        """Remove what killed processes left: half-unpacked layers, and diffs that nobody adopted; how many."""
        return self.yard.sweep() + self.diffs.sweep(self._is_adopted)

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
            removed = self._remove(place)
            lock.release(remove=removed)
            count += removed
        return count

    def _remove(self, place: str) -> bool:
        """Remove a layer nobody holds by its diffID; False when the diff that it was is still in use."""
        if os.path.islink(place):
            tree = os.path.realpath(place)
            claim = Lock.take(tree + ".lock", wait=False)
            if claim is None:
                return False
            _unlink(place)
            self.diffs.drop(tree, claim)
        else:
            doomed, claim = self.yard.claim()
            os.rename(place, os.path.join(doomed, "layer"))  # out of sight at once, whatever happens next
            self.yard.drop(doomed, claim)
        return True


def release(holds: Sequence[Hold]) -> None:
    """Let go of all."""
    for hold in holds:
        hold.release()


def _read_stratum(place: str) -> Stratum:
    with open(os.path.join(place, "implied.json"), encoding="utf-8") as file:
        return Stratum(os.path.join(place, "fs"), frozenset(json.load(file)), Notes.load(place))


def _describe(place: str, implied: Sequence[str], notes: Notes) -> None:
    with open(os.path.join(place, "implied.json"), "w", encoding="utf-8") as file:
        json.dump(list(implied), file)
    notes.save(place)


def _unlink(place: str) -> None:
    """Remove a link whose directory is gone."""
    if os.path.islink(place):
        os.unlink(place)
