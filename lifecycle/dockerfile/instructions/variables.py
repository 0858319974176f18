"""ARG, ENV and LABEL: names with values."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Node
from lifecycle.dockerfile.instructions.base import Instruction, Scope, some_arguments
from lifecycle.dockerfile.instructions.flags import Flags
from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """Build arguments: name and default (None without one).

    A default may use the arguments before it in the same instruction. Where build arguments replace defaults, expand
    pair by pair with ``scope.word(default, node)``: a default that is not used is not expanded.
    """

    pairs: tuple[tuple[str, str | None], ...]

    @classmethod
    def read(cls, node: Node) -> Self:
        """The ARG that ``node`` is."""
        Flags(node)
        pairs: list[tuple[str, str | None]] = []
        for word in some_arguments(node):
            name, equals, value = word.partition("=")
            if not name:
                raise _blank(node, word)
            pairs.append((name, value if equals else None))
        return cls(node=node, pairs=tuple(pairs))

    def expand(self, scope: Scope) -> Self:
        """With every default expanded, one after the other."""
        env = dict(scope.env)
        pairs: list[tuple[str, str | None]] = []
        for name, default in self.pairs:
            value = default
            if default is not None:
                env[name] = value = replace(scope, env=env).word(default, self.node)
            pairs.append((name, value))
        return replace(self, pairs=tuple(pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """Environment variables of the image; ``legacy`` for ``ENV name the rest of the line``."""

    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False

    @classmethod
    def read(cls, node: Node) -> Self:
        """The ENV that ``node`` is."""
        return cls(node=node, pairs=_pairs(node), legacy="" in node.words[2::3])

    def expand(self, scope: Scope) -> Self:
        """With names and values expanded; none sees another of the same instruction."""
        return replace(self, pairs=_expanded(self, scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """Labels of the image; ``legacy`` as for Env."""

    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False

    @classmethod
    def read(cls, node: Node) -> Self:
        """The LABEL that ``node`` is."""
        return cls(node=node, pairs=_pairs(node), legacy="" in node.words[2::3])

    def expand(self, scope: Scope) -> Self:
        """With names and values expanded."""
        return replace(self, pairs=_expanded(self, scope))


def _pairs(node: Node) -> tuple[tuple[str, str], ...]:
    Flags(node)
    words = some_arguments(node)
    pairs = tuple(zip(words[::3], words[1::3], strict=True))
    for name, value in pairs:
        if not name:
            raise _blank(node, f"={value}")
    return pairs


def _expanded(instruction: Env | Label, scope: Scope) -> tuple[tuple[str, str], ...]:
    node = instruction.node
    pairs = []
    for written, value in instruction.pairs:
        name = scope.word(written, node)
        if not name:
            raise _blank(node, written)
        pairs.append((name, scope.word(value, node)))
    return tuple(pairs)


def _blank(node: Node, word: str) -> BadArguments:
    what = f"{node.keyword.upper()} names can not be blank"
    return node.error(BadArguments, what, word=word, fix="Write a name before the `=`.")
