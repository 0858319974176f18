"""The filesystem that an image's layers add up to, as a stream of tar members.

The layers are read once each, the top one first, and a path that an upper layer has spoken about is passed over in
the lower ones: nothing is unpacked, and memory holds paths only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

from lifecycle.archive.entry import Entry, Kind, Member, printable
from lifecycle.archive.reader import read_tar
from lifecycle.image.errors import BrokenLayer
from lifecycle.image.layer import Layer

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"


def filesystem(layers: Sequence[Layer]) -> Iterator[Member]:
    """The members of the flattened filesystem of ``layers`` (bottom first), whiteouts applied.

    Take each member's content before asking for the next. Directories may come after what is in them; a hard link
    comes after the file it names, and is that file when the name it was made to is hidden by an upper layer.
    Raises BrokenLayer when a hard link names nothing.
    """
    above = _Above()
    waiting: dict[bytes, list[Entry]] = {}
    for layer in reversed(layers):
        yield from _LayerView(layer, above, waiting).members()
    for target, links in waiting.items():
        raise BrokenLayer(
            f"The hard link {printable(links[0].name)} names {printable(target)}, which is in no layer below it"
        )


class _Above:
    """What the layers above say: paths they have, and directories whose lower content they hide."""

    def __init__(self) -> None:
        self.names: set[bytes] = set()
        self.closed: set[bytes] = set()
        self.parents: set[bytes] = set()

    def hides(self, name: bytes, kind: Kind, memo: dict[bytes, bool]) -> bool:
        """True when an entry of a lower layer is not part of the result; ``memo`` lives as long as this does not
        change."""
        if name in self.names or (kind is not Kind.DIR and name in self.parents):
            return True
        return name != b"." and self._closed(parent(name), memo)

    def _closed(self, directory: bytes, memo: dict[bytes, bool]) -> bool:
        known = memo.get(directory)
        if known is None:
            known = directory in self.closed or (directory != b"." and self._closed(parent(directory), memo))
            memo[directory] = known
        return known


class _LayerView:
    """One layer, seen from above."""

    def __init__(self, layer: Layer, above: _Above, waiting: dict[bytes, list[Entry]]) -> None:
        self._layer = layer
        self._above = above
        self._waiting = waiting
        self._memo: dict[bytes, bool] = {}
        self._names: set[bytes] = set()
        self._closed: set[bytes] = set()
        self._parents: set[bytes] = set()
        self._shown_as: dict[bytes, bytes] = {}
        self._passed_over: set[bytes] = set()
        self._first_name: dict[bytes, bytes] = {}
        self._deferred: dict[bytes, list[Entry]] = {}

    def members(self) -> Iterator[Member]:
        with self._layer.uncompressed() as tar:
            for entry, body in read_tar(tar):
                base = entry.name.rpartition(b"/")[2]
                if base.startswith(WHITEOUT):
                    self._whiteout(entry.name, base)
                elif entry.kind is Kind.HARDLINK:
                    yield from self._link(entry)
                else:
                    yield from self._entry(entry, body)
        if self._deferred:
            yield from self._second_pass()
        self._above.names |= self._names
        self._above.closed |= self._closed
        self._above.parents |= self._parents

    def _whiteout(self, name: bytes, base: bytes) -> None:
        if base == OPAQUE:
            self._closed.add(parent(name))
        elif not base.startswith(WHITEOUT + WHITEOUT):
            gone = name[: len(name) - len(base)] + base[len(WHITEOUT) :]
            self._names.add(gone)
            self._closed.add(gone)

    def _entry(self, entry: Entry, body: BinaryIO) -> Iterator[Member]:
        name = entry.name
        self._place(entry)
        if entry.kind is Kind.DIR:
            if not self._above.hides(name, entry.kind, self._memo):
                yield entry, None
            return
        links = self._waiting.pop(name, [])
        if not self._above.hides(name, entry.kind, self._memo):
            self._shown_as[name] = name
            yield entry, _content(body)
        elif links:
            yield from self._instead(entry, body, links)
            return
        else:
            self._passed_over.add(name)
        for link in links:
            yield replace(link, linkname=name), None

    def _instead(self, entry: Entry, body: BinaryIO, links: list[Entry]) -> Iterator[Member]:
        """A hidden file under the names of the links to it."""
        first = links[0].name
        self._shown_as[entry.name] = first
        yield replace(entry, name=first), _content(body)
        for link in links[1:]:
            yield replace(link, linkname=first), None

    def _link(self, entry: Entry) -> Iterator[Member]:
        target = self._first_name.get(entry.linkname, entry.linkname)
        self._first_name[entry.name] = target
        hidden = self._above.hides(entry.name, entry.kind, self._memo)
        self._place(entry)
        if hidden:
            return
        if target in self._shown_as:
            yield replace(entry, linkname=self._shown_as[target]), None
        elif target in self._passed_over:
            self._deferred.setdefault(target, []).append(entry)
        else:
            self._waiting.setdefault(target, []).append(entry)

    def _second_pass(self) -> Iterator[Member]:
        """Files that came by before it was known that a visible link needs them."""
        with self._layer.uncompressed() as tar:
            for entry, body in read_tar(tar):
                links = self._deferred.pop(entry.name, None)
                if links:
                    yield from self._instead(entry, body, links)

    def _place(self, entry: Entry) -> None:
        name = entry.name
        self._names.add(name)
        if entry.kind is not Kind.DIR:
            self._closed.add(name)
        while (name := parent(name)) != b"." and name not in self._parents:
            self._parents.add(name)


def parent(name: bytes) -> bytes:
    """The directory that holds ``name``; ``b"."`` at the top."""
    return name.rpartition(b"/")[0] or b"."


def _content(body: BinaryIO) -> Callable[[], BinaryIO]:
    return lambda: body
