"""A Dockerfile as its lines say it, before any instruction is understood.

Source: BuildKit's parser (frontend/dockerfile/parser), whose dump ``dump`` prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import TypeVar

from lifecycle.dockerfile.arguments import ArgumentError, arguments_of, split_flags, split_keyword
from lifecycle.dockerfile.directives import Directive, Directives, syntax_and_check
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.location import Location
from lifecycle.dockerfile.text import NOT_UTF8, SPACE, go_quote
from lifecycle.dockerfile.words import BadSubstitution, heredoc_name, words_of_line
from lifecycle.record import dataclass

LONGEST_LINE = 65535  # bytes
DEEPEST = 50  # ONBUILD within ONBUILD; one is one too many, which is for the instruction to say

_HEREDOC = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)\Z")
_LEADING_TABS = re.compile(r"(?m)^\t+")
_BOM = b"\xef\xbb\xbf"

E = TypeVar("E", bound=DockerfileError)


class NoInstructions(DockerfileError):
    """A Dockerfile is empty, or has nothing but comments."""

    code = "dockerfile.empty"
    fix = "Write at least a FROM instruction, or name the right file with --dockerfile."


class LineTooLong(DockerfileError):
    """A line is longer than any line of a Dockerfile may be."""

    code = "dockerfile.line-too-long"
    fix = f"Break the line (at most {LONGEST_LINE} bytes), or keep the data in a file and copy that."


class UnterminatedHeredoc(DockerfileError):
    """A here-document has no end."""

    code = "dockerfile.unterminated-heredoc"
    fix = "Put the name that follows `<<` alone on a line, at its very beginning (`<<-` allows tabs before it)."


class BadArguments(DockerfileError):
    """An instruction has too few or too many arguments, or arguments of the wrong shape."""

    code = "dockerfile.bad-arguments"
    fix = "Compare the instruction with its form in the Dockerfile reference."


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
        return _LEADING_TABS.sub("", self.content) if self.strip_tabs else self.content


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
    empty_continuations: tuple[Location, ...]  # the last line of each instruction that has such a line


def parse(data: bytes, name: str = "Dockerfile") -> File:
    """The instructions in ``data``; raises a DockerfileError for what no Dockerfile can be.

    Bytes that are not UTF-8 become surrogate escapes here; ``parse_instruction`` refuses them in instructions.
    """
    return _Parser(data, name).parse()


def dump(file: File, *, lines: bool = False) -> str:
    """The instructions as BuildKit's parser prints them, one s-expression a line.

    ``lines`` adds the source lines of each below it, numbered, behind ``;``.
    """
    parts = []
    for node in file.nodes:
        parts.append(f"({_sexp(node)})")
        if lines:
            first, last = node.location.line, node.location.end
            parts += [f"; {number} | {file.lines[number - 1]}" for number in range(first, last + 1)]
    return "\n".join(parts)


def parse_heredoc(word: str) -> Heredoc | None:
    """The here-document (without a body) that ``word`` announces, if it does; raises BadSubstitution."""
    match = _HEREDOC.match(word)
    if not match or not match[3]:
        return None
    name = heredoc_name(match[3])
    if name is None:
        return None
    fd = int(match[1]) if 0 < len(match[1]) < 10 else 0
    return Heredoc(name[0], "", expand=name[1], strip_tabs=match[2] == "-", fd=fd)


def _sexp(node: Node) -> str:
    parts = [node.keyword]
    if node.flags:
        parts.append("[" + " ".join(map(go_quote, node.flags)) + "]")
    if node.nested:
        parts.append(f"({_sexp(node.nested)})")
    parts += map(go_quote, node.words)
    return " ".join(parts).strip(SPACE)


class _Parser:
    """The lines of one file, read once from the top."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.data = data.removeprefix(_BOM)
        self.text = self.data.decode("utf-8", "surrogateescape")
        self.raw = self.text.split("\n")
        if not self.raw[-1]:
            self.raw.pop()
        self.lines = tuple([line.rstrip("\r") for line in self.raw])
        self.number = 0  # of lines read
        self.directives = Directives(name, self.lines)
        self.empty: list[Location] = []

    def parse(self) -> File:
        self.check_line_lengths()
        nodes = tuple(self.nodes())
        if not nodes:
            raise NoInstructions(f"{self.name} has no instructions", where=self.name)
        found = syntax_and_check(self.text, self.name, self.lines)
        if escape := self.directives.found.get("escape"):
            found["escape"] = escape
        return File(self.name, nodes, self.lines, self.directives.escape, found, tuple(self.empty))

    def check_line_lengths(self) -> None:
        if len(self.data) <= LONGEST_LINE:
            return
        for number, line in enumerate(self.data.split(b"\n"), 1):
            if len(line) > LONGEST_LINE:
                what = f"line {number} has {len(line)} bytes; the limit is {LONGEST_LINE}"
                raise LineTooLong.at(Location(self.name, number, number), self.lines, what)

    def nodes(self) -> Iterator[Node]:
        comments: list[str] = []
        while self.number < len(self.lines):
            line = self.lines[self.number].lstrip(SPACE)
            self.number += 1
            if line.startswith("#"):
                if not self.directives.read(line, self.number):
                    comment = line[1:].strip(SPACE)
                    if comment:
                        comments.append(comment)
                    else:
                        comments.clear()
                continue
            self.directives.ended = True
            first = self.number
            begun, goes_on = self.continued(line)
            if not begun and not goes_on:
                continue
            text = self.joined(begun) if goes_on else begun
            column = len(self.lines[first - 1]) - len(line) + 1
            node = self.node(text, Location(self.name, first, self.number, column), tuple(comments))
            comments.clear()
            yield node

    def joined(self, text: str) -> str:
        """The logical line that ``text`` begins and the next lines go on."""
        parts = [text]
        goes_on, empty = True, False
        while goes_on and self.number < len(self.lines):
            line = self.lines[self.number]
            self.number += 1
            bare = line.lstrip(SPACE)
            if bare.startswith("#"):
                continue
            if not bare:
                empty = True
                continue
            part, goes_on = self.continued(line)
            parts.append(part)
        if empty:
            self.empty.append(Location(self.name, self.number, self.number))
        return "".join(parts)

    def continued(self, line: str) -> tuple[str, bool]:
        """``line`` without the escape character at its end, and whether there was one that joins the next line."""
        escape = self.directives.escape
        bare = line.rstrip(" \t")
        if not bare.endswith(escape) or bare.endswith(escape * 2):
            return line, False
        return bare[:-1], True

    def node(self, text: str, location: Location, comments: tuple[str, ...]) -> Node:
        try:
            node = self.instruction(text, location, comments)
            heredocs = self.heredocs(text, location) if "<<" in text and _may_have_heredocs(node) else ()
        except ArgumentError as error:
            raise BadArguments.at(location, self.lines, str(error), word=error.word, fix=error.fix) from None
        except BadSubstitution as error:
            raise BadSubstitution.at(location, self.lines, error.what, word="<<") from None
        if not heredocs:
            return node
        location = replace(location, end=self.number)
        nested = node.nested and replace(node.nested, heredocs=heredocs, location=location)
        return replace(node, heredocs=heredocs, location=location, nested=nested)

    def instruction(self, text: str, location: Location, comments: tuple[str, ...], depth: int = 0) -> Node:
        original, rest = split_keyword(text)
        keyword = NOT_UTF8.sub("\ufffd", original.lower())
        flags, arguments = split_flags(rest, self.directives.escape)
        nested: Node | None = None
        words: tuple[str, ...] = ()
        json = False
        if keyword != "onbuild":
            words, json = arguments_of(keyword, arguments, self.directives.escape)
        elif arguments:
            if depth == DEEPEST:
                raise ArgumentError(f"ONBUILD stands within ONBUILD more than {DEEPEST} times")
            nested = self.instruction(arguments, location, (), depth + 1)
        return Node(keyword, original, flags, words, json, (), location, comments, text, nested, self.lines)

    def heredocs(self, text: str, location: Location) -> tuple[Heredoc, ...]:
        """The here-documents that ``text`` announces; their bodies follow in order."""
        announced = [heredoc for word in words_of_line(text) if "<<" in word and (heredoc := parse_heredoc(word))]
        return tuple([replace(heredoc, content=self.body(heredoc, location)) for heredoc in announced])

    def body(self, heredoc: Heredoc, location: Location) -> str:
        first = self.number
        while self.number < len(self.lines):
            line = self.lines[self.number]
            self.number += 1
            if (line.lstrip("\t") if heredoc.strip_tabs else line) == heredoc.name:
                return "".join([raw + "\n" for raw in self.raw[first : self.number - 1]])
        what = f"the here-document <<{heredoc.name} has no end: no line of its own says {heredoc.name}"
        raise UnterminatedHeredoc.at(location, self.lines, what, word="<<")


def _may_have_heredocs(node: Node) -> bool:
    node = node.nested or node
    return node.keyword in ("add", "copy", "run") and not node.json
