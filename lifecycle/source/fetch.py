"""A file behind a URL, downloaded once and asked after on every build.

Below ``cache/http`` lie ``files``, by their digest, and for each URL a note of what it gave last time. A file never
changes once it has its name, so that a path handed out stays good while another build finds the URL changed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from lifecycle.events import Step, step
from lifecycle.oci.digest import Digest
from lifecycle.record import dataclass
from lifecycle.source.remote_errors import (
    BadUrl,
    ChecksumMismatch,
    DownloadTooLarge,
    Offline,
    RemoteBadAnswer,
    RemoteCertificate,
    RemoteError,
    RemoteNotFound,
    RemoteUnreachable,
    error_of_answer,
)
from lifecycle.source.remotes import Remotes

if TYPE_CHECKING:
    from lifecycle.transport.client import Answer, Transport

UNNAMED = "__unnamed__"
"""What a download is called whose URL ends in no name. Source: BuildKit, dockerfile2llb/convert_copy.go."""

_LIMIT = 64 << 30
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECT_LIMIT = 10
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A download. ``path`` lies in the cache and is never to be written to; ``last_modified`` is in seconds.

    ``name`` is the last part of the URL's path, or ``__unnamed__``. ``mode`` is what ADD gives the file. ``reused``
    is True when nothing had to be downloaded.
    """

    path: Path
    digest: Digest
    size: int
    last_modified: int | None
    name: str
    mode: int = 0o600
    reused: bool = False


def is_url(text: str) -> bool:
    """True for an http or https address."""
    return re.match(r"https?://", text, re.IGNORECASE) is not None


def url_name(url: str) -> str:
    """The name that a download gets from its URL."""
    name = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    return name if name not in ("", ".", "..") and name.isprintable() else UNNAMED


def fetch_url(
    url: str,
    remotes: Remotes,
    *,
    checksum: Digest | None = None,
    headers: Mapping[str, str] | None = None,
    shown: str = "",
    optional: bool = False,
) -> Fetched:
    """The file at an http or https URL as it is now: downloaded, or found unchanged by ETag or Last-Modified.

    A ``checksum`` that the cache has needs no request. Credentials (the secrets HTTP_AUTH_HEADER_<host> and
    HTTP_AUTH_TOKEN_<host>, or user and password in the URL) and ``headers`` go to the URL's own host only. ``shown`` is
    what people know it by, where that is not the URL; an ``optional`` file is not told as a failure when it is missing.
    Raises BadUrl, Offline, ChecksumMismatch, DownloadTooLarge, RemoteError.
    """
    target, authorization = request_target(url, remotes)
    private = {**(headers or {}), **({"authorization": authorization} if authorization else {})}
    home = remotes.cache / "http"
    note = _Note.read(home / "urls" / f"{hashlib.sha256(target.encode()).hexdigest()}.json", home)
    if checksum is not None and checksum.algorithm == "sha256":
        path = home / "files" / checksum.hex
        if path.is_file():
            os.utime(path)
            modified = note.last_modified if note.digest == checksum else None
            return Fetched(path, checksum, path.stat().st_size, modified, url_name(url), reused=True)
    shown = shown or shown_url(target)
    if remotes.offline:
        raise Offline(f"{shown} cannot be fetched", why="the network may not be used")
    missing: RemoteNotFound | None = None
    with step(remotes.sink, f"fetch/{hashlib.sha256(target.encode()).hexdigest()[:16]}", f"Fetch {shown}") as told:
        try:
            note = _Download(target, shown, private, remotes, home, told).run(note)
        except RemoteNotFound as error:
            if not optional:
                raise
            told.outcome, told.detail, missing = "skipped", "there is none", error
        else:
            assert note.digest is not None
            path = home / "files" / note.digest.hex
            if checksum is not None and checksum != note.digest:
                _check(path, checksum, shown)
            note.write()
            if note.fresh:
                os.utime(path)
                told.outcome, told.detail = "reused", "unchanged"
    if missing is not None:
        raise missing
    assert note.digest is not None
    return Fetched(path, note.digest, note.size, note.last_modified, url_name(url), reused=note.fresh)


def request_target(url: str, remotes: Remotes) -> tuple[str, str | None]:
    """The address without credentials and fragment, and what to send as Authorization. Raises BadUrl."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadUrl(f"{shown_url(url)!r} is no address", why=str(error)) from error
    if not is_url(url):
        raise BadUrl(f"{shown_url(url)!r} cannot be fetched", why="it does not begin with http:// or https://")
    if not host or re.search(r"[\x00-\x20\x7f]", url):
        raise BadUrl(f"{shown_url(url)!r} is no address", why="it names no host" if not host else "it holds a space")
    name = f"[{host}]" if ":" in host else host
    netloc = f"{name}:{port}" if port else name
    header = None
    if (whole := remotes.secrets(f"HTTP_AUTH_HEADER_{host}")) is not None:
        header = whole.decode(errors="replace").strip()
    elif (token := remotes.secrets(f"HTTP_AUTH_TOKEN_{host}")) is not None:
        header = f"Bearer {token.decode(errors='replace').strip()}"
    elif "@" in parts.netloc:
        from base64 import b64encode

        header = f"Basic {b64encode(unquote(parts.netloc.rpartition('@')[0]).encode()).decode()}"
    return urlunsplit((parts.scheme.lower(), netloc, parts.path or "/", parts.query, "")), header


def shown_url(url: str) -> str:
    """``url`` for people: without user information and the values of its query."""
    from lifecycle.transport.errors import redact

    with suppress(ValueError):
        return redact(url)
    return re.sub(r"//[^/]*@", "//", url)


def _check(path: Path, checksum: Digest, shown: str) -> None:
    total = checksum.hasher()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            total.update(data)
    if total.hexdigest() != checksum.hex:
        found = f"{checksum.algorithm}:{total.hexdigest()}"
        raise ChecksumMismatch(f"{shown} is not the file that was named", why=f"it is {found}, not {checksum}")


@dataclass(frozen=True, slots=True)
class _Note:
    """What a URL gave last time. ``fresh`` is True once the server has said that it is still so."""

    path: Path
    digest: Digest | None = None
    size: int = 0
    etag: str = ""
    modified: str = ""
    fresh: bool = False

    @classmethod
    def read(cls, path: Path, home: Path) -> _Note:
        try:
            data: Any = json.loads(path.read_bytes())
            digest = Digest.parse(data["digest"])
            note = cls(path, digest, int(data["size"]), str(data["etag"]), str(data["modified"]))
            return note if (home / "files" / digest.hex).stat().st_size == note.size else cls(path)
        except (OSError, ValueError, KeyError, TypeError):  # absent or damaged: it is asked for anew
            return cls(path)

    def write(self) -> None:
        if self.fresh:
            with suppress(FileNotFoundError):
                os.utime(self.path)
            return
        data = {"digest": str(self.digest), "size": self.size, "etag": self.etag, "modified": self.modified}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.{id(self)}")
        partial.write_text(json.dumps(data))
        partial.rename(self.path)

    @property
    def last_modified(self) -> int | None:
        from email.utils import parsedate_to_datetime

        try:
            return int(parsedate_to_datetime(self.modified).timestamp()) if self.modified else None
        except (ValueError, TypeError, OverflowError):
            return None

    @property
    def validator(self) -> str:
        """What names these very bytes to the server: a strong ETag, else the date; empty when there is neither."""
        return self.modified if not self.etag or self.etag.startswith("W/") else self.etag


@dataclass(slots=True)
class _Download:
    """One file being fetched."""

    url: str
    shown: str
    private: Mapping[str, str]
    remotes: Remotes
    home: Path
    told: Step

    def run(self, note: _Note) -> _Note:
        """What the URL gives now; its file is in the cache."""
        from lifecycle.transport.retry import Patience, send_patiently
        from lifecycle.transport.settings import TransportSettings

        patience = Patience(self.remotes.settings or TransportSettings(), self.remotes.sink)
        what = f"{self.shown} cannot be fetched"
        (self.home / "files").mkdir(parents=True, exist_ok=True)
        with _transport(self.remotes) as transport, _partial(self.home / "files", self.shown) as (out, place):
            total, begun, current = hashlib.sha256(), 0, _Note(note.path)
            headers = _conditions(note)
            while True:
                answer = send_patiently(lambda: self._follow(transport, headers), patience, what)  # noqa: B023
                with answer:
                    if answer.status == 304 and note.digest is not None:
                        return replace(note, fresh=True)
                    if answer.status == 206 and begun and _starts_at(answer, begun):
                        pass
                    elif answer.status == 200:
                        if _same(answer, note):
                            return replace(note, fresh=True)
                        total, begun = hashlib.sha256(), 0
                        out.seek(0)
                        out.truncate()
                        etag, modified = answer.header("etag") or "", answer.header("last-modified") or ""
                        current = _Note(note.path, etag=etag, modified=modified)
                    elif begun:  # 416 or the like: what was begun is no use any more
                        total, begun, headers = hashlib.sha256(), 0, {}
                        out.seek(0)
                        out.truncate()
                        patience.wait(answer.error(what))
                        continue
                    else:
                        raise answer.error(what)
                    size = _size(answer, begun)
                    try:
                        before = begun
                        for chunk in answer.chunks():
                            out.write(chunk)
                            total.update(chunk)
                            begun += len(chunk)
                            if begun > _LIMIT:
                                raise DownloadTooLarge(f"{self.shown} is too large", why=f"over {_LIMIT >> 30} GiB")
                            self.told.progress(begun, size)
                    except RemoteError as error:
                        if not error.lost:
                            raise
                        patience.progressed(begun - before)
                        patience.wait(error)
                        headers = _resumption(current, begun)
                        continue
                    digest = Digest("sha256", total.hexdigest())
                    out.flush()
                    os.replace(place, self.home / "files" / digest.hex)
                    return replace(current, digest=digest, size=begun)

    def _follow(self, transport: Transport[RemoteError], headers: dict[str, str]) -> Answer[RemoteError]:
        """The answer where the redirects end; credentials stay at the URL's own origin."""
        url = self.url
        for _ in range(_REDIRECT_LIMIT + 1):
            sent = dict(headers)
            if origin_of(url) == origin_of(self.url):
                sent |= self.private
            answer = transport.send("GET", url, sent)
            location = answer.header("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer.drain()
            url = urljoin(url, location)
            if urlsplit(url).scheme not in ("http", "https"):
                raise RemoteBadAnswer(f"{self.shown} redirects to something that is not HTTP", **answer.place)
        raise RemoteBadAnswer(f"{self.shown} redirects without end", **answer.place)


@contextmanager
def _transport(remotes: Remotes) -> Iterator[Transport[RemoteError]]:
    from lifecycle.transport.client import Transport
    from lifecycle.transport.errors import Faults
    from lifecycle.transport.settings import TransportSettings

    faults: Faults[RemoteError] = Faults(RemoteUnreachable, RemoteCertificate, RemoteBadAnswer, error_of_answer)
    transport = Transport(remotes.settings or TransportSettings(), faults)
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def _partial(directory: Path, shown: str) -> Iterator[tuple[BinaryIO, str]]:
    """A file being downloaded; what does not get its real name vanishes."""
    fd, place = tempfile.mkstemp(prefix=".partial-", dir=directory)
    try:
        with os.fdopen(fd, "wb", 1 << 20) as out:
            yield out, place
    except OSError as error:  # of writing, or of closing, which writes what is left
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise DownloadTooLarge(f"{shown} does not fit on the disk", why=f"{directory}: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(place)


def _conditions(note: _Note) -> dict[str, str]:
    """Headers that ask for the file only if it changed."""
    if note.digest is None:
        return {}
    if note.etag:
        return {"If-None-Match": note.etag}
    return {"If-Modified-Since": note.modified} if note.modified else {}


def _resumption(current: _Note, begun: int) -> dict[str, str]:
    """Headers that ask for the rest of the same bytes; none when they cannot be named."""
    return {"Range": f"bytes={begun}-", "If-Range": current.validator} if begun and current.validator else {}


def _same(answer: Answer[RemoteError], note: _Note) -> bool:
    """True when a server that does not know conditions says by its ETag that nothing changed."""
    etag = answer.header("etag")
    return note.digest is not None and bool(etag) and etag == note.etag and not note.etag.startswith("W/")


def _starts_at(answer: Answer[RemoteError], begun: int) -> bool:
    found = _RANGE.fullmatch(answer.header("content-range") or "")
    return found is not None and int(found[1]) == begun


def _size(answer: Answer[RemoteError], begun: int) -> int | None:
    length = answer.header("content-length") or ""
    return begun + int(length) if length.isdigit() else None


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: credentials for one origin are not for another."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
