"""What every instruction has: the node it was read from, and expansion of its words in a scope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from lifecycle.dockerfile.ast import Heredoc, Node


def _unheard(name: str, node: Node) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Scope:
    """What words are expanded with: the variables, the escape character, and who hears of names without a value."""

    env: Mapping[str, str]
    escape: str = "\\"
    on_unset: Callable[[str, Node], None] = field(default=_unheard, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One typed instruction; ``node`` is where it stands and what was written."""

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
