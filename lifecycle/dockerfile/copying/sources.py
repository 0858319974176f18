"""Which files and directories the sources of a COPY or ADD name.

Source: the Dockerfile reference, "COPY" and "COPY --parents"; Go's path/filepath, "Match".
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator

from lifecycle.archive.entry import DIR, SYMLINK, printable
from lifecycle.archive.filetree import ROOT, FileTree, HostTree, join, resolve
from lifecycle.dockerfile.copying.spec import CopySpec
from lifecycle.dockerfile.patterns import Matcher, compile_glob
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass


class SourceNotFound(PylifeError):
    """A source of a COPY or ADD does not exist."""

    code = "copy.source-not-found"
    fix = "Correct the path. It starts at the root of the build context, or of the stage given with --from."


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that is copied: a file, or a directory whose contents are.

    ``path`` is its real place in the tree; ``name`` its name where the destination is a directory. With ``include``
    only what it matches, and the directories above that, is taken (``--parents``).
    """

    path: bytes
    name: bytes
    directory: bool
    include: str | None = None


def find_sources(tree: FileTree, spec: CopySpec) -> tuple[Source, ...]:
    """What ``spec.sources`` names in ``tree``, in order, patterns expanded; links that are named are followed.

    Raises SourceNotFound, BadPattern, TooManyLinks.
    """
    found: list[Source] = []
    for text in spec.sources:
        if spec.parents:
            found += _with_parents(tree, spec, text)
        elif _has_pattern(text):
            excluded = Matcher(spec.exclude)
            for path in _matching(tree, text):
                source = _at(tree, spec, text, path)
                if source.directory or not _is_excluded(excluded, path):
                    found.append(source)
        else:
            path = os.fsencode(posixpath.normpath("/" + text).lstrip("/")) or ROOT
            source = _at(tree, spec, text, path)
            if source.directory or not _is_excluded(Matcher(spec.exclude), path):
                found.append(source)
    return tuple(found)


def _at(tree: FileTree, spec: CopySpec, text: str, path: bytes) -> Source:
    real = resolve(tree, path)
    entry = tree.lookup(real)
    if entry is None:
        raise _missing(tree, spec, text, path)
    return Source(real, path.rpartition(b"/")[2], entry.kind is DIR)


def _is_excluded(excluded: Matcher, path: bytes) -> bool:
    """A file that is named itself is left out when its name or its whole path is."""
    if not excluded:
        return False
    name = os.fsdecode(path)
    return excluded.matches(name) or excluded.matches(name.rpartition("/")[2])


def _with_parents(tree: FileTree, spec: CopySpec, text: str) -> Iterator[Source]:
    top, pivot, pattern = text.partition("/./")
    if not pivot:
        top, pattern = "/", text
    pattern = posixpath.normpath("/" + pattern).lstrip("/")
    top = posixpath.normpath("/" + top).lstrip("/")
    if _has_pattern(top):
        roots = [resolve(tree, path) for path in _matching(tree, top)]
    else:
        roots = [resolve(tree, os.fsencode(top) or ROOT)]
        if not _has_pattern(pattern):
            path = join(roots[0], os.fsencode(pattern) or ROOT)
            if tree.lookup(path) is None:
                raise _missing(tree, spec, text, path)
    for root in roots:
        entry = tree.lookup(root)
        if entry is not None and entry.kind is DIR:
            yield Source(root, b"", True, pattern or None)


def _matching(tree: FileTree, text: str) -> Iterator[bytes]:
    """The paths that match pattern ``text``, component by component, links within not followed; in byte order."""
    parts = posixpath.normpath("/" + text).lstrip("/").split("/")
    count = next(number for number, part in enumerate(parts) if _has_pattern(part))
    globs = [compile_glob(part) for part in parts[count:]]
    return _expand(tree, resolve(tree, os.fsencode("/".join(parts[:count])) or ROOT), globs)


def _expand(tree: FileTree, path: bytes, globs: list[re.Pattern[str]]) -> Iterator[bytes]:
    glob, rest = globs[0], globs[1:]
    for name in tree.names(path):
        if glob.fullmatch(os.fsdecode(name)):
            below = join(path, name)
            if not rest:
                yield below
            else:
                yield from _expand(tree, below, rest)


def _has_pattern(text: str) -> bool:
    """Whether ``text`` holds an unescaped ``*``, ``?`` or ``[``."""
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in "*?[":
            return True
        at += 1
    return False


def _missing(tree: FileTree, spec: CopySpec, text: str, path: bytes) -> SourceNotFound:
    """The error for a named source that is not there: how far the path goes, and what is near the part that is not."""
    where = "the build context" if isinstance(tree, HostTree) else "the filesystem that it is copied from"
    what = f"{spec.what}: {printable(os.fsencode(text))} is not in {where}"
    above, _, name = path.rpartition(b"/")
    known = ROOT
    for part in above.split(b"/") if above else ():
        step = join(known, part)
        real = step if spec.parents else resolve(tree, step)
        entry = tree.lookup(real)
        if entry is None or entry.kind is not DIR:
            name = part
            break
        known = real
    if isinstance(tree, HostTree) and posixpath.normpath(text.lstrip("/")).startswith(".."):
        return SourceNotFound(
            what,
            why="nothing above the context can be copied: .. ends at its root",
            fix="Give the directory a name, --build-context NAME=DIR, and write --from=NAME; or build with the "
            "directory above as the context.",
        )
    here = tree.lookup(join(known, name))
    if here is not None and here.kind is SYMLINK:
        target = printable(here.linkname)
        if spec.parents:
            return SourceNotFound(
                what, why=f"{printable(name)} is a symbolic link to {target}, and --parents follows none"
            )
        return SourceNotFound(what, why=f"{printable(name)} is a symbolic link to {target}, which does not exist")
    if here is not None:
        return SourceNotFound(what, why=f"{printable(name)} is no directory")
    if isinstance(tree, HostTree) and tree.excludes_below(join(known, name)):
        fix = "Take it back with a line !PATH in the ignore file, or do not copy it."
        return SourceNotFound(what, why="it exists, but the ignore file (.dockerignore) leaves it out", fix=fix)
    rest = path.removeprefix(join(known, name))
    return SourceNotFound(what, why=_near(tree, known, name, rest))


def _near(tree: FileTree, directory: bytes, name: bytes, rest: bytes = b"") -> str | None:
    """What is called nearly like ``name`` in ``directory``, with the ``rest`` of the path where that is there too."""
    from difflib import get_close_matches

    wanted = os.fsdecode(name)
    if near := get_close_matches(wanted, [os.fsdecode(other) for other in tree.names(directory)], 1):
        shown = os.fsencode(near[0])
        whole = join(directory, shown) + rest
        return f"did you mean {printable(whole if tree.lookup(whole) else join(directory, shown))}?"
    return f"there is no {printable(name)} in {printable(directory)}" if directory != ROOT else None
