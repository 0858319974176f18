"""What a COPY or ADD takes: the files themselves, and one digest that stands for all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Protocol, TypeVar

from lifecycle.archive.directory import read_xattrs
from lifecycle.archive.entry import DIR, EPOCH_1980, FILE, HARDLINK, SYMLINK, Content, Entry, Member, printable
from lifecycle.archive.errors import FileChanged, Unreadable
from lifecycle.archive.filetree import ROOT, FileTree, HostTree, Seen, Witnessed, members
from lifecycle.archive.writer import OnDisk
from lifecycle.dockerfile.copying.memory import Memory, Shelf, status_key
from lifecycle.dockerfile.copying.sources import Source, find_sources
from lifecycle.dockerfile.copying.spec import CopySpec
from lifecycle.dockerfile.patterns import Matcher
from lifecycle.oci.digest import Digest

_VERSION = b"pylife copy 1"
_SMALL = 128 << 10
_KEPT = 64 << 20
_LARGE = 4 << 20
_CHUNK = 1 << 20
_T = TypeVar("_T")


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
            found = _sift_members(found, want)
        return _relative(found, cut)

    def _identity(self) -> bytes:
        return b"\0".join([b"other", *(os.fsencode(text) for text in self._spec.sources)])

    def _read(self) -> bytes:
        """The digest, by way of every file's. Sets ``files``."""
        spec, states = self._spec, {}
        shelf = self._memory.shelf(self._identity())
        with shelf.lock:
            reader = _Reader(shelf, self._started or time.time_ns())
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
                seen = _sift(seen, lambda item: item[0], lambda item: item[2].st_mode & 0o170000 == 0o040000, want)
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


class Wanted:
    """Which names below a source are taken; ``cut`` bytes less, they are relative to it. ``top`` is its own name."""

    def __init__(self, spec: CopySpec, source: Source, top: bytes, cut: int) -> None:
        self._cut = cut
        self._top = top
        self._exclude: Matcher | None = Matcher(spec.exclude) if spec.exclude and source.directory else None
        self._include: Matcher | None = Matcher((source.include,)) if source.include else None
        takes_back = self._exclude is not None and any(pattern.negated for pattern in self._exclude.patterns)
        self.sifts = self._include is not None or takes_back
        self.prunes: Callable[[bytes], bool] | None = self._prunes if self._include or self._exclude else None

    def _prunes(self, path: bytes) -> bool:
        """Whether neither ``path`` nor anything below it is taken."""
        name = os.fsdecode(path[self._cut :])
        exclude, include = self._exclude, self._include
        if exclude is not None and exclude.matches(name) and not exclude.may_differ_below(name):
            return True
        return include is not None and not include.matches(name) and not include.may_differ_below(name)

    def __call__(self, path: bytes) -> bool:
        """Whether ``path`` itself is taken."""
        if path == self._top:
            return True
        name = os.fsdecode(path[self._cut :])
        if self._exclude is not None and self._exclude.matches(name):
            return False
        return self._include is None or self._include.matches(name)


def _sift(
    found: Iterator[_T], name_of: Callable[[_T], bytes], is_dir: Callable[[_T], bool], wanted: Callable[[bytes], bool]
) -> Iterator[_T]:
    """What is wanted, and the directories above it, each when the first thing in it comes."""
    held: list[_T] = []
    for item in found:
        name = name_of(item)
        while held and not name.startswith(name_of(held[-1]) + b"/"):
            held.pop()
        if wanted(name):
            yield from held
            held.clear()
            yield item
        elif is_dir(item):
            held.append(item)


def _sift_members(found: Iterator[Member], wanted: Callable[[bytes], bool]) -> Iterator[Member]:
    """What is wanted; a hard link whose file was left out takes that file's place."""
    files: dict[bytes, Member] = {}
    taken: dict[bytes, bytes] = {}

    def noted() -> Iterator[Member]:
        for member in found:
            if member[0].kind not in (DIR, HARDLINK):
                files[member[0].name] = member
            yield member

    for entry, content in _sift(noted(), lambda member: member[0].name, lambda member: member[0].kind is DIR, wanted):
        if entry.kind is not HARDLINK:
            taken[entry.name] = entry.name
            yield entry, content
        elif entry.linkname in taken:
            yield replace(entry, linkname=taken[entry.linkname]), None
        else:
            taken[entry.linkname] = entry.name
            first, content = files[entry.linkname]
            yield replace(first, name=entry.name), content


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
                EPOCH_1980,
                link,
                entry.dev_major,
                entry.dev_minor,
                entry.xattrs,
            ),
            content,
        )


class _Reader:
    """Reads files for their digests. Small ones are kept, up to a bound, so that packing need not read them again."""

    def __init__(self, shelf: Shelf, started: int) -> None:
        self._shelf = shelf
        self._started = started
        self._kept = 0

    def digests(self, listed: list[Member]) -> list[bytes]:
        """The sha256 of each member's content; empty for one without. Puts what it kept into ``listed``."""
        sums = []
        large: list[tuple[int, OnDisk, os.stat_result]] = []
        for number, (entry, content) in enumerate(listed):
            if entry.kind is not FILE or content is None:
                sums.append(b"")
                continue
            if isinstance(content, bytes):
                sums.append(sha256(content).digest())
                continue
            if not isinstance(content, OnDisk):
                sums.append(_of_stream(content, entry))
                continue
            status = content.status if isinstance(content, Witnessed) else _status(content)
            key = status_key(status)
            known = self._shelf.get(key)
            if known is not None:
                sums.append(known)
            elif status.st_size >= _LARGE:
                sums.append(b"")
                large.append((number, content, status))
            else:
                data = _whole(content, status.st_size)
                digest = sha256(data).digest()
                self._shelf.add(key, digest, status.st_ctime_ns, self._started)
                if len(data) <= _SMALL and self._kept + len(data) <= _KEPT:
                    self._kept += len(data)
                    listed[number] = entry, data
                sums.append(digest)
        if large:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(2) as pool:
                found = pool.map(lambda item: _of_file(item[1]), large)
                for (number, _, status), digest in zip(large, found, strict=True):
                    sums[number] = digest
                    self._shelf.add(status_key(status), digest, status.st_ctime_ns, self._started)
        return sums

    def digest(self, content: OnDisk) -> bytes:
        """The sha256 of one file."""
        return self.digests([(Entry(b"x", FILE), content)])[0]


def _status(content: OnDisk) -> os.stat_result:
    try:
        return os.lstat(content.path)
    except OSError as error:
        raise Unreadable(f"{printable(content.path)} cannot be read", why=error.strerror) from error


def _whole(content: OnDisk, size: int) -> bytes:
    fd = content.fd()
    try:
        data = os.read(fd, size) if size else b""
        while len(data) < size and (more := os.read(fd, size - len(data))):
            data += more
    finally:
        os.close(fd)
    if len(data) < size:
        raise FileChanged(f"{printable(content.path)} became shorter while it was being read")
    return data


def _of_file(content: OnDisk) -> bytes:
    total = sha256()
    fd = content.fd()
    try:
        while data := os.read(fd, _CHUNK):
            total.update(data)
    finally:
        os.close(fd)
    return total.digest()


def _of_stream(content: Content, entry: Entry) -> bytes:
    assert callable(content)
    total = sha256()
    with content() as stream:
        left = entry.size
        while left and (data := stream.read(min(left, _CHUNK))):
            left -= len(data)
            total.update(data)
    return total.digest()


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
