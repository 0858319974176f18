"""A Dockerfile as its lines say it, before any instruction is understood.

Source: BuildKit's parser (frontend/dockerfile/parser), whose dump ``dump`` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.location import Location


E = TypeVar("E", bound=DockerfileError)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document: its name (quotes removed) and its body as it stands in the file, tabs and all.

    ``expand`` is false when any part of the name was quoted; ``strip_tabs`` is true for ``<<-``; ``fd`` is the
    number before ``<<`` (0 when there is none). Bytes of the file that are not UTF-8 stand as surrogate escapes.
    """

    name: str
    content: str
    expand: bool
    strip_tabs: bool
    fd: int = 0

    @property
    def body(self) -> str:
        """The content that is meant: without leading tabs when ``<<-`` asks for that."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Directive:
    """A parser directive (``# escape=…``): its whole value and its place."""

    value: str
    location: Location


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction: a keyword (lower case), flags, and arguments in the shape that the keyword has.

    ``words`` by keyword: FROM, EXPOSE, ADD, COPY, VOLUME, ARG: words; RUN, CMD, ENTRYPOINT, SHELL: one string, or the
    elements of the JSON form; ENV, LABEL: name, value, separator (``=``, or nothing for the legacy form) for each
    pair, quotes kept; HEALTHCHECK: the type, then as CMD; USER, WORKDIR, STOPSIGNAL, MAINTAINER: one string; ONBUILD:
    nothing, see ``nested``; an unknown keyword: one empty string.
    """

    keyword: str
    original: str  # the keyword as written
    flags: tuple[str, ...]
    words: tuple[str, ...]
    json: bool
    heredocs: tuple[Heredoc, ...]
    location: Location
    comments: tuple[str, ...]  # the block right above, without "#"
    text: str  # the joined logical line
    nested: Node | None
    lines: tuple[str, ...] = field(repr=False, compare=False)  # all lines of the file, to show in errors

    def error(
        self, kind: type[E], what: str, *, word: str | None = None, why: str | None = None, fix: str | None = None
    ) -> E:
        """The error ``what`` at this instruction, pointing at ``word`` in it."""
        return kind.at(self.location, self.lines, what, word=word, why=why, fix=fix)


@dataclass(frozen=True, slots=True)
class File:
    """A parsed Dockerfile: its instructions in order, its physical lines and its directives."""

    name: str
    nodes: tuple[Node, ...]
    lines: tuple[str, ...]
    escape: str
    directives: Mapping[str, Directive]
    empty_continuations: tuple[Location, ...]


def parse(data: bytes, name: str = "Dockerfile") -> File:
    """The instructions in ``data``; raises a DockerfileError for what no Dockerfile can be."""
    raise NotImplementedError


def dump(file: File, *, lines: bool = False) -> str:
    """The instructions as BuildKit's parser prints them, one s-expression a line; ``lines`` adds where each stands."""
    raise NotImplementedError
