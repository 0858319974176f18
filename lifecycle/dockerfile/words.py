"""Word expansion: quotes, escapes and variables as a Dockerfile has them.

Source: BuildKit, frontend/dockerfile/shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.dockerfile.errors import DockerfileError


class BadSubstitution(DockerfileError):
    """A word has quotes or a ``${…}`` that cannot be understood, or a variable that must be set is not."""

    code = "dockerfile.bad-substitution"
    fix = "Correct the word; write a literal dollar sign as \\$."


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a word became: its text, the names that had a value, and the names that had none, in order."""

    text: str
    used: frozenset[str]
    unset: tuple[str, ...]


def expand(word: str, env: Mapping[str, str], escape: str = "\\") -> Expansion:
    """``word`` with variables replaced and quotes and escapes removed; raises BadSubstitution."""
    raise NotImplementedError


def expand_words(word: str, env: Mapping[str, str], escape: str = "\\") -> tuple[tuple[str, ...], Expansion]:
    """``word`` expanded, then split at spaces that no quotes protect; raises BadSubstitution."""
    raise NotImplementedError


def expand_variables(word: str, env: Mapping[str, str], escape: str = "\\") -> Expansion:
    """``word`` with variables replaced, quotes and escapes (but an escaped ``$``) left alone; raises BadSubstitution."""
    raise NotImplementedError


def expand_heredoc(text: str, env: Mapping[str, str]) -> Expansion:
    """The body of an unquoted here-document: variables and escapes are seen, quotes are text."""
    raise NotImplementedError
