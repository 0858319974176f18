"""Where copied files go, and what becomes of them on the way: the members of a COPY's, ADD's or WORKDIR's layer.

Source: the Dockerfile reference, "COPY", "ADD" and "WORKDIR"; where it is silent, what BuildKit does.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lifecycle.archive.entry import DIR, EPOCH_1980, FILE, HARDLINK, SYMLINK, Content, Entry, Member
from lifecycle.archive.filetree import ROOT, EmptyTree, FileTree, join, resolve
from lifecycle.archive.writer import OnDisk
from lifecycle.dockerfile.copying.layout import Layout
from lifecycle.dockerfile.copying.owners import Owner, find_owner
from lifecycle.dockerfile.copying.selection import Selection
from lifecycle.dockerfile.copying.sources import Source
from lifecycle.dockerfile.copying.spec import CopySpec
from lifecycle.dockerfile.copying.wanted import Wanted

_ROOT_OWNER = (0, 0)


def place(
    selection: Selection, spec: CopySpec, target: FileTree, *, mtime: int = EPOCH_1980, scratch: Path | None = None
) -> list[Member]:
    """The layer that puts ``selection`` where ``spec`` says, onto ``target``.

    Sorted, parents before children, no name twice; directories of the target that lie above are in it as they are.
    Entries have their sources' times, what is made on the way has ``mtime``. ``scratch`` is a folder for the large
    files of archives until they are packed. Raises NotADirectory, ReservedName, UnknownUser, TooManyLinks,
    SourceChanged.
    """
    return place_all([(selection, spec)], target, mtime=mtime, scratch=scratch)


def place_all(
    copies: Sequence[tuple[Selection, CopySpec]],
    target: FileTree,
    *,
    mtime: int = EPOCH_1980,
    scratch: Path | None = None,
) -> list[Member]:
    """One layer of several copies, each of which finds what those before it left: an ADD with sources of many kinds."""
    base = EmptyTree() if all(spec.linked for _, spec in copies) else target
    layout = Layout(base, mtime, copies[0][1].what if copies else "COPY")
    for selection, spec in copies:
        _Placing(spec, layout, scratch).run(selection)
    return layout.members()


def workdir(path: str, user: str, target: FileTree, *, mtime: int = EPOCH_1980) -> list[Member]:
    """The layer that makes directory ``path`` (absolute) with what is missing above it, owned by ``user``.

    Empty when it is there. Raises NotADirectory, UnknownUser, TooManyLinks.
    """
    layout = Layout(target, mtime, f"WORKDIR {path}")
    place = resolve(layout, os.fsencode(path))
    found = layout.lookup(place)
    if found is None or found.kind is not DIR:
        layout.directories(place, 0o755, find_owner(user, target, f"WORKDIR {path}"))
    return layout.members()


class _Placing:
    """One copy being laid out."""

    def __init__(self, spec: CopySpec, layout: Layout, scratch: Path | None) -> None:
        self._spec = spec
        self._layout = layout
        self._scratch = scratch
        self._owner: Owner | None = None
        if spec.chown is not None:
            self._owner = find_owner(spec.chown, layout.target, f"{spec.what} --chown={spec.chown}")
        bits = None if spec.chmod is None else spec.chmod.bits
        self._made_mode = 0o755 if bits is None else bits & 0o777
        destination = posixpath.normpath("/" + spec.destination.lstrip("/"))
        self._destination = os.fsencode(destination)
        self._is_directory = destination == "/" or spec.destination.endswith(("/", "/."))

    def run(self, selection: Selection) -> None:
        for source in selection.sources:
            self._source(selection, source)
        for item in self._spec.inlines:
            data = item.data
            size = len(data) if isinstance(data, bytes) else os.stat(data.path).st_size
            entry = Entry(ROOT, FILE, item.mode, 0, 0, size)
            if not (self._spec.unpack and isinstance(data, OnDisk) and self._spread(data)):
                self._file(entry, data, os.fsencode(item.name))

    def _source(self, selection: Selection, source: Source) -> None:
        if source.directory:
            self._contents(selection, source)
            return
        entry, content = next(selection.members(source))
        if not (self._spec.unpack and entry.kind is FILE and self._spread(content)):
            self._file(entry, content, source.name)

    def _make(self, path: bytes) -> None:
        self._layout.directories(path, self._made_mode, self._owner or _ROOT_OWNER)

    def _spread(self, content: Content) -> bool:
        from lifecycle.dockerfile.copying.archives import is_archive, spread

        if not is_archive(content):
            return False
        destination = resolve(self._layout, self._destination)
        self._layout.directories(destination, 0o755, self._owner or _ROOT_OWNER)
        spread(content, self._layout, destination, self._owner, self._scratch)
        return True

    def _file(self, entry: Entry, content: Content, name: bytes) -> None:
        place = resolve(self._layout, self._destination)
        if self._is_directory:
            self._make(place)
        found = self._layout.lookup(place)
        if found is not None and found.kind is DIR:
            place = join(place, name)
        self._make(place.rpartition(b"/")[0] or ROOT)
        self._layout.put(self._changed(entry, place), content)

    def _contents(self, selection: Selection, source: Source) -> None:
        """What is in a directory goes into the destination: one that is there stays as it is, those in it change."""
        place = resolve(self._layout, self._destination)
        self._make(place)
        layout, changed = self._layout, self._changed
        wanted = Wanted(self._spec, source, ROOT, 0)
        first: dict[bytes, tuple[Entry, Content, object]] = {}
        before = b"" if place == ROOT else place + b"/"
        links = {entry.linkname for entry, _ in selection.members(source) if entry.kind is HARDLINK}
        for entry, content in selection.members(source):
            name = entry.name
            if name == ROOT:
                continue
            path = before + name
            if entry.kind is HARDLINK:
                head, content, group = first[entry.linkname]
                layout.put(changed(head, path), content, group)
            elif name in links:
                group = object()
                first[name] = entry, content, group
                layout.put(changed(entry, path), content, group)
            elif entry.kind is DIR and (found := layout.lookup(path)) is not None and found.kind is DIR:
                if wanted(name):
                    attributes = tuple(sorted((dict(found.xattrs) | dict(entry.xattrs)).items()))
                    layout.put(replace(changed(entry, path), xattrs=attributes), None)
                else:  # only on the way to what is wanted
                    layout.put(replace(found, name=path, mode=entry.mode), None)
            else:
                layout.put(changed(entry, path), content)

    def _changed(self, entry: Entry, path: bytes) -> Entry:
        """``entry`` as it is to stand at ``path``."""
        mode, chmod = entry.mode, self._spec.chmod
        if chmod is not None and entry.kind is not SYMLINK:
            mode = chmod.bits if chmod.bits is not None else chmod.apply(mode, entry.kind is DIR)
        uid, gid = self._owner or (entry.uid, entry.gid)
        return Entry(
            path,
            entry.kind,
            mode,
            uid,
            gid,
            entry.size,
            entry.mtime,
            entry.linkname,
            entry.dev_major,
            entry.dev_minor,
            entry.xattrs,
        )
