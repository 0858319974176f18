"""Roots as overlay mounts: preparing costs one mount, and the upper directory is the list of changes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self

from lifecycle.archive import Ownership, Whiteouts
from lifecycle.archive.entry import DIR
from lifecycle.oci.digest import Digest
from lifecycle.snapshot.base import Diff, Tree, View, Virtual
from lifecycle.snapshot.changes import compare
from lifecycle.snapshot.copying import Copier, attributes
from lifecycle.snapshot.diff import FrozenDiff
from lifecycle.snapshot.errors import LayerNotUnpacked, MountFailed, SnapshotFailed
from lifecycle.snapshot.layers import Hold, LayerShelf, release
from lifecycle.snapshot.looking import is_opaque
from lifecycle.snapshot.places import Lock, remove_own_tree
from lifecycle.snapshot.stratum import Stratum, tree_stratum
from lifecycle.snapshot.taking import put_in_layout
from lifecycle.snapshot.upper import UpperTop
from lifecycle.snapshot.view import MergedView


class Mounts(Protocol):
    """The mounts that roots need; ``sandbox.mounts`` has them."""

    def stack(self, lowers: Sequence[str], upper: str, work: str, target: str) -> bool: ...

    def overlay(self, directory: str, lowers: Sequence[str], upper: str, work: str, target: str) -> None: ...

    def unmount(self, target: str) -> None: ...


class OverlaySnapshots:
    """A Snapshotter over overlayfs. Mounts live in this process's mount namespace and vanish with it.

    ``home`` is a directory of this kind's own (rungs with other id maps need another); ``flavour`` the attributes
    that overlayfs keeps its marks in. Whatever else has none of the ``places`` (a directory ends with a slash), every
    root has them, empty: they come from below all layers, so that no run has to make and remove them.
    """

    def __init__(
        self,
        home: Path,
        mounts: Mounts,
        flavour: Literal["trusted", "user"],
        ownership: Ownership,
        places: Sequence[str] = (),
    ) -> None:
        base = os.path.join(home, f"overlay-{flavour}")
        self._floor = _lay_floor(base, places)
        marks = Whiteouts.OVERLAY_TRUSTED if flavour == "trusted" else Whiteouts.OVERLAY_USER
        self._shelf = LayerShelf(base, ownership, marks)
        self._mounts = mounts
        self._flavour = flavour

    def has(self, diff_id: Digest) -> bool:
        return self._shelf.has(diff_id)

    def unpack(self, diff_id: Digest, open_tar: Callable[[], BinaryIO]) -> None:
        self._shelf.unpack(diff_id, open_tar)

    def sweep(self) -> int:
        return self._shelf.sweep()

    def collect(self, keep: Callable[[str], bool]) -> int:
        return self._shelf.collect(keep)

    def close(self) -> None:
        """Nothing is kept between roots here."""

    def view(self, layers: Sequence[Digest | Diff | Virtual]) -> View:
        return self._shelf.view(layers)

    def prepare(
        self, layers: Sequence[Digest | Diff], trees: Sequence[Tree] = (), *, writer_uid: int = 0
    ) -> OverlayRoot:
        strata, holds = self._shelf.hold(layers)
        try:
            strata += [tree_stratum(tree.root, tree.at) for tree in trees]
            place, claim = self._shelf.diffs.claim()
        except FileNotFoundError as error:
            release(holds)
            raise LayerNotUnpacked(f"A kept tree is not at {error.filename}") from error
        except BaseException:
            release(holds)
            raise

        root = OverlayRoot(place, claim, _topmost(strata), self._floor, self._mounts, self._flavour, self._shelf, holds)
        try:
            root.mount()
        except OSError as error:
            root.close()
            raise MountFailed(
                f"A root of {len(layers)} layers could not be mounted", why=f"{error.filename}: {error.strerror}"
            ) from error
        except BaseException:
            root.close()
            raise
        return root


def _lay_floor(base: str, places: Sequence[str]) -> str:
    """The tree of empty places that is below every root of ``base``, made with the first."""
    name = hashlib.sha256("\n".join(places).encode()).hexdigest()[:12]
    floor = os.path.join(base, f"floor-{name}")
    if not os.path.isdir(floor):
        making = f"{floor}.{os.urandom(6).hex()}"
        os.makedirs(making, 0o755)
        for place in places:
            path = os.path.join(making, place.lstrip("/"))
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            if not place.endswith("/"):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
        with contextlib.suppress(OSError):  # another was faster
            os.rename(making, floor)
            return floor
        remove_own_tree(making)
    return floor


def _topmost(strata: Sequence[Stratum]) -> list[Stratum]:
    """The strata, topmost first, those that count: each costs with every mount.

    Overlayfs refuses a tree that comes twice, as that of two steps with the same layer: what the lower one brings or
    hides, the upper one brings or hides again.
    """
    found: dict[str, Stratum] = {}
    for stratum in reversed(strata):
        if not stratum.empty:
            found.setdefault(os.path.realpath(stratum.path), stratum)
    return list(found.values())


class OverlayRoot:
    """One overlay mount. ``strata`` are the lower trees, topmost first; ``floor`` is below them and no part of it."""

    def __init__(
        self,
        place: str,
        claim: Lock,
        strata: list[Stratum],
        floor: str,
        mounts: Mounts,
        flavour: str,
        shelf: LayerShelf,
        holds: Sequence[Hold],
    ) -> None:
        self._place = place
        self._claim = claim
        self._strata = strata
        self._floor = floor
        self._mounts = mounts
        self._flavour = flavour
        self._opaque = f"{flavour}.overlay.opaque"
        self._shelf = shelf
        self._own = not shelf.single
        self._holds = holds
        self._below = MergedView([shelf.look_into(stratum) for stratum in strata])
        self._upper = os.path.join(place, "fs")
        self._merged = os.path.join(place, "root")
        self._mounted = False
        self._closed = False

    @property
    def path(self) -> Path:
        return Path(self._merged)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def mount(self) -> None:
        """Make the mount and give the ways through it their owners and modes. Raises OSError."""
        work = os.path.join(self._place, "work")
        for directory in (work, self._upper, self._merged):
            os.mkdir(directory, 0o755)
        os.chmod(self._upper, 0o755)
        lowers = [*(stratum.path for stratum in self._strata), self._floor]
        if not self._mounts.stack(lowers, self._upper, work, self._merged):
            # short names: a mount's options must fit into one page, and layers may be many
            links = os.path.join(self._place, "l")
            os.mkdir(links, 0o755)
            for number, path in enumerate(lowers):
                os.symlink(path, os.path.join(links, str(number)))
            self._mounts.overlay(links, [str(number) for number in range(len(lowers))], self._upper, work, self._merged)
        self._mounted = True
        for path in sorted({".", *(path for stratum in self._strata for path in stratum.implied)}):
            self._settle(path)

    def _settle(self, path: str) -> None:
        """Give a directory the owner and mode of the topmost layer that really brings it."""
        wanted = self._below.lookup(os.fsencode(path))
        if wanted is None or wanted.kind is not DIR:
            return
        merged = os.path.join(self._merged, path)
        present = os.lstat(merged)
        if self._own and (present.st_uid, present.st_gid) != (wanted.uid, wanted.gid):
            os.chown(merged, wanted.uid, wanted.gid)
            present = os.lstat(merged)
        if stat.S_IMODE(present.st_mode) != wanted.mode:
            os.chmod(merged, wanted.mode)

    def changed(self, at: str) -> bool:
        parts = at.strip("/").split("/")
        for count in range(1, len(parts)):
            above = os.path.join(self._upper, *parts[:count])
            try:
                status = os.lstat(above)
            except FileNotFoundError:
                return False
            if not stat.S_ISDIR(status.st_mode) or self._is_opaque(above):
                return True
        return self._differs("/".join(parts))

    def _differs(self, path: str) -> bool:
        upper = os.path.join(self._upper, path)
        try:
            status = os.lstat(upper)
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(status.st_mode) or self._is_opaque(upper):
            return True  # a file made or copied up, or the mark of one removed
        lower = self._lower(path)
        if lower is None or not _same_directory(upper, status, lower):
            return True
        return any(self._differs(f"{path}/{name}") for name in os.listdir(upper))

    def _lower(self, path: str) -> str | None:
        """The topmost lower directory of that path; None when there is none (or something else in its place)."""
        for stratum in self._strata:
            here = os.path.join(stratum.path, path)
            try:
                return here if stat.S_ISDIR(os.lstat(here).st_mode) else None
            except OSError:
                continue
        return None

    def _is_opaque(self, path: str) -> bool:
        return is_opaque(path, self._opaque)

    def commit(self, *, owner: tuple[int, int] = (0, 0), mtime: int | None = None) -> FrozenDiff:
        self._unmount()
        try:
            top = UpperTop(self._upper, self._flavour)
            found = compare(top, self._below, owner if self._shelf.single else None)
            top.trim(found, mtime)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                why = f"{error.filename}: {error.strerror}"
                raise SnapshotFailed("What a step changed could not be gathered", why=why) from error
            raise
        # the directory goes on as the diff's, where the rest of it waits until there is time to remove it
        self._closed = True
        release(self._holds)
        return self._shelf.frozen(self._place, self._claim, found)

    def take(self, at: str, destination: Path) -> Tree:
        inside = at.strip("/")
        upper = os.path.join(self._upper, inside)
        new = not any(os.path.lexists(os.path.join(stratum.path, inside)) for stratum in self._strata)
        movable = (new or self._is_opaque(upper)) and os.path.isdir(upper) and not os.path.islink(upper)

        def move(target: str) -> None:
            if movable:
                try:
                    os.rename(upper, target)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                else:
                    with contextlib.suppress(OSError):
                        os.removexattr(target, self._opaque)
                    return
            Copier(own=self._own).tree(os.path.join(self._merged, inside), target)

        return put_in_layout(self._merged, at, destination, move, Copier(own=self._own))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._unmount()
        self._shelf.diffs.drop(self._place, self._claim)
        release(self._holds)

    def _unmount(self) -> None:
        if not self._mounted:
            return
        try:
            self._mounts.unmount(self._merged)
        except OSError as error:
            # removing the directory now would empty the root through the mount, but nothing below it
            raise SnapshotFailed(f"{self._merged} could not be unmounted", why=error.strerror) from error
        self._mounted = False


def _same_directory(first: str, status: os.stat_result, second: str) -> bool:
    other = os.lstat(second)
    if (status.st_mode, status.st_uid, status.st_gid) != (other.st_mode, other.st_uid, other.st_gid):
        return False
    names = sorted(attributes(first))
    return names == sorted(attributes(second)) and all(
        os.getxattr(first, name) == os.getxattr(second, name) for name in names
    )
