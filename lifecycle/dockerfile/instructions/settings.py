"""VOLUME, USER, WORKDIR, STOPSIGNAL and MAINTAINER: one setting of the image each."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Node
from lifecycle.dockerfile.instructions.base import Instruction, Scope, one_argument, some_arguments
from lifecycle.dockerfile.instructions.flags import Flags
from lifecycle.dockerfile.instructions.signals import check_signal
from lifecycle.dockerfile.text import SPACE
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """``VOLUME``."""

    paths: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> Self:
        """The VOLUME that ``node`` is."""
        Flags(node)
        return cls(node=node, paths=_none_empty(node, tuple([path.strip(SPACE) for path in some_arguments(node)])))

    def expand(self, scope: Scope) -> Self:
        """With every path expanded."""
        return replace(self, paths=_none_empty(self.node, tuple([scope.word(path, self.node) for path in self.paths])))


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """``USER name[:group]``."""

    user: str

    @classmethod
    def read(cls, node: Node) -> Self:
        """The USER that ``node`` is."""
        Flags(node)
        return cls(node=node, user=one_argument(node))

    def expand(self, scope: Scope) -> Self:
        """With the user expanded."""
        return replace(self, user=scope.word(self.user, self.node))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """``WORKDIR``, not yet joined to the one before."""

    path: str

    @classmethod
    def read(cls, node: Node) -> Self:
        """The WORKDIR that ``node`` is."""
        Flags(node)
        return cls(node=node, path=one_argument(node))

    def expand(self, scope: Scope) -> Self:
        """With the path expanded."""
        return replace(self, path=scope.word(self.path, self.node))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    """``STOPSIGNAL``, as written: a name or a number."""

    signal: str

    @classmethod
    def read(cls, node: Node) -> Self:
        """The STOPSIGNAL that ``node`` is."""
        Flags(node)
        return cls(node=node, signal=one_argument(node))

    def expand(self, scope: Scope) -> Self:
        """With the signal expanded; it is one that Linux has."""
        signal = scope.word(self.signal, self.node)
        check_signal(signal, self.node)
        return replace(self, signal=signal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """``MAINTAINER``."""

    author: str

    @classmethod
    def read(cls, node: Node) -> Self:
        """The MAINTAINER that ``node`` is."""
        Flags(node)
        return cls(node=node, author=one_argument(node))


def _none_empty(node: Node, paths: tuple[str, ...]) -> tuple[str, ...]:
    if not all(paths):
        raise node.error(BadArguments, "VOLUME specified can not be an empty string")
    return paths
