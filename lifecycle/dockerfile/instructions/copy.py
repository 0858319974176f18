"""COPY and ADD: files from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Heredoc, Node, parse_heredoc
from lifecycle.dockerfile.instructions.base import BadValue, Instruction, Scope
from lifecycle.dockerfile.instructions.flags import BadFlag, Flags
from lifecycle.dockerfile.modes import Mode
from lifecycle.record import dataclass

_REMOTE = re.compile(r"(?:https?|git|ssh)://|[\w.-]+@[\w.-]+:", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """``COPY``: ``files`` are the here-documents among the sources (name: file name), ``sources`` all others.

    Once expanded, the ``content`` of each file is what is to be written.
    """

    sources: tuple[str, ...]
    destination: str
    files: tuple[Heredoc, ...] = ()
    from_: str | None = None
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()

    @property
    def mode(self) -> Mode | None:
        """What ``--chmod`` asks for; of an expanded instruction."""
        return Mode.parse(self.chmod) if self.chmod else None

    @classmethod
    def read(cls, node: Node) -> Self:
        """The COPY that ``node`` is."""
        sources, destination, files = _operands(node)
        return cls(node=node, sources=sources, destination=destination, files=files)._with_flags(None)

    def expand(self, scope: Scope) -> Self:
        """With sources, destination, flags and the bodies of unquoted here-documents expanded."""
        node = self.node
        sources = tuple([scope.word(source, node) for source in self.sources])
        for source in sources:
            if _REMOTE.match(source):
                what = f"COPY cannot copy from a URL or a git repository: {source}"
                raise node.error(BadArguments, what, word=source, fix="Use ADD.")
        copy = self._with_flags(scope)
        _check_mode(copy.chmod, node)
        return replace(
            copy,
            sources=sources,
            destination=scope.word(self.destination, node),
            files=_bodies(self.files, node, scope),
        )

    def _with_flags(self, scope: Scope | None) -> Self:
        if not self.node.flags:
            return self
        switches = ("link", "parents")
        flags = Flags(
            self.node, scope, words=("chown", "chmod"), texts=("from",), switches=switches, lists=("exclude",)
        )
        return replace(
            self,
            from_=flags.text("from"),
            chown=flags.text("chown"),
            chmod=flags.text("chmod"),
            link=flags.switch("link") or False,
            parents=flags.switch("parents") or False,
            exclude=flags.list("exclude"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Instruction):
    """``ADD``: as Copy, from the context, URLs and git repositories; ``unpack`` and the like are None if not given."""

    sources: tuple[str, ...]
    destination: str
    files: tuple[Heredoc, ...] = ()
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str | None = None
    keep_git_dir: bool | None = None
    unpack: bool | None = None

    @property
    def mode(self) -> Mode | None:
        """What ``--chmod`` asks for; of an expanded instruction."""
        return Mode.parse(self.chmod) if self.chmod else None

    @classmethod
    def read(cls, node: Node) -> Self:
        """The ADD that ``node`` is."""
        sources, destination, files = _operands(node)
        return cls(node=node, sources=sources, destination=destination, files=files)._with_flags(None)

    def expand(self, scope: Scope) -> Self:
        """With sources, destination, flags and the bodies of unquoted here-documents expanded."""
        node = self.node
        sources = tuple([scope.word(source, node) for source in self.sources])
        add = self._with_flags(scope)
        _check_mode(add.chmod, node)
        if add.checksum:
            if len(sources) + len(self.files) != 1:
                what = "checksum can't be specified for multiple sources"
                raise node.error(BadFlag, what, word="--checksum", fix="Write one ADD for each source.")
            if not sources or not is_remote(sources[0]):
                what = "checksum requires HTTP(S) or Git sources"
                raise node.error(BadFlag, what, word="--checksum", fix="Remove the flag for files of the context.")
        return replace(
            add, sources=sources, destination=scope.word(self.destination, node), files=_bodies(self.files, node, scope)
        )

    def _with_flags(self, scope: Scope | None) -> Self:
        if not self.node.flags:
            return self
        flags = Flags(
            self.node,
            scope,
            words=("chown", "chmod", "checksum"),
            switches=("link", "keep-git-dir", "unpack"),
            lists=("exclude",),
        )
        return replace(
            self,
            chown=flags.text("chown"),
            chmod=flags.text("chmod"),
            checksum=flags.text("checksum"),
            link=flags.switch("link") or False,
            keep_git_dir=flags.switch("keep-git-dir"),
            unpack=flags.switch("unpack"),
            exclude=flags.list("exclude"),
        )


def is_remote(source: str) -> bool:
    """Whether ``source`` is a URL or a git repository in scp's manner rather than a path."""
    return _REMOTE.match(source) is not None


def _operands(node: Node) -> tuple[tuple[str, ...], str, tuple[Heredoc, ...]]:
    """Sources that are paths, the destination, and the here-documents among the sources."""
    name = node.keyword.upper()
    if len(node.words) < 2:
        what = f"{name} requires at least two arguments, but only one was provided: there is no destination"
        if not node.words:
            what = f"{name} requires at least two arguments"
        raise node.error(BadArguments, what, fix=f"Write `{name} source … destination`.")
    *written, destination = node.words
    if node.json:
        return tuple(written), destination, ()
    if "<<" in destination and parse_heredoc(destination):
        raise node.error(BadArguments, f"{name} cannot accept a heredoc as a destination", word=destination)
    bodies = list(node.heredocs)
    sources, files = [], []
    for word in written:
        heredoc = parse_heredoc(word) if "<<" in word else None
        found = next((body for body in bodies if heredoc and body.name == heredoc.name), None)
        if found is None:
            sources.append(word)
        else:
            bodies.remove(found)
            files.append(found)
    return tuple(sources), destination, tuple(files)


def _bodies(files: tuple[Heredoc, ...], node: Node, scope: Scope) -> tuple[Heredoc, ...]:
    done = []
    for file in files:
        content = scope.heredoc(file.body, node) if file.expand else file.body
        done.append(replace(file, content=content, expand=False, strip_tabs=False))
    return tuple(done)


def _check_mode(text: str | None, node: Node) -> None:
    try:
        if text:
            Mode.parse(text)
    except ValueError as error:
        fix = "Write it like 0755, or like u=rwX,go=rX."
        raise node.error(BadValue, f"invalid --chmod={text}: {error}", word="--chmod", fix=fix) from None
