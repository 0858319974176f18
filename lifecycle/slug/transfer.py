"""Where slugs and caches go and come from: standard output, files, HTTP PUT and GET, objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lifecycle.errors import PylifeError
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass
from lifecycle.source.remotes import Remotes
from lifecycle.transport.errors import HttpError

DIGEST_HEADER = "x-amz-meta-pylife-digest"
"""Metadata of an object: the sha256 of what it holds, as ``sha256:…``."""


class BadTarget(PylifeError):
    """The place that a slug is to be sent to cannot be understood."""

    code = "slug.bad-target"
    exit_code = 2
    fix = "Give - for standard output, a file, an http(s) URL that takes PUT, or s3://bucket/key."


class NotSent(HttpError):
    """A server did not take what was put there; what it had before stays."""

    code = "slug.not-sent"
    fix = "Try the same with `curl -T FILE URL` to see the server's whole answer."


class TargetUnreachable(NotSent):
    """The server that is to take the slug could not be reached, or the connection kept breaking."""

    code = "slug.target-unreachable"
    fix = "Check the address and your network and proxy settings (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)."
    lost = True
    connected = False


@dataclass(frozen=True, slots=True)
class StdoutTarget:
    """Standard output."""

    def __str__(self) -> str:
        return "standard output"


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file, replaced in one step."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """A URL that takes PUT. As text it is without credentials and signature."""

    url: str

    def __str__(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ObjectTarget:
    """An object, ``s3://bucket/key``; the variables of ``Remotes.environment`` sign for it."""

    address: str

    def __str__(self) -> str:
        return self.address


Target = StdoutTarget | FileTarget | UrlTarget | ObjectTarget


def parse_target(text: str) -> Target:
    """The target in ``text``: ``-``, a path or file:// address, an http(s) URL, ``s3://bucket/key``. Raises BadTarget.

    What pods name by BUILDER_STORAGE and a key is ``ObjectTarget(open_storage(environment).address(key))``.
    """
    raise NotImplementedError


def send(
    file: Path, target: Target, remotes: Remotes, *, what: str = "The slug", stdout: BinaryIO | None = None
) -> None:
    """Put the bytes of ``file`` there, whole or not at all (save on standard output).

    ``what`` is what the file is, in errors. Passing troubles are tried again. Raises NotSent, SlugUnwritable,
    SlugOutputClosed, Offline, BadUrl and the transport's RemoteCertificate.
    """
    raise NotImplementedError


def is_current(target: Target, digest: Digest, remotes: Remotes) -> bool:
    """True when the target is known to hold these very bytes, so that nothing need be sent.

    A file is read; an object is asked (HEAD) for the digest that ``send`` noted on it. Of a URL it cannot be known.
    A target that cannot be asked is not current.
    """
    raise NotImplementedError


@contextmanager
def fetch_slug(place: str, remotes: Remotes, stdin: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """The archive at ``place`` (``-``, a path, an http(s) URL, ``s3://bucket/key``), open for reading.

    Raises SourceNotFound, SourceUnreadable, BadTarget and what ``fetch_url`` raises.
    """
    raise NotImplementedError
    yield
