"""Build contexts: a directory on this host, whatever it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from lifecycle.source.remotes import Remotes

NamedKind = Literal["context", "image", "layout"]


@dataclass(frozen=True, slots=True)
class Context:
    """A build context, opened. ``directory`` is never to be written to.

    ``name`` is where it came from, for people, without credentials. ``ignores`` tells whether .dockerignore applies
    (not to git and http contexts). ``epoch`` is a hint for SOURCE_DATE_EPOCH=context in seconds: the commit's time,
    Last-Modified, the newest archive member; None for a directory. ``dockerfile`` is a Dockerfile that came by itself,
    on standard input or from a URL: then the directory is empty. ``revision`` is the commit of a git context.
    """

    directory: Path
    name: str
    ignores: bool = True
    epoch: int | None = None
    dockerfile: bytes | None = None
    revision: str = ""


@contextmanager
def open_context(
    text: str, scratch: Path, remotes: Remotes, *, sub_path: str = "", stdin: BinaryIO | None = None
) -> Iterator[Context]:
    """The context that ``text`` names, for as long as the block lasts."""
    raise NotImplementedError
    yield


@dataclass(frozen=True, slots=True)
class NamedContext:
    """``--build-context NAME=VALUE``. For ``context`` the value is for ``open_context``; for ``image`` it is an image
    name; for ``layout`` an OCI layout directory, with ``tag`` or ``digest`` where they were given."""

    name: str
    kind: NamedKind
    value: str
    tag: str = ""
    digest: str = ""


def parse_build_context(text: str) -> NamedContext:
    """The named context in ``NAME=VALUE``; raises BadBuildContext."""
    raise NotImplementedError
