"""Which of a directory's contents ``--exclude`` and ``--parents`` leave to be copied."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from lifecycle.archive.entry import DIR, HARDLINK, Member
from lifecycle.dockerfile.copying.sources import Source
from lifecycle.dockerfile.copying.spec import CopySpec
from lifecycle.dockerfile.patterns import Matcher

_T = TypeVar("_T")


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


def sift(
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


def sift_members(found: Iterator[Member], wanted: Callable[[bytes], bool]) -> Iterator[Member]:
    """What is wanted; a hard link whose file was left out takes that file's place."""
    files: dict[bytes, Member] = {}
    taken: dict[bytes, bytes] = {}

    def noted() -> Iterator[Member]:
        for member in found:
            if member[0].kind not in (DIR, HARDLINK):
                files[member[0].name] = member
            yield member

    for entry, content in sift(noted(), lambda member: member[0].name, lambda member: member[0].kind is DIR, wanted):
        if entry.kind is not HARDLINK:
            taken[entry.name] = entry.name
            yield entry, content
        elif entry.linkname in taken:
            yield replace(entry, linkname=taken[entry.linkname]), None
        else:
            taken[entry.linkname] = entry.name
            first, content = files[entry.linkname]
            yield replace(first, name=entry.name), content
