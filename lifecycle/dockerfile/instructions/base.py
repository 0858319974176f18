"""What every instruction has: the node it was read from, and expansion of its words in a scope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Heredoc, Node
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.words import (
    BadSubstitution,
    Expansion,
    expand,
    expand_heredoc,
    expand_variables,
    expand_words,
)
from lifecycle.record import dataclass


class BadValue(DockerfileError):
    """A value in an instruction is not of its kind: a port, a signal, a duration, a mode …"""

    code = "dockerfile.bad-value"
    fix = "Give a value of the kind that the message names."


def _unheard(name: str, node: Node) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Scope:
    """What words are expanded with: the variables, the escape character, and who hears of names without a value.

    Its methods give the expanded text; they raise BadSubstitution at the place of ``node``.
    """

    env: Mapping[str, str]
    escape: str = "\\"
    on_unset: Callable[[str, Node], None] = field(default=_unheard, compare=False)

    def word(self, text: str, node: Node) -> str:
        """``text`` with variables replaced, quotes and escapes removed."""
        return self._heard(lambda: expand(text, self.env, self.escape), text, node).text

    def words(self, text: str, node: Node) -> tuple[str, ...]:
        """``text`` expanded and split at white space."""
        parts: tuple[str, ...] = ()

        def split() -> Expansion:
            nonlocal parts
            parts, expansion = expand_words(text, self.env, self.escape)
            return expansion

        self._heard(split, text, node)
        return parts

    def variables(self, text: str, node: Node) -> str:
        """``text`` with variables replaced and all else left as it is."""
        return self._heard(lambda: expand_variables(text, self.env, self.escape), text, node).text

    def heredoc(self, text: str, node: Node) -> str:
        """The body of a here-document, expanded."""
        return self._heard(lambda: expand_heredoc(text, self.env), "<<", node).text

    def _heard(self, act: Callable[[], Expansion], text: str, node: Node) -> Expansion:
        try:
            expansion = act()
        except BadSubstitution as error:
            raise node.error(BadSubstitution, error.what, word=text) from None
        for name in expansion.unset:
            self.on_unset(name, node)
        return expansion


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One typed instruction; ``node`` is where it stands and what was written. Each kind has a ``read(node)``."""

    node: Node

    def expand(self, scope: Scope) -> Self:
        """The instruction with its words expanded as its kind has it; raises DockerfileError."""
        return self


@dataclass(frozen=True, slots=True)
class Command:
    """What RUN, CMD and ENTRYPOINT run: arguments, or one string for the shell (none at all when it is empty)."""

    args: tuple[str, ...]
    shell: bool
    heredocs: tuple[Heredoc, ...] = ()

    @classmethod
    def read(cls, node: Node) -> Command:
        """The command of ``node``."""
        return cls(node.words, not node.json, node.heredocs)


def one_argument(node: Node) -> str:
    """The only argument of ``node``; raises BadArguments when there is none."""
    if len(node.words) != 1:
        raise node.error(BadArguments, f"{node.keyword.upper()} requires exactly one argument")
    return node.words[0]


def some_arguments(node: Node) -> tuple[str, ...]:
    """The arguments of ``node``; raises BadArguments when there are none."""
    if not node.words:
        raise node.error(BadArguments, f"{node.keyword.upper()} requires at least one argument")
    return node.words
