"""The layers of a build between two builds: put back from the cache folder, and put into it again.

Layers of the slug are copied in both directions, so that a build that fails leaves the cache as it was. Those that only
builds see are moved: a build that fails gives them back when they are whole.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import zip_longest

from pylife_sdk import toml
from pylife_sdk.context import read_bytes, write_file
from pylife_sdk.output import heading, note

_SLUG, _BUILD = "slug", "build"
_BESIDE = (".toml", ".sbom.cdx.json", ".sbom.spdx.json")


class Kept:
    """The cache of one CNB buildpack in ``folder``, for layers in ``layers``."""

    __slots__ = ("_folder", "_layers", "_moved", "places")

    def __init__(self, folder: str, layers: str) -> None:
        self._folder, self._layers = folder, layers
        # A descriptor of each directory that was moved: as long as it is open, no new directory gets that inode.
        self._moved: dict[str, int] = {}
        self.places: dict[str, str] = {}
        """After ``store``: the path of each layer that was moved, and its new one."""

    def wanted(self, type: str) -> list[str]:
        """The paths of the layers that this build made or kept with a type (build, launch, cache)."""
        paths = (os.path.join(self._layers, name) for name in _layer_names(self._layers))
        return [path for path in paths if _types(path).get(type)]

    def restore(self) -> None:
        """Puts the layers of the last build where this one makes them, with their keys and without types."""
        os.makedirs(self._layers, exist_ok=True)
        for group in (_SLUG, _BUILD):
            for name in _layer_names(os.path.join(self._folder, group)):
                stored, target = os.path.join(self._folder, group, name), os.path.join(self._layers, name)
                if group == _SLUG:
                    _copy(stored, target)
                else:
                    shutil.move(stored, target)
                    self._moved[name] = os.open(target, os.O_PATH | os.O_DIRECTORY)
                for suffix in _BESIDE:
                    if os.path.exists(stored + suffix):
                        shutil.copyfile(stored + suffix, target + suffix)

    def give_back(self) -> None:
        """After a build that failed: what was moved goes back, unless it was begun anew and not finished."""
        for name in self._moved:
            path = os.path.join(self._layers, name)
            if self._is_untouched(name) or (os.path.isdir(path) and _types(path)):
                self._store_moved(name)
            else:
                self._forget(_BUILD, name)
        self._close()

    def store(self) -> list[str]:
        """After a build: puts into the cache what its buildpack wants kept, and returns the names of the slug's layers.

        What only builds see stays in the cache when this build had no use for it: the programs that fetch a runtime,
        say. A rebuild with nothing changed then leaves the cache as it is, and a later one need not fetch them again.
        """
        staying, wanted = [], {_SLUG: set[str](), _BUILD: set[str]()}
        for name in _layer_names(self._layers):
            path = os.path.join(self._layers, name)
            types = _types(path)
            group = _SLUG if types.get("launch") else _BUILD
            if types.get("launch"):
                staying.append(name)
            if types.get("cache") or (not types and self._is_untouched(name)):
                wanted[group].add(name)
                if group == _SLUG:
                    self._store_copied(name)
                else:
                    self._store_moved(name)
        for group, names in wanted.items():
            folder = os.path.join(self._folder, group)
            staying_files = {name + suffix for name in names for suffix in ("", *_BESIDE)}
            for each in os.listdir(folder) if os.path.isdir(folder) else []:
                if each not in staying_files:
                    remove(os.path.join(folder, each))
        self._close()
        return staying

    def _is_untouched(self, name: str) -> bool:
        """Whether a layer that was moved is still the very directory that it was, and not one that was begun anew."""
        path = os.path.join(self._layers, name)
        return (
            name in self._moved and os.path.isdir(path) and os.path.samestat(os.stat(path), os.fstat(self._moved[name]))
        )

    def _close(self) -> None:
        for descriptor in self._moved.values():
            os.close(descriptor)
        self._moved.clear()

    def _store_copied(self, name: str) -> None:
        path, stored = os.path.join(self._layers, name), os.path.join(self._folder, _SLUG, name)
        if not os.path.isdir(stored) or not _same(path, stored):
            new = stored + ".new"
            remove(new)
            os.makedirs(os.path.dirname(stored), exist_ok=True)
            _copy(path, new)
            self._forget(_SLUG, name)
            os.rename(new, stored)
        self._describe(name, stored)

    def _store_moved(self, name: str) -> None:
        path, stored = os.path.join(self._layers, name), os.path.join(self._folder, _BUILD, name)
        self._forget(_BUILD, name)
        os.makedirs(os.path.dirname(stored), exist_ok=True)
        shutil.move(path, stored)
        self.places[path] = stored
        self._describe(name, stored)

    def _describe(self, name: str, stored: str) -> None:
        """Writes what is beside a stored layer; its description last, since without it a layer counts as none."""
        path = os.path.join(self._layers, name)
        for suffix in _BESIDE[1:]:
            if os.path.exists(path + suffix):
                shutil.copyfile(path + suffix, stored + suffix)
        document = tomllib.loads(read_bytes(path + ".toml").decode())
        write_file(stored + ".toml", toml.dumps({"metadata": document.get("metadata", {})}))

    def _forget(self, group: str, name: str) -> None:
        stored = os.path.join(self._folder, group, name)
        for path in (*(stored + suffix for suffix in _BESIDE), stored):  # the description first: without it, no layer
            remove(path)


def open_folder(cache_dir: str, made_for: dict[str, str]) -> str:
    """The folder of the cache that is this program's, emptied when it was made for something else, which is said."""
    folder = os.path.join(cache_dir, "pylife")
    note_path = os.path.join(folder, "made-for.toml")
    if os.path.isdir(folder):
        try:
            before = tomllib.loads(read_bytes(note_path).decode())
        except (OSError, ValueError):
            before = {}
        if changed := [name for name in made_for if before.get(name) != made_for[name]]:
            name = changed[0]
            heading("Cache")
            if name in before:
                note(f"What the last build kept is discarded: {name} changed from {before[name]} to {made_for[name]}.")
            else:
                note("What is in the cache is discarded: it does not tell what it was made for.")
            shutil.rmtree(folder)
    os.makedirs(folder, exist_ok=True)
    write_file(note_path, toml.dumps(made_for))
    return folder


def remove(path: str) -> None:
    """Removes a file, a link or a tree; nothing when there is none."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _layer_names(folder: str) -> list[str]:
    """The layers in a folder: directories with a description."""
    if not os.path.isdir(folder):
        return []
    names = sorted(os.listdir(folder))
    return [name for name in names if f"{name}.toml" in names and os.path.isdir(os.path.join(folder, name))]


def _types(path: str) -> dict[str, bool]:
    """The types of a layer; none when its buildpack has not wanted it in this build."""
    types = tomllib.loads(read_bytes(path + ".toml").decode()).get("types", {})
    return types if any(types.values()) else {}


def _copy(source: str, target: str) -> None:
    """Copies a tree with its times and links; where the file system can, without copying the bytes."""
    subprocess.run(["cp", "-a", "--reflink=auto", "--", source, target], check=True, stdin=subprocess.DEVNULL)


def _same(one: str, other: str) -> bool:
    """Whether two trees have the same names, modes, sizes, times and links."""
    return all(left == right for left, right in zip_longest(_stats(one), _stats(other)))


def _stats(top: str) -> Iterator[tuple[str, int, int, int, str]]:
    pending = [top]
    while pending:
        folder = pending.pop()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            status = entry.stat(follow_symlinks=False)
            name = os.path.relpath(entry.path, top)
            if stat.S_ISDIR(status.st_mode):
                pending.append(entry.path)
                yield name, status.st_mode, 0, 0, ""
            else:
                target = os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else ""
                yield name, status.st_mode, status.st_size, status.st_mtime_ns, target
