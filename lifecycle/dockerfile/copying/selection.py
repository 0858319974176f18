"""What a COPY or ADD takes: the files themselves, and one digest that stands for all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Protocol

from lifecycle.archive.directory import read_xattrs
from lifecycle.archive.entry import FILE, HARDLINK, SYMLINK, Entry, Member
from lifecycle.archive.filetree import ROOT, FileTree, HostTree, Seen, members
from lifecycle.dockerfile.copying.memory import Memory, status_key
from lifecycle.dockerfile.copying.reading import Reader
from lifecycle.dockerfile.copying.sources import Source, find_sources
from lifecycle.dockerfile.copying.spec import CopySpec
from lifecycle.dockerfile.copying.wanted import Wanted, sift, sift_members
from lifecycle.oci.digest import Digest

_VERSION = b"pylife copy 1"


class Selection(Protocol):
    """What was selected. Nothing is read before it is asked for, and then once."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """What is copied, in order."""
        ...

    @property
    def digest(self) -> Digest:
        """Covers all that can end up in the layer, and no times."""
        ...

    @property
    def files(self) -> Mapping[str, str]:
        """Each name → what it is, as text (``0644 sha256:…``, ``-> target``): for saying which one changed."""
        ...

    def members(self, source: Source) -> Iterator[Member]:
        """The entries of one source with names relative to it; the source itself first, as ``b"."``.

        Reading a file that is no longer what was seen raises SourceChanged.
        """
        ...


def select(tree: FileTree, spec: CopySpec, memory: Memory | None = None) -> Selection:
    """What ``spec`` takes from ``tree``. The digests of files on this host are remembered in ``memory``.

    Raises SourceNotFound, BadPattern, TooManyLinks at once; SourceChanged and Unreadable when it is read.
    """
    sources = find_sources(tree, spec)
    memory = memory or Memory(None)
    return (
        _HostSelection(tree, spec, sources, memory)
        if isinstance(tree, HostTree)
        else _Selected(tree, spec, sources, memory)
    )


class _Selected:
    """What was selected from any tree."""

    def __init__(self, tree: FileTree, spec: CopySpec, sources: tuple[Source, ...], memory: Memory) -> None:
        self._tree = tree
        self._spec = spec
        self._memory = memory
        self.sources = sources
        self._members: dict[Source, list[Member]] = {}
        self._digest: Digest | None = None
        self._files: Mapping[str, str] | None = None
        self._started = 0

    @property
    def digest(self) -> Digest:
        if self._digest is None:
            self._started = self._started or time.time_ns()
            self._digest = Digest("sha256", self._find().hex())
        return self._digest

    @property
    def files(self) -> Mapping[str, str]:
        if self._files is None:
            found = self._memory.files_of(bytes.fromhex(self.digest.hex))
            if found is None:
                self._read()
                found = self._files
            self._files = found
        assert self._files is not None
        return self._files

    def members(self, source: Source) -> Iterator[Member]:
        if source not in self._members:
            self._members[source] = list(self._list(source))
        return iter(self._members[source])

    def _find(self) -> bytes:
        return self._read()

    def _list(self, source: Source) -> Iterator[Member]:
        """The members of ``source``, named relative to it."""
        cut = 0 if source.path == ROOT else len(source.path) + 1
        want = Wanted(self._spec, source, source.path, cut)
        found = self._tree.walk(source.path, want.prunes)
        if want.sifts:
            found = sift_members(found, want)
        return _relative(found, cut)

    def _identity(self) -> bytes:
        return b"\0".join([b"other", *(os.fsencode(text) for text in self._spec.sources)])

    def _read(self) -> bytes:
        """The digest, by way of every file's. Sets ``files``."""
        spec, states = self._spec, {}
        shelf = self._memory.shelf(self._identity())
        with shelf.lock:
            reader = Reader(shelf, self._started or time.time_ns())
            total = sha256(_VERSION)
            plain = spec.chown is None
            total.update(b"%d %d %d %d\n" % (spec.keeps_mode, plain, spec.unpack, len(self.sources)))
            for source in self.sources:
                listed = list(self.members(source))
                sums = reader.digests(listed)
                self._members[source] = listed
                total.update(
                    _framed(source.name if not source.directory else b"") + b"%d %d\n" % (source.directory, len(listed))
                )
                records = []
                for (entry, _), digest in zip(listed, sums, strict=True):
                    if entry.name == ROOT and source.directory:
                        continue  # what the directory itself is like, does not come along
                    mode = entry.mode if spec.keeps_mode and entry.kind is not SYMLINK else 0
                    records.append(_record(entry, digest, mode, plain))
                    name = (
                        source.path
                        if entry.name == ROOT
                        else source.path + b"/" + entry.name
                        if source.path != ROOT
                        else entry.name
                    )
                    states[os.fsdecode(name)] = _state(entry, digest, mode)
                total.update(b"".join(records))
            for item in spec.inlines:
                data = item.data if isinstance(item.data, bytes) else reader.digest(item.data)
                total.update(_framed(os.fsencode(item.name)) + b"%o " % item.mode + _framed(data))
            shelf.save()
        found = total.digest()
        self._files = states
        self._memory.keep_files(found, states)
        return found


class _HostSelection(_Selected):
    """What was selected from a directory of this host: recognised by its files' status when nothing changed."""

    _tree: HostTree

    def __init__(self, tree: HostTree, spec: CopySpec, sources: tuple[Source, ...], memory: Memory) -> None:
        super().__init__(tree, spec, sources, memory)
        self._seen: dict[Source, list[Seen]] | None = None

    def _scan(self) -> dict[Source, list[Seen]]:
        found = {}
        for source in self.sources:
            want = Wanted(self._spec, source, source.path, 0 if source.path == ROOT else len(source.path) + 1)
            seen = self._tree.scan(source.path, want.prunes)
            if want.sifts:
                seen = sift(seen, lambda item: item[0], lambda item: item[2].st_mode & 0o170000 == 0o040000, want)
            found[source] = list(seen)
        return found

    def _list(self, source: Source) -> Iterator[Member]:
        if self._seen is None:
            self._seen = self._scan()
        return _relative(members(self._seen[source]), 0 if source.path == ROOT else len(source.path) + 1)

    def _identity(self) -> bytes:
        return os.fsencode(self._tree.directory.absolute())

    def _find(self) -> bytes:
        self._seen = self._scan()
        spec = self._spec
        words = [self._identity(), *(os.fsencode(text) for text in (*spec.sources, "", *spec.exclude))]
        slot = b"\0".join(words) + b"%d %d %d" % (spec.parents, spec.keeps_mode, spec.chown is None)
        if any(not isinstance(item.data, bytes) for item in spec.inlines):
            return self._read()
        total = sha256(_VERSION + b"%d\n" % spec.unpack)
        for item in spec.inlines:
            total.update(_framed(os.fsencode(item.name)) + b"%o " % item.mode + _framed(item.data))  # type: ignore[arg-type]
        newest = 0
        for source, seen in self._seen.items():
            parts = [_framed(source.path) + _framed(source.name)]
            add = parts.append
            for name, path, status in seen:
                mode = status.st_mode
                if mode & 0o170000 == 0o040000:
                    # Its times change with what lies in it, also with what is not selected.
                    add(b"%b\0%o %r\n" % (name, mode, read_xattrs(path, False)))
                else:
                    changed = status.st_ctime_ns
                    newest = max(newest, changed)
                    add(name + b"\0" + status_key(status))
            total.update(b"".join(parts))
        fingerprint = total.digest()
        known = self._memory.recall(slot, fingerprint)
        if known is None:
            known = self._read()
            if newest < self._started - 2_000_000_000:
                self._memory.keep(slot, fingerprint, known)
        return known


def _relative(found: Iterator[Member], cut: int) -> Iterator[Member]:
    """The members with ``cut`` bytes less in their names."""
    if not cut:
        yield from found
        return
    for entry, content in found:
        name, link = entry.name[cut:] or ROOT, entry.linkname
        if entry.kind is HARDLINK:
            link = link[cut:]
        yield (
            Entry(
                name,
                entry.kind,
                entry.mode,
                entry.uid,
                entry.gid,
                entry.size,
                entry.mtime,
                link,
                entry.dev_major,
                entry.dev_minor,
                entry.xattrs,
            ),
            content,
        )


def _framed(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)


def _record(entry: Entry, digest: bytes, mode: int, owned: bool) -> bytes:
    """One entry, so that no two that differ give the same bytes, alone or in a row."""
    name, link = entry.name, entry.linkname
    head = b"%d:%b%b %o %d:" % (len(name), name, entry.kind.value.encode(), mode, len(link))
    uid, gid = (entry.uid, entry.gid) if owned else (0, 0)
    tail = b"%b%d %d %d %d %d %d:%b" % (
        link,
        uid,
        gid,
        entry.size,
        entry.dev_major,
        entry.dev_minor,
        len(digest),
        digest,
    )
    attributes = b"".join([_framed(key) + _framed(value) for key, value in entry.xattrs])
    return head + tail + b"%d:" % len(entry.xattrs) + attributes + b"\n"


def _state(entry: Entry, digest: bytes, mode: int) -> str:
    """What ``entry`` is, for people."""
    if entry.kind is FILE:
        return f"{mode:04o} sha256:{digest.hex()}" if mode else f"sha256:{digest.hex()}"
    if entry.kind in (SYMLINK, HARDLINK):
        return f"{'->' if entry.kind is SYMLINK else 'same as'} {os.fsdecode(entry.linkname)}"
    return f"{mode:04o} {entry.kind.value}"
