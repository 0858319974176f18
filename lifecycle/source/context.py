"""Build contexts: a directory on this host, whatever it was made from.

Source: BuildKit, frontend/dockerui/context.go; kaniko, README "Pushing/Context"; ``docker buildx build --help``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.source.errors import BadArchive, SourceNotFound, SourceUnreadable, SourceUnsupported

if TYPE_CHECKING:
    from lifecycle.source.gitref import GitRef
    from lifecycle.source.remotes import Remotes

NamedKind = Literal["context", "image", "layout"]

_DOCKERFILE_LIMIT = 16 << 20
_HEAD = 512
_IMAGE_SCHEMES = ("docker-image", "container-image", "docker")
_SCHEMES = ("dir", "file", "tar", "http", "https", "git", "ssh", "s3", *_IMAGE_SCHEMES, "oci-layout")


class BadBuildContext(PylifeError):
    """A --build-context cannot be understood."""

    code = "source.bad-build-context"
    exit_code = 2
    fix = "Write NAME=PLACE: a directory, an archive, a git or http address, docker-image://NAME or oci-layout://DIR."


@dataclass(frozen=True, slots=True)
class Context:
    """A build context, opened. ``directory`` is never to be written to.

    ``name`` is where it came from, for people, without credentials. ``ignores`` tells whether .dockerignore applies
    (not to git and http contexts). ``epoch`` is a hint for SOURCE_DATE_EPOCH=context in seconds: the commit's time,
    Last-Modified, the newest archive member; None for a directory. ``dockerfile`` is a Dockerfile that came by itself:
    on standard input, then the directory is empty, or from a URL, then it is there too, called ``context``.
    ``revision`` is the commit of a git context.
    """

    directory: Path
    name: str
    ignores: bool = True
    epoch: int | None = None
    dockerfile: bytes | None = None
    revision: str = ""


@contextmanager
def open_context(
    text: str,
    scratch: Path,
    remotes: Remotes,
    *,
    sub_path: str = "",
    stdin: BinaryIO | None = None,
    keep_git: bool = False,
) -> Iterator[Context]:
    """The context that ``text`` names, for as long as the block lasts: a directory (``dir://``), an archive
    (``tar://``, ``file://``), ``-`` or ``tar://stdin``, a git repository, an http address, an S3 object.

    ``sub_path`` is a folder in it that counts as the whole. What must be unpacked is, in a new directory below
    ``scratch`` that is removed afterwards. ``keep_git`` is BUILDKIT_CONTEXT_KEEP_GIT_DIR. Raises SourceNotFound,
    SourceUnsupported, SourceUnreadable, BadArchive, NoSubdirectory, and what ``fetch_git`` and ``fetch_url`` raise.
    """
    plain = text.removeprefix("dir://")
    if text != "-" and os.path.isdir(plain):
        yield _scoped(Context(Path(plain), text), sub_path)
    elif text in ("-", "tar://stdin"):
        with _directory(scratch) as empty:
            yield _scoped(_from_stdin(stdin, empty), sub_path)
    elif ref := _git_ref(text, remotes):
        yield _scoped(_from_git(ref, remotes, keep_git), sub_path)
    elif text.lower().startswith(("http://", "https://")):
        with _directory(scratch) as empty:
            yield _scoped(_from_url(text, remotes, empty), sub_path)
    elif text.startswith("s3://"):
        from lifecycle.source.s3 import fetch_s3

        with _directory(scratch) as empty:
            fetched = fetch_s3(text, remotes)
            with open(fetched.path, "rb") as file:
                newest = _unpacked(file, empty, text)
            yield _scoped(Context(empty, text, False, fetched.last_modified or newest), sub_path)
    else:
        with _directory(scratch) as empty:
            yield _scoped(_from_file(text, empty), sub_path)


def _scoped(context: Context, sub_path: str) -> Context:
    if not sub_path:
        return context
    from lifecycle.source.inside import subdirectory

    name = f"{context.name} ({sub_path})"
    return replace(context, directory=subdirectory(context.directory, sub_path, context.name), name=name)


@contextmanager
def _directory(scratch: Path) -> Iterator[Path]:
    import tempfile

    from lifecycle.source.place import remove_tree

    scratch.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="context-", dir=scratch))
    try:
        yield made
    finally:
        if made.exists():  # else the scratch went before, and this with it
            remove_tree(made)


# -- each kind ---------------------------------------------------------------------------------------------------


def _from_file(text: str, empty: Path) -> Context:
    from lifecycle.source.place import ArchiveSource, parse_source

    scheme, separator, _ = text.partition("://")
    if separator and scheme not in _SCHEMES:
        raise _unknown_scheme(text, scheme)
    place = parse_source(text)
    if not isinstance(place, ArchiveSource):  # a directory behind file://
        return Context(Path(str(place)), text)
    try:
        with open(place.path, "rb") as file:
            return Context(empty, text, epoch=_unpacked(file, empty, str(place)))
    except OSError as error:
        raise SourceUnreadable(f"{place} cannot be read", why=error.strerror, where=str(place)) from error


def _from_stdin(stdin: BinaryIO | None, empty: Path) -> Context:
    if stdin is None:
        raise SourceNotFound("There is no context on standard input", why="standard input is not open")
    name = "standard input"
    head = b""
    while len(head) < _HEAD and (more := stdin.read(_HEAD - len(head))):
        head += more
    if is_archive(head):
        return Context(empty, name, epoch=_unpacked(_after(head, stdin), empty, name))
    return Context(empty, name, dockerfile=_dockerfile(head, stdin, name))


def _from_git(ref: GitRef, remotes: Remotes, keep_git: bool) -> Context:
    from lifecycle.source.clone import fetch_git

    tree = fetch_git(ref, remotes, keep_git=keep_git)
    return Context(tree.directory, str(ref), False, tree.time, revision=tree.commit)


def _from_url(text: str, remotes: Remotes, empty: Path) -> Context:
    from lifecycle.source.fetch import fetch_url
    from lifecycle.transport.errors import redact

    fetched, name = fetch_url(text, remotes), redact(text)
    with open(fetched.path, "rb") as file:
        head = file.read(_HEAD)
        if is_archive(head):
            file.seek(0)
            newest = _unpacked(file, empty, name)
            return Context(empty, name, False, newest if fetched.last_modified is None else fetched.last_modified)
        data = _dockerfile(head, file, name)
    (empty / "context").write_bytes(data)
    return Context(empty, name, False, fetched.last_modified, data)


def _git_ref(text: str, remotes: Remotes) -> GitRef | None:
    if "://" not in text and "@" not in text and not text.startswith("github.com/"):
        return None
    if "://" not in text and os.path.exists(text):
        return None
    from lifecycle.source.gitref import parse_git_ref

    return parse_git_ref(text, context=True, pull_method=remotes.environment.get("GIT_PULL_METHOD", ""))


def _unknown_scheme(text: str, scheme: str) -> SourceUnsupported:
    import difflib

    near = difflib.get_close_matches(scheme, _SCHEMES[:8], 1)
    fix = f"Did you mean {near[0]}://?" if near else f"Known are {', '.join(f'{item}://' for item in _SCHEMES[:8])}."
    if scheme in ("gs", "azure", "wasb", "wasbs"):
        fix = f"Give a signed https:// address, or pipe it: `fetch {scheme}://… | pylife build --context -`."
    what = f"The context {text} cannot be used"
    return SourceUnsupported(what, why=f"{scheme}:// is not a known kind of context", fix=fix)


# -- archives and text -------------------------------------------------------------------------------------------


def is_archive(head: bytes) -> bool:
    """True when a file that begins with ``head`` (512 bytes, fewer only when it is shorter) is an archive: a tar, plain
    or compressed with gzip, bzip2, xz or zstd, or a zip."""
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"PK\x05\x06")):
        return True
    if len(head) < _HEAD:
        return False
    if head == bytes(_HEAD):  # the end of an archive without members
        return True
    try:
        told = int(head[148:156].strip(b"\0 ") or b"0", 8)
    except ValueError:
        return False
    return told == sum(head[:148]) + 8 * ord(" ") + sum(head[156:_HEAD])


def _dockerfile(head: bytes, rest: BinaryIO, name: str) -> bytes:
    """The whole of a text that began with ``head``."""
    data = head + rest.read(_DOCKERFILE_LIMIT + 1 - len(head))
    if not data.strip():
        raise BadArchive(f"{name} holds no context", why="it is empty")
    if len(data) > _DOCKERFILE_LIMIT or b"\0" in data:
        what = f"longer than {_DOCKERFILE_LIMIT >> 20} MiB" if len(data) > _DOCKERFILE_LIMIT else "binary"
        raise BadArchive(f"{name} is neither an archive nor a Dockerfile", why=f"it is no archive, and it is {what}")
    return data


def _unpacked(stream: BinaryIO, empty: Path, name: str) -> int | None:
    from lifecycle.source.place import unpack

    return unpack(stream, empty, name)  # type: ignore[arg-type]


def _after(head: bytes, stream: BinaryIO) -> BinaryIO:
    """The stream with what was taken from it put back; closing it leaves ``stream`` open."""
    import io

    class Joined(io.RawIOBase):
        left = head

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
            data = self.left[: len(buffer)] or stream.read(len(buffer))
            self.left = self.left[len(buffer) :]
            buffer[: len(data)] = data
            return len(data)

    return io.BufferedReader(Joined())


# -- named contexts ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedContext:
    """``--build-context NAME=VALUE``. For ``context`` the value is for ``open_context``; for ``image`` it is an image
    name; for ``layout`` an OCI layout directory, with ``tag`` or ``digest`` where they were given.

    A name that can be an image's is in its familiar form: ``docker.io/library/alpine:latest`` is ``alpine``.
    """

    name: str
    kind: NamedKind
    value: str
    tag: str = ""
    digest: str = ""


def parse_build_context(text: str) -> NamedContext:
    """The named context in ``NAME=VALUE``; raises BadBuildContext."""
    from lifecycle.oci import BadDigest, BadReference, Digest, Reference

    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        missing = "a name and =" if not equals else "a name" if not name.strip() else "a place after ="
        raise BadBuildContext(f"{text!r} is no named context", why=f"it lacks {missing}")
    try:
        name = Reference.parse(name.lower()).with_default_tag().familiar.removesuffix(":latest")
    except BadReference as error:
        raise BadBuildContext(f"{name!r} is no name for a context", why=error.why) from error
    scheme, separator, rest = value.partition("://")
    if not separator:
        if value.partition(":")[0] in (*_IMAGE_SCHEMES[:2], "oci-layout", "target"):
            raise _bad_scheme(name, value, value.partition(":")[0])
        return NamedContext(name, "context", value)
    if scheme in _IMAGE_SCHEMES:
        try:
            if rest != "scratch":
                Reference.parse(rest)
        except BadReference as error:
            raise BadBuildContext(f"The context {name} names no image", why=str(error)) from error
        return NamedContext(name, "image", rest)
    if scheme == "oci-layout":
        path, at, digest = rest.rpartition("@")
        if not at or not digest.startswith("sha"):  # no @, or one of the path
            path, digest = rest, ""
        if digest:
            try:
                Digest.parse(digest)
            except BadDigest as error:
                raise BadBuildContext(f"The context {name} names no image", why=str(error)) from error
        above, colon, tag = path.rpartition(":")
        if colon and "/" not in tag:
            path = above
        else:
            tag = ""
        if not path:
            raise BadBuildContext(f"The context {name} names no directory", why=f"{value!r} has no path")
        return NamedContext(name, "layout", path, tag, digest)
    if scheme not in _SCHEMES:
        raise _bad_scheme(name, value, scheme)
    return NamedContext(name, "context", value)


def _bad_scheme(name: str, value: str, scheme: str) -> BadBuildContext:
    import difflib

    if scheme == "target":
        why = "target: is for a file of several builds; a stage of this Dockerfile is named by itself"
        return BadBuildContext(f"The context {name} cannot be {value!r}", why=why)
    near = difflib.get_close_matches(scheme, _SCHEMES, 1)
    fix = f"Did you mean {near[0]}://?" if near else None
    return BadBuildContext(f"The context {name} cannot be {value!r}", why=f"{scheme}: is not a known kind", fix=fix)
