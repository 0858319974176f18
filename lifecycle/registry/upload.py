"""Sending a blob: one upload session as a state machine that survives dropped connections.

A blob goes whole, in one PUT, when nothing speaks against it. After a failure the registry is asked how much it has
(GET on the session's URL), the source is opened again and read past that, and the rest goes in PATCH chunks. Some
registries (docker-registry 2.8) give a session up when a request to it breaks: then it all is sent again, in chunks.
Source: OCI distribution-spec v1.1, "Pushing blobs".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO
from urllib.parse import urlencode

from lifecycle.oci import Descriptor, Digest, DigestMismatch, Reference
from lifecycle.registry.errors import BadAnswer, Denied, RegistryError, Unauthorized, Unreachable
from lifecycle.registry.progress import BlobProgress
from lifecycle.registry.session import Access, Session
from lifecycle.registry.transport import Answer
from lifecycle.transport.errors import RETRYABLE
from lifecycle.transport.retry import Patience, parse_retry_after

_READ = 256 * 1024
_RANGE = re.compile(r"(?:bytes=)?(\d+)-(\d+)")
_WANTS_CHUNKS = frozenset({405, 411, 413, 415, 501})
_SESSION_LOST = frozenset({400, 404, 410, 416})

Open = Callable[[], BinaryIO]


def mount(
    session: Session, ref: Reference, digest: Digest, source: str, what: str
) -> tuple[bool, str | None, str | None]:
    """Ask for a blob of the repository ``source`` of the same registry: nothing is sent when it can be mounted.

    Returns whether it was, else the upload session that the registry opened instead and its least chunk size.
    """
    query = urlencode({"mount": str(digest), "from": source}, safe=":/")
    path = f"/v2/{ref.repository}/blobs/uploads/?{query}"
    access = Access.push(ref, source)
    try:
        answer = session.request("POST", access, path, what=what, headers={"Content-Length": "0"})
    except (Unauthorized, Denied):
        return False, None, None  # no right to read the source; the plain upload decides about the target
    location = answer.header("location")
    answer.drain()
    if answer.status == 201:
        return True, None, None
    if answer.status == 202 and location:
        url = session.endpoint(ref.registry).resolve(location, answer.url)
        return False, url, answer.header("oci-chunk-min-length")
    return False, None, None


class Upload:
    """One blob on its way into one repository. ``run`` does everything; use an object once.

    ``open`` is called for every (re)start and must give the same bytes each time.
    """

    def __init__(
        self, session: Session, access: Access, descriptor: Descriptor, open: Open, progress: BlobProgress, what: str
    ) -> None:
        self._session = session
        self._access = access
        self._descriptor = descriptor
        self._open = open
        self._progress = progress
        self._what = what
        self._patience: Patience = session.patience()
        self._location: str | None = None
        self._offset = 0  # bytes the registry is known to have
        self._source: BinaryIO | None = None
        self._source_at = 0
        self._chunk = session.settings.chunk_size
        self._chunked = False

    def run(self, location: str | None = None, min_chunk: str | None = None) -> None:
        """Send the blob, into the session at ``location`` when one is open."""
        self._location = location
        self._heed_min_chunk(min_chunk)
        try:
            while not self._attempt():
                pass
        finally:
            self._close_source()

    def _attempt(self) -> bool:
        """Try to send what is missing; False when a passing trouble came between and the upload may go on."""
        before = self._offset
        try:
            if self._location is None:
                self._begin()
            return self._send_chunks() if self._chunked else self._send_whole()
        except _Passing as trouble:
            self._close_source()
            self._patience.wait(trouble.error, trouble.retry_after)
            self._chunked = True
            complete = self._recover()
            self._patience.progressed(self._offset - before)
            return complete

    def _begin(self) -> None:
        path = f"/v2/{self._access.repository}/blobs/uploads/"
        answer = self._session.request(
            "POST", self._access, path, what=self._what, headers={"Content-Length": "0"}, patience=self._patience
        )
        if answer.status != 202:
            raise answer.error(self._what)
        self._heed_min_chunk(answer.header("oci-chunk-min-length"))
        self._take_location(answer)
        self._offset = 0

    def _send_whole(self) -> bool:
        size = self._descriptor.size
        answer = self._send("PUT", self._final_url(), {"Content-Length": str(size)}, lambda: self._read(0, size))
        if answer.status in _WANTS_CHUNKS:
            answer.drain()
            self._close_source()
            self._chunked, self._location = True, None
            return False
        return self._finish(answer)

    def _send_chunks(self) -> bool:
        size = self._descriptor.size
        while self._offset < size:
            start, end = self._offset, min(self._offset + self._chunk, size)
            headers = {
                "Content-Length": str(end - start),
                "Content-Range": f"{start}-{end - 1}",
                "Content-Type": "application/octet-stream",
            }
            body = lambda start=start, end=end: self._read(start, end)  # noqa: E731
            answer = self._send("PATCH", self._place(), headers, body)
            if answer.status not in (202, 204):
                self._raise(answer)
            self._take_location(answer)
            match = _RANGE.fullmatch(answer.header("range") or "")
            has = int(match[2]) + 1 if match else end
            if not start < has <= end:
                raise BadAnswer(self._what, why=f"it has {has} bytes after those up to {end} were sent", **answer.place)
            self._offset = has
        return self._finish(self._send("PUT", self._final_url(), {"Content-Length": "0"}, b""))

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | Callable[[], Iterator[bytes]]
    ) -> Answer:
        try:
            answer = self._session.once(method, self._access, url, what=self._what, headers=headers, body=body)
        except Unreachable as error:
            raise _Passing(error) from error
        if answer.status in RETRYABLE:
            retry_after = parse_retry_after(answer.header("retry-after"))
            raise _Passing(answer.error(self._what), retry_after)
        return answer

    def _finish(self, answer: Answer) -> bool:
        if answer.status not in (201, 204):
            self._raise(answer)
        said = answer.header("docker-content-digest")
        answer.drain()
        if said and Digest.parse(said) != self._descriptor.digest:
            raise DigestMismatch(f"{self._what}: the registry stored other bytes", why=f"it says {said}")
        self._progress.advance(self._descriptor.size)
        return True

    def _raise(self, answer: Answer) -> None:
        """Raise for an answer that is no success: a lost session is begun anew, the rest is final."""
        error = answer.error(self._what)
        codes = {fault.code for fault in error.faults}
        if "DIGEST_INVALID" in codes:
            raise DigestMismatch(f"{self._what}: the registry got other bytes than the digest says", why=error.why)
        lost = "BLOB_UPLOAD_UNKNOWN" in codes or "BLOB_UPLOAD_INVALID" in codes or "RANGE_INVALID" in codes
        if answer.status in _SESSION_LOST and (lost or answer.status in (410, 416)):
            raise _Passing(error)
        raise error

    def _recover(self) -> bool:
        """Learn from the registry how much it has; True when it has all, as after an answer that was lost.

        A new session is begun when the registry no longer knows this one.
        """
        location, self._location, self._offset = self._location, None, 0
        if location is None:
            return False
        answer = self._session.request("GET", self._access, location, what=self._what, patience=self._patience)
        if answer.status not in (202, 204):
            answer.drain()
            return self._is_there()
        match = _RANGE.fullmatch(answer.header("range") or "")
        has = int(match[2]) + 1 if match else 0
        # "0-0" is what registries say both for nothing and for one byte: a new session settles it
        if not 1 < has <= self._descriptor.size:
            answer.drain()
            return False
        self._location = location
        if answer.header("location"):
            self._take_location(answer)
        else:
            answer.drain()
        self._offset = has
        return False

    def _is_there(self) -> bool:
        path = f"/v2/{self._access.repository}/blobs/{self._descriptor.digest}"
        answer = self._session.request("HEAD", self._access, path, what=self._what, patience=self._patience)
        answer.drain()
        return answer.status == 200

    def _take_location(self, answer: Answer) -> None:
        location = answer.header("location")
        answer.drain()
        if not location:
            raise BadAnswer(self._what, why="the answer to an upload has no Location", **answer.place)
        self._location = self._session.endpoint(self._access.registry).resolve(location, answer.url)

    def _place(self) -> str:
        assert self._location is not None
        return self._location

    def _final_url(self) -> str:
        url = self._place()
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'digest': str(self._descriptor.digest)}, safe=':')}"

    def _heed_min_chunk(self, value: str | None) -> None:
        if value and value.isdigit():
            self._chunk = max(self._chunk, int(value))

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        """The source's bytes from ``start`` to ``end``; raises DigestMismatch when they are too few or many."""
        source = self._source_from(start)
        while self._source_at < end:
            data = source.read(min(_READ, end - self._source_at))
            if not data:
                why = f"they end after {self._source_at}, the descriptor says {self._descriptor.size}"
                raise DigestMismatch(f"{self._what}: the bytes to send are too few", why=why)
            self._source_at += len(data)
            yield data
            self._progress.advance(self._source_at)
        if end == self._descriptor.size and source.read(1):
            why = f"the descriptor says {self._descriptor.size}"
            raise DigestMismatch(f"{self._what}: the bytes to send are too many", why=why)

    def _source_from(self, offset: int) -> BinaryIO:
        """The source, standing at ``offset``: the open one where it fits, else a new one read past that."""
        if self._source is None or self._source_at != offset:
            self._close_source()
            self._source = self._open()
            _skip(self._source, offset, self._what)
            self._source_at = offset
        return self._source

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None


class _Passing(Exception):
    """A trouble after which the upload may go on."""

    def __init__(self, error: RegistryError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


def _skip(source: BinaryIO, count: int, what: str) -> None:
    if count and source.seekable():
        source.seek(count)
        return
    while count:
        data = source.read(min(_READ, count))
        if not data:
            raise DigestMismatch(f"{what}: the bytes to send are too few", why="the source became shorter")
        count -= len(data)
