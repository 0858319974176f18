"""Slugs and caches on their way to their targets and from them: written, sent by PUT, asked after, fetched."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit

from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink, Step, step
from lifecycle.oci.digest import Digest
from lifecycle.slug.archive import SlugOutputClosed
from lifecycle.slug.targets import (
    BadTarget,
    FileTarget,
    ObjectTarget,
    StdoutTarget,
    Target,
    UrlTarget,
    is_replaceable,
    parse_target,
)
from lifecycle.source.errors import SourceNotFound, SourceUnreadable
from lifecycle.source.fetch import fetch_url, is_url, origin_of, request_target
from lifecycle.source.remote_errors import Offline, RemoteBadAnswer, RemoteCertificate
from lifecycle.source.remotes import Remotes
from lifecycle.source.s3 import fetch_s3, object_url, signature
from lifecycle.store.errors import disk_errors, of_oserror
from lifecycle.store.partial import Partial, sweep
from lifecycle.transport.errors import HttpError

if TYPE_CHECKING:
    from lifecycle.transport.client import Answer, Transport

DIGEST_HEADER = "x-amz-meta-pylife-digest"
"""Metadata of an object: the digest of what it holds, as ``sha256:…``."""

_CHUNK = 1 << 20
_BRIEF = 10.0
"""Seconds that a server is waited for where its answer only saves work."""
_REDIRECTS = frozenset({307, 308})
_REDIRECT_LIMIT = 5


class NotSent(HttpError):
    """A server did not take what was to be put there; what it had before stays."""

    code = "slug.not-sent"
    fix = "Try the same with `curl -T FILE URL` to see the server's whole answer."


class TargetUnreachable(NotSent):
    """The server that is to take it could not be reached, or the connection kept breaking."""

    code = "slug.target-unreachable"
    fix = "Check the address and your network and proxy settings (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)."
    lost = True
    connected = False


_FIXES = {
    401: "Give a URL that needs no login: one with user and password in it, or a signed one.",
    403: (
        "Ask for a new URL, signed for PUT: signed ones end after some minutes. For s3:// check AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY, AWS_REGION, what they may write, and this host's clock."
    ),
    404: "Check the address: the server has no such place (for s3://, no such bucket).",
    405: "Give a URL that takes PUT: this one does not.",
    411: "Give a URL that takes PUT with a Content-Length; what answered here is probably not the store itself.",
    413: "Raise the server's limit of what may be uploaded, or send less: .slugignore names what a slug does not need.",
    507: "Free some space where the server keeps its files.",
}


def send(
    file: Path, target: Target, remotes: Remotes, *, what: str = "The slug", stdout: BinaryIO | None = None
) -> None:
    """Put the bytes of ``file`` there, whole or not at all (save on standard output).

    ``what`` is what the file is, in errors. Passing troubles are tried again. Raises NotSent, SlugOutputClosed,
    DiskFull, NoAccess, Offline, BadUrl and the transport's RemoteCertificate.
    """
    match target:
        case StdoutTarget():
            if stdout is None:
                raise BadTarget("There is no standard output to write to")
            with disk_errors(file), open(file, "rb") as source:
                _pour(source, stdout, "standard output")
        case FileTarget(path) if is_replaceable(path):
            with replaced(file, target, remotes):
                pass
        case FileTarget(path):
            with disk_errors(path), open(file, "rb") as source, open(path, "wb", buffering=0) as out:
                _pour(source, out, str(path))
        case UrlTarget(url):
            address, authorization = request_target(url, remotes)
            private = {"authorization": authorization} if authorization else {}
            origin = origin_of(address)
            _put(file, address, lambda to: private if origin_of(to) == origin else {}, str(target), remotes, what)
        case ObjectTarget(address):
            url = object_url(address, remotes.environment)
            with open(file, "rb") as source:
                digest = Digest.of_stream(source)
            noted = {DIGEST_HEADER: str(digest)}

            def sign(to: str) -> dict[str, str]:
                if not _is_same_store(url, to):
                    return noted
                signed = signature(to, remotes.environment, time.time(), method="PUT", payload=digest.hex, extra=noted)
                return {**noted, **signed}

            _put(file, url, sign, address, remotes, what)


@contextmanager
def replaced(
    file: Path,
    target: Target,
    remotes: Remotes,
    *,
    what: str = "The slug",
    old: Path | None = None,
    stdout: BinaryIO | None = None,
) -> Iterator[None]:
    """``send``, for good only if the block succeeds, in which other things are sent that belong to it.

    A file is written beside the old one before the block, and takes its place after it. A server gets the bytes before
    the block; when that fails, ``old`` is sent there again, as ``sent`` does. What went to a pipe cannot come back.
    Raises what ``send`` raises.
    """
    if isinstance(target, FileTarget) and is_replaceable(target.path):
        with staged(target.path) as partial:
            with disk_errors(file), open(file, "rb") as source:
                while data := source.read(_CHUNK):
                    partial.write(data)
            settle(partial)
            yield
        return
    with sent(file, target, remotes, what=what, old=old, stdout=stdout):
        yield


@contextmanager
def staged(path: Path) -> Iterator[Partial]:
    """A file to be written that takes the place of ``path`` when the block succeeds; a link stays what it is."""
    with disk_errors(path):
        path = Path(os.path.realpath(path))
        sweep(path.parent)
    with Partial(path.parent) as partial:
        yield partial
        partial.keep(path)


def settle(partial: Partial) -> None:
    """Have all of it on the disk's books: a disk that is full is known now, not when the file takes its name."""
    with disk_errors(partial.directory):
        partial.file.flush()


@contextmanager
def sent(
    file: Path, target: Target, remotes: Remotes, *, what: str, old: Path | None, stdout: BinaryIO | None = None
) -> Iterator[None]:
    """``send``. The file ``old``, which was there, is sent there again if the block fails, or if nobody knows whether
    the server took the new one; None where nothing is known of what was there.
    """
    taken = False
    try:
        send(file, target, remotes, what=what, stdout=stdout)
        taken = True
        yield
    except BaseException as error:
        if old is not None and (taken or _may_be_taken(error)):
            put_back(lambda: send(old, target, _hurried(remotes), what=what), target, remotes.sink, what=what)
        raise


def put_back(again: Callable[[], object], place: object, sink: Sink, *, what: str) -> None:
    """Have ``again`` send what was at ``place`` there once more; a failure is a warning, since another is told."""
    try:
        again()
    except (PylifeError, OSError) as error:
        text = f"{what} that was at {place} could not be put back, the new one may be there now: {error}"
        sink.emit(Message(text, "warning"))


def _may_be_taken(error: BaseException) -> bool:
    """Whether a server may have all that was sent, though it has not said so."""
    if isinstance(error, NotSent):
        return error.connected and (error.status is None or error.status >= 500)
    return not isinstance(error, Exception)  # interrupted


def is_current(target: Target, digest: Digest, size: int, remotes: Remotes) -> bool:
    """True when the target is known to hold these very bytes (``size`` of them), so that nothing need be sent.

    A file is read; an object is asked (HEAD) for the digest that ``send`` noted on it. A URL is asked for its size, and
    read when that is the same. A target that cannot be asked, as behind a URL signed for PUT only, is not current.
    """
    remotes = _hurried(remotes)
    match target:
        case FileTarget(path):
            try:
                if path.is_file():  # a pipe would be waited for
                    with open(path, "rb") as file:
                        return Digest.of_stream(file) == digest
            except OSError:
                return False
        case ObjectTarget(address) if not remotes.offline:
            url = object_url(address, remotes.environment)
            signed = signature(url, remotes.environment, time.time(), method="HEAD")
            with suppress(HttpError), _transport(remotes) as transport, transport.send("HEAD", url, signed) as answer:
                return answer.status == 200 and answer.header(DIGEST_HEADER) == str(digest)
        case UrlTarget(url) if not remotes.offline:
            address, authorization = request_target(url, remotes)
            headers = {"authorization": authorization} if authorization else {}
            with suppress(HttpError), _transport(remotes) as transport:
                with transport.send("HEAD", address, headers) as answer:
                    if answer.status != 200 or answer.header("content-length") != str(size):
                        return False
                with transport.send("GET", address, headers) as answer:
                    held, left = hashlib.sha256(), size
                    for chunk in answer.chunks():
                        held.update(chunk)
                        left -= len(chunk)
                        if left < 0:  # it is not what it was asked about, and may have no end
                            return False
                    return answer.status == 200 and Digest("sha256", held.hexdigest()) == digest
    return False


def locate(place: Target, remotes: Remotes, *, optional: bool = False) -> Path:
    """The file with what is at ``place`` now: a download, or itself. Raises BadTarget and what ``fetch_url`` raises.

    ``optional`` is what may be missing, and is not told as a failure when it is.
    """
    match place:
        case FileTarget(path):
            return path
        case UrlTarget(url):
            return fetch_url(url, remotes, optional=optional).path
        case ObjectTarget(address):
            return fetch_s3(address, remotes, optional=optional).path
        case StdoutTarget():
            raise BadTarget("- names no file")


def known(place: Target, remotes: Remotes) -> Path | None:
    """A copy of what is at ``place`` now, to be put back if need be; None where nothing is, or nobody can tell."""
    if not isinstance(place, UrlTarget | ObjectTarget):
        return None
    try:
        return locate(place, _hurried(remotes), optional=True)
    except PylifeError:
        return None


@contextmanager
def fetch_slug(place: str, remotes: Remotes, stdin: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """The archive at ``place`` (``-``, a path, an http(s) URL, ``s3://bucket/key``), open for reading.

    Raises SourceNotFound, SourceUnreadable, BadTarget and what ``fetch_url`` raises.
    """
    fix = "Give - for standard input, a file, an http(s) URL, or s3://bucket/key."
    if place == "-":
        if stdin is None:
            raise SourceNotFound("There is no archive on standard input", why="standard input is not open", fix=fix)
        yield stdin
        return
    try:
        target = parse_target(place)
    except BadTarget as error:  # whose advice is for what is to be sent
        raise BadTarget(error.what, why=error.why, fix=fix) from error
    path = locate(target, remotes)
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; errors of whoever reads are theirs
    except FileNotFoundError as error:
        raise SourceNotFound(f"There is no archive at {target}", why=error.strerror, fix=fix) from error
    except OSError as error:
        raise SourceUnreadable(f"{target} cannot be read", why=error.strerror, fix=fix) from error
    with file:
        yield file


def _hurried(remotes: Remotes) -> Remotes:
    """Tried twice only, and no server is waited for: where a failure is to be told, or an answer is not needed."""
    from lifecycle.transport.settings import TransportSettings

    settings = remotes.settings or TransportSettings()
    brief = {name: min(getattr(settings, name), _BRIEF) for name in ("connect_timeout", "stall_timeout")}
    return replace(remotes, settings=replace(settings, attempts=2, **brief))


def _is_same_store(url: str, to: str) -> bool:
    """Whether what signs for ``url`` may be shown to the host that it redirects to: itself, or another of Amazon's."""
    hosts = [(urlsplit(each).hostname or "").endswith(".amazonaws.com") for each in (url, to)]
    return origin_of(url) == origin_of(to) or (all(hosts) and to.startswith("https://"))


# -- files and pipes ---------------------------------------------------------------------------------------------


def _pour(source: BinaryIO, out: BinaryIO, name: str) -> None:
    """Copy all of it; past the buffer, which would be tried again when Python ends, after a failure was told."""
    try:
        out.flush()
        raw = getattr(out, "raw", out)
        while data := source.read(_CHUNK):
            view = memoryview(data)
            while view:
                view = view[raw.write(view) or 0 :]
    except BrokenPipeError as error:
        raise SlugOutputClosed(f"{name} was not read to its end") from error
    except OSError as error:
        raise of_oserror(error, Path(name)) from error


# -- HTTP --------------------------------------------------------------------------------------------------------


@contextmanager
def _transport(remotes: Remotes) -> Iterator[Transport[HttpError]]:
    from lifecycle.transport.client import Transport
    from lifecycle.transport.errors import Faults
    from lifecycle.transport.settings import TransportSettings

    faults: Faults[HttpError] = Faults(TargetUnreachable, RemoteCertificate, RemoteBadAnswer, _error_of_answer)
    transport = Transport(remotes.settings or TransportSettings(), faults)
    try:
        yield transport
    finally:
        transport.close()


def _put(
    file: Path, url: str, headers: Callable[[str], dict[str, str]], shown: str, remotes: Remotes, what: str
) -> None:
    """Send ``file`` to ``url`` by PUT; ``headers`` gives those to send to an address, asked for each try."""
    from lifecycle.transport.retry import Patience, send_patiently
    from lifecycle.transport.settings import TransportSettings

    text = f"{what} cannot be sent to {shown}"
    if remotes.offline:
        raise Offline(text, why="the network may not be used")
    size = file.stat().st_size
    patience = Patience(remotes.settings or TransportSettings(), remotes.sink)

    def attempt() -> Answer[HttpError]:
        to = url
        for _ in range(_REDIRECT_LIMIT + 1):
            given = {**headers(to), "content-length": str(size)}
            answer = transport.send("PUT", to, given, _chunks(file, size, told) if size else b"")
            location = answer.header("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.drain()
            to = urljoin(to, location)
            if not is_url(to):
                raise RemoteBadAnswer(f"{shown} redirects to something that is not HTTP", **answer.place)
        raise RemoteBadAnswer(f"{shown} redirects without end", **answer.place)

    with _transport(remotes) as transport, step(remotes.sink, f"send/{shown}", f"Send {shown}") as told:
        try:
            with send_patiently(attempt, patience, text) as answer:
                if not 200 <= answer.status < 300:
                    raise answer.error(text)
                answer.drain()
        except HttpError as error:
            error.what, error.where = text, None  # the address is in the sentence; a query is nobody's business
            raise


def _chunks(file: Path, size: int, told: Step) -> Iterator[bytes]:
    with open(file, "rb") as source:
        done = 0
        while data := source.read(_CHUNK):
            yield data
            done += len(data)
            told.progress(done, size)


def _error_of_answer(
    what: str, *, method: str, url: str, status: int, content_type: str | None, body: bytes
) -> NotSent:
    """The error for an answer with a failing status, with what the server says of it."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    said = _message(body)
    why = f"{host} answered with HTTP {status}{f' ({said})' if said else ''}"
    fix = _FIXES.get(status, "The fault is on the server's side: try again later." if status >= 500 else None)
    return NotSent(what, why=why, fix=fix, method=method, url=url, status=status)


def _message(body: bytes) -> str:
    """What an object store's error says, ``Code: Message``; empty when the answer is not of that form."""
    found = (re.search(rb"<%b>([^<]{1,300})</%b>" % (name, name), body) for name in (b"Code", b"Message"))
    texts = (match[1].decode(errors="replace") for match in found if match)
    return "".join(c for c in ": ".join(texts) if c.isprintable())
