"""Layers laid over each other in user space: a read-only ``FileTree`` without any mount."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from lifecycle.archive.entry import DIR, HARDLINK, Content, Entry, Member
from lifecycle.snapshot.looking import CLOSED, HIDDEN, OPEN, OTHER, ROOT, Layer, Look, Raw

Stack = tuple[Layer, ...]
_Child = tuple[Layer, Raw, Stack]  # who brings it, what it is, and for a directory all who do


class MergedView:
    """What a root of ``layers`` (topmost first) would show. The layers must not change; any thread may look.

    A directory is the layers that have a part in it; which ones, is remembered, so that a look costs one system call
    a layer and none for the way.
    """

    def __init__(self, layers: Sequence[Layer], on_close: Callable[[], None] = lambda: None) -> None:
        self._on_close = on_close
        self._closed = False
        stack = []
        for layer in layers:
            stack.append(layer)
            if layer.look(ROOT)[0] is CLOSED:
                break
        self._directories: dict[bytes, Stack | None] = {ROOT: tuple(stack)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._on_close()

    def lookup(self, path: bytes) -> Entry | None:
        found = self._find(path)
        return None if found is None else found[0]

    def content(self, path: bytes) -> Content:
        found = self._find(path)
        return None if found is None else found[1]

    def has_other_names(self, path: bytes) -> bool:
        """Whether the file at ``path`` has hard links in its layer."""
        for layer in self._directory(path.rpartition(b"/")[0] or ROOT) or ():
            look, raw = layer.look(path)
            if look is not None:
                return look is OTHER and raw is not None and layer.identity(path, raw) is not None
        return False

    def names(self, path: bytes) -> list[bytes]:
        stack = self._directory(path)
        return [] if stack is None else sorted(self._children(path, stack))

    def walk(self, path: bytes, skip: Callable[[bytes], bool] | None = None) -> Iterator[Member]:
        top = self._find(path)
        if top is None:
            return
        yield top
        stack = self._directory(path)
        if stack is None:
            return
        first: dict[object, bytes] = {}
        below = b"" if path == ROOT else path + b"/"
        pending = [(below, self._sorted(path, stack))]
        while pending:
            below, children = pending[-1]
            for name, (layer, raw, parts) in children:
                inside = below + name
                if skip is not None and skip(inside):
                    continue
                if parts:
                    yield self._settle(inside, parts)
                    pending.append((inside + b"/", self._sorted(inside, parts)))
                    break
                member = layer.member(inside, raw)
                identity = layer.identity(inside, raw)
                if identity is not None:
                    known = first.setdefault((layer, identity), inside)
                    if known is not inside:
                        e = member[0]
                        member = Entry(inside, HARDLINK, e.mode, e.uid, e.gid, 0, e.mtime, known), None
                yield member
            else:
                pending.pop()

    def _sorted(self, path: bytes, stack: Stack) -> Iterator[tuple[bytes, _Child]]:
        return iter(sorted(self._children(path, stack).items()))

    def _find(self, path: bytes) -> Member | None:
        if path == ROOT:
            return self._settle(ROOT, self._directories[ROOT] or ())
        above = path.rpartition(b"/")[0] or ROOT
        for layer in self._directory(above) or ():
            look, raw = layer.look(path)
            if look is None:
                continue
            if look is HIDDEN:
                return None
            if look is OTHER:
                assert raw is not None
                return layer.member(path, raw)
            stack = self._directory(path)
            assert stack is not None
            return self._settle(path, stack)
        return None

    def _settle(self, path: bytes, stack: Stack) -> Member:
        """A directory as the topmost layer has it that really brings it."""
        for layer in stack:
            if not layer.implied(path):
                break
        else:
            if not stack:
                return Entry(ROOT, DIR, 0o755), None
            layer = stack[0]
        raw = layer.look(path)[1]
        assert raw is not None
        return layer.member(path, raw)

    def _directory(self, path: bytes) -> Stack | None:
        """The layers that have a part in the directory ``path``; None when it is none."""
        try:
            return self._directories[path]
        except KeyError:
            pass
        parts: list[Layer] = []
        for layer in self._directory(path.rpartition(b"/")[0] or ROOT) or ():
            look = layer.look(path)[0]
            if look is None:
                continue
            if look is OPEN or look is CLOSED:
                parts.append(layer)
            if look is not OPEN:
                break
        stack = tuple(parts) or None
        self._directories[path] = stack
        return stack

    def _children(self, path: bytes, stack: Stack) -> dict[bytes, _Child]:
        if len(stack) == 1:
            layer = stack[0]
            return {
                name: (layer, raw, () if look is OTHER else (layer,))
                for name, look, raw in layer.children(path)
                if raw is not None
            }
        found: dict[bytes, tuple[Layer, Raw | None, list[Layer]]] = {}
        done: set[bytes] = set()
        for layer in stack:
            closing: list[bytes] = []
            for name, look, raw in layer.children(path):
                if name in done:
                    continue
                have = found.get(name)
                if have is None:
                    found[name] = layer, raw, [layer] if _is_directory(look) else []
                elif _is_directory(look):
                    have[2].append(layer)
                if look is not OPEN:
                    closing.append(name)
            done.update(closing)
        return {name: (layer, raw, tuple(parts)) for name, (layer, raw, parts) in found.items() if raw is not None}


def _is_directory(look: Look) -> bool:
    return look is OPEN or look is CLOSED
