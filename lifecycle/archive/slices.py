"""The application divided into layers by the slices that buildpacks name.

Source: CNB Buildpack spec, launch.toml "slices"; the official exporter, which the order and the choice of
directories follow.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lifecycle.archive.directory import Owner, name_in_root, parents, walk
from lifecycle.archive.entry import Kind, Member
from lifecycle.archive.errors import UnsafeEntry


def cnb_slice_members(
    root_dir: Path | str, app_dir: str, slices: Sequence[Sequence[str]], owner: Owner, *, above: Owner | None = None
) -> tuple[Callable[[], Iterator[Member]], ...]:
    """One way to get the members for each slice, and a last one for what no slice took.

    Each slice is a list of patterns relative to ``app_dir`` (``*``, ``?``, ``[a-z]``; ``*`` stops at a slash); it
    takes what matches, with everything below, unless an earlier slice has it. Directories that lead to a file are
    in every layer that needs them. A slice without matches has no members. The tree is walked once, now.
    """
    name = name_in_root(app_dir)
    way = list(parents(root_dir, name, above))
    top = os.path.join(os.fsencode(root_dir), name)
    members = {
        entry.name[len(name) + 1 :]: (entry, content)
        for entry, content in walk(os.fsdecode(top), prefix=name, owner=owner, hard_links=False, xattrs=False)
    }
    app = _App(members)
    chosen = [app.take(patterns) for patterns in slices]
    chosen.append(app.rest())

    def layer(paths: set[bytes]) -> Callable[[], Iterator[Member]]:
        def open_members() -> Iterator[Member]:
            if paths:
                yield from way
                # By the whole path as one string: "a-b" comes before "a/x", unlike in a walk.
                yield from (members[path] for path in sorted(paths))

        return open_members

    return tuple(layer(paths) for paths in chosen)


class _App:
    """The paths of the application, relative to it (``b""`` is itself), and which of them a layer has."""

    def __init__(self, members: dict[bytes, Member]) -> None:
        self._members = members
        self._children: dict[bytes, list[bytes]] = {}
        for path in members:
            if path:
                self._children.setdefault(path.rpartition(b"/")[0], []).append(path)
        self._taken: set[bytes] = set()

    def take(self, patterns: Sequence[str]) -> set[bytes]:
        """The paths of the next slice."""
        found: set[bytes] = set()
        for pattern in patterns:
            for path in self._match(pattern):
                self._add(path, found)
        leading = {parent for path in found for parent in _above(path)} - found
        # A directory whose whole content is in slices now belongs to them: the rest need not repeat it.
        for path in sorted(leading, key=lambda path: path.count(b"/") + bool(path), reverse=True):
            if all(child in self._taken for child in self._children.get(path, ())):
                self._taken.add(path)
            else:
                self._taken.discard(path)
        return found | leading

    def rest(self) -> set[bytes]:
        """The paths that no slice took."""
        return self._members.keys() - self._taken

    def _add(self, start: bytes, found: set[bytes]) -> None:
        pending = [start]
        while pending:
            path = pending.pop()
            if path not in self._taken:
                self._taken.add(path)
                found.add(path)
                pending += self._children.get(path, ())

    def _match(self, pattern: str) -> list[bytes]:
        path = posixpath.normpath("/app/" + pattern)
        if path == "/app":
            return [b""]
        if not path.startswith("/app/"):
            return []  # outside of the application
        level = [b""]
        for part in path[len("/app/") :].split("/"):
            wanted = re.compile(_expression(part, pattern), re.DOTALL)
            level = [
                child
                for parent in level
                if self._members[parent][0].kind is Kind.DIR
                for child in self._children.get(parent, ())
                if wanted.fullmatch(os.fsdecode(child.rpartition(b"/")[2]))
            ]
        return level


def _above(path: bytes) -> Iterator[bytes]:
    while path:
        path = path.rpartition(b"/")[0]
        yield path


def _expression(part: str, pattern: str) -> str:
    """A component of a pattern as a regular expression."""
    out, at = [], 0
    while at < len(part):
        char = part[at]
        at += 1
        match char:
            case "*":
                out.append(".*")
            case "?":
                out.append(".")
            case "\\" if at < len(part):
                out.append(re.escape(part[at]))
                at += 1
            case "[":
                found = re.compile(r"(\^?)((?:\\.|[^\]\\])(?:\\.|[^\]\\])*)\]", re.DOTALL).match(part, at)
                if not found:
                    raise UnsafeEntry(f"The slice pattern {pattern!r} is malformed", why="a '[' is not closed")
                out.append(f"[{found[1]}{_ranges(found[2], pattern)}]")
                at = found.end()
            case "\\":
                raise UnsafeEntry(f"The slice pattern {pattern!r} is malformed", why="it ends in a backslash")
            case _:
                out.append(re.escape(char))
    return "".join(out)


def _ranges(text: str, pattern: str) -> str:
    chars = re.findall(r"\\.|.", text, re.DOTALL)
    out, at = [], 0
    while at < len(chars):
        low = chars[at][-1]
        if at + 2 < len(chars) and chars[at + 1] == "-":
            high = chars[at + 2][-1]
            if high < low:
                raise UnsafeEntry(f"The slice pattern {pattern!r} is malformed", why=f"{low}-{high} is no range")
            out.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            out.append(re.escape(low))
            at += 1
    return "".join(out)
