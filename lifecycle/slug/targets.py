"""Where slugs, caches and lists of process types can be sent: standard output, files, URLs that take PUT, objects."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.source.fetch import is_url, request_target, shown_url
from lifecycle.source.remotes import Remotes
from lifecycle.store.errors import NoAccess, disk_errors, of_oserror


class BadTarget(PylifeError):
    """The place that a slug is to be sent to cannot be understood."""

    code = "slug.bad-target"
    exit_code = 2
    fix = "Give - for standard output, a file, an http(s) URL that takes PUT, or s3://bucket/key."


@dataclass(frozen=True, slots=True)
class StdoutTarget:
    """Standard output."""

    def __str__(self) -> str:
        return "standard output"


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file, replaced in one step; a device or pipe is written to."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """A URL that takes PUT. As text it has no credentials and no query, where signatures are."""

    url: str

    def __str__(self) -> str:
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return shown_url(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class ObjectTarget:
    """An object, ``s3://bucket/key``; the variables of ``Remotes.environment`` sign for it."""

    address: str

    def __str__(self) -> str:
        return self.address


Target = StdoutTarget | FileTarget | UrlTarget | ObjectTarget


def parse_target(text: str) -> Target:
    """The target in ``text``: ``-``, a path or file:// address, an http(s) URL, ``s3://bucket/key``.

    What pods name by BUILDER_STORAGE and a key is ``ObjectTarget(open_storage(environment).address(key))``. Raises
    BadTarget, BadUrl.
    """
    if text == "-":
        return StdoutTarget()
    if is_url(text):
        request_target(text, Remotes(Path()))  # what cannot be asked is to be known before the work, not after it
        return UrlTarget(text)
    scheme, separator, rest = text.partition("://")
    if scheme == "s3" and separator:
        bucket, _, key = rest.partition("/")
        if not bucket or not key.strip("/"):
            raise BadTarget(f"{text!r} names no object", fix="Write s3://BUCKET/PATH/slug.tgz.")
        return ObjectTarget(text)
    if separator and scheme != "file":
        raise BadTarget(f"Nothing can be sent to {shown_url(text)}", why=f"{scheme}:// is not a known kind of place")
    path = Path(unquote(rest.removeprefix("localhost")) if separator else text)
    try:
        path = path.expanduser()
        is_directory = path.is_dir()
    except RuntimeError as error:  # nobody is called so
        raise BadTarget(f"{text!r} names no file", why="there is no user of that name") from error
    except OSError as error:
        raise of_oserror(error, path) from error
    if not text.strip() or is_directory:
        raise BadTarget(f"{text!r} names no file", why="it is a directory" if text.strip() else "it is empty")
    return FileTarget(path)


def check_target(target: Target) -> None:
    """Raise NoAccess for a file that cannot be written where it is to be: better before a build than after it."""
    if not isinstance(target, FileTarget) or not is_replaceable(target.path):
        return
    folder = Path(os.path.realpath(target.path)).parent
    if not folder.is_dir():
        raise NoAccess(
            f"{target} cannot be written", why=f"{folder} is no directory", fix=f"Make it: mkdir -p {folder}"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NoAccess(f"{target} cannot be written", why=f"user {os.geteuid()} may not write in {folder}")


def finality(target: Target) -> int:
    """When ``replaced`` can be seen: 0 after its block, 1 before, but it can be sent again, 2 for good (a pipe)."""
    match target:
        case FileTarget(path) if is_replaceable(path):
            return 0
        case UrlTarget() | ObjectTarget():
            return 1
    return 2


def is_replaceable(path: Path) -> bool:
    """False for a device or a pipe."""
    with disk_errors(path):
        return path.is_file() or not path.exists()
