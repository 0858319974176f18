"""The registry as a place of manifests and blobs.

Source: OCI distribution-spec v1.1.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import BinaryIO, Literal, TypeVar, cast
from urllib.parse import quote

from lifecycle.events import Message, NullSink, Sink
from lifecycle.oci import BadDigest, Descriptor, Dialect, Digest, DigestMismatch, Index, Reference, mediatypes
from lifecycle.registry.blobs import BlobReader
from lifecycle.registry.credentials import Keychain
from lifecycle.registry.errors import (
    BadAnswer,
    Denied,
    NotARegistry,
    NotFound,
    Refused,
    RegistryError,
    Unauthorized,
    is_web_page,
)
from lifecycle.registry.keychain import default_keychain
from lifecycle.registry.listing import as_referrer, fallback_tag, list_referrers, list_tags, subject_of
from lifecycle.registry.mirrors import read_places
from lifecycle.registry.progress import BlobProgress
from lifecycle.registry.session import Access, Session
from lifecycle.registry.settings import RegistrySettings
from lifecycle.registry.transport import Answer
from lifecycle.registry.upload import Open, Upload, mount

MANIFEST_LIMIT = 8 << 20
_REMEMBERED_MANIFESTS = 512

Pushed = Literal["exists", "mounted", "uploaded"]
T = TypeVar("T")


class RegistryClient:
    """All registries, through one session. Thread-safe; the process needs one.

    Reads go through ``--registry-map`` and try the mirrors first; writes go to the name as it is written.
    Remembers which blobs a repository has and manifests by digest, so that nothing is asked twice.
    """

    def __init__(
        self,
        settings: RegistrySettings | None = None,
        keychain: Keychain | None = None,
        sink: Sink | None = None,
    ) -> None:
        self._settings = settings or RegistrySettings.of()
        self._sink = sink or NullSink()
        self._session = Session(self._settings, keychain or default_keychain(), self._sink)
        self._lock = threading.Lock()
        self._blobs: set[tuple[str, Digest]] = set()
        self._manifests: dict[tuple[str, Digest], tuple[bytes, str]] = {}
        self._pushing: dict[tuple[str, Digest], threading.Lock] = {}
        self._broken_mirrors: set[str] = set()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    def manifest(self, ref: Reference, accept: Iterable[str] = mediatypes.ACCEPT) -> tuple[bytes, str, Digest]:
        """A manifest's or index's bytes, media type and digest; the digest is verified.

        Raises NotFound, DigestMismatch, and what an unwilling registry leads to.
        """
        types = tuple(accept)
        return self._read(ref, lambda place: self._manifest(place, types))

    def head(self, ref: Reference, accept: Iterable[str] = mediatypes.ACCEPT) -> Descriptor | None:
        """The descriptor of what ``ref`` names, None when it is not there."""
        types = tuple(accept)
        try:
            return self._read(ref, lambda place: self._head(place, types))
        except NotFound:
            return None

    def has_blob(self, ref: Reference, digest: Digest) -> bool:
        """True when the repository of ``ref`` itself (not a mirror) has the blob."""
        if self._knows(ref, digest):
            return True
        what = f"Blob {digest.short} of {ref.name} cannot be looked up"
        answer = self._session.request("HEAD", Access.pull(ref), _blob_path(ref, digest), what=what)
        answer.drain()
        if answer.status == 404:
            return False
        if answer.status != 200:
            raise answer.error(what)
        self._learn(ref, digest)
        return True

    def open_blob(self, ref: Reference, descriptor: Descriptor) -> BinaryIO:
        """A stream of the blob's stored bytes: verified at EOF, resumed after a dropped connection; close it."""
        return self._read(ref, lambda place: self._open_blob(place, descriptor))

    def read_blob(self, ref: Reference, descriptor: Descriptor) -> bytes:
        """The bytes of a small blob (a config), verified; raises BadAnswer above the limit for manifests."""
        if descriptor.size > MANIFEST_LIMIT:
            raise BadAnswer(
                f"Blob {descriptor.digest.short} of {ref.name} is too large", why=f"{descriptor.size} bytes"
            )
        with self.open_blob(ref, descriptor) as stream:
            return stream.read()

    def tags(self, ref: Reference) -> list[str]:
        """The tags of the repository, in the registry's order."""
        return self._read(ref, lambda place: list_tags(self._session, place))

    def referrers(self, ref: Reference, digest: Digest, artifact_type: str | None = None) -> list[Descriptor]:
        """The manifests whose subject is ``digest``, by the referrers API or, without it, the fallback tag."""
        return self._read(ref, lambda place: self._referrers(place, digest, artifact_type))

    # Writing

    def put_manifest(self, ref: Reference, data: bytes, media_type: str) -> Digest:
        """Push a manifest under the tag of ``ref``, else under its digest; returns the digest. Idempotent.

        A subject is made findable also on registries without the referrers API.
        """
        digest = Digest.of(data)
        if ref.digest and ref.digest != digest:
            raise DigestMismatch(f"The manifest to push as {ref} has another digest", why=f"it is {digest}")
        identifier = ref.tag or (str(digest) if ref.digest else ref.identifier)
        what = f"The manifest cannot be pushed as {ref}"
        path = f"/v2/{ref.repository}/manifests/{identifier}"
        answer = self._session.request(
            "PUT", Access.push(ref), path, what=what, headers={"Content-Type": media_type}, body=data
        )
        if answer.status not in (200, 201, 202, 204):
            self._forget_blobs(ref)  # the registry may have lost some since they were seen there
            raise answer.error(what)
        said, has_referrers = answer.header("docker-content-digest"), answer.header("oci-subject") is not None
        answer.drain()
        if said and said != str(digest):
            raise DigestMismatch(what, why=f"the registry says its digest is {said}, sent was {digest}")
        self._keep_manifest(ref, digest, data, media_type)
        if not has_referrers:
            self._list_by_tag(ref, data, media_type)
        return digest

    def push_blob(
        self, ref: Reference, descriptor: Descriptor, open: Open, mount_from: Reference | None = None
    ) -> Pushed:
        """Make the repository have a blob: it is there, or mounted from another repository, or uploaded.

        ``open`` gives the stored bytes; it is called only when they must be sent, and again after a failure.
        """
        digest = descriptor.digest
        title = f"Push {digest.short} to {ref.name}"
        with self._lock:
            turn = self._pushing.setdefault((ref.name, digest), threading.Lock())
        with turn:  # an image may have one layer twice: the second waits and finds it there
            progress = BlobProgress(self._sink, f"push/{ref.repository}/{digest.short}", title, descriptor.size)
            try:
                result = self._push_blob(ref, descriptor, open, mount_from, progress)
            finally:
                progress.end(complete=False)
            self._learn(ref, digest)
            return result

    def can_push(self, ref: Reference) -> bool:
        """True when these credentials may write to the repository; raises when the registry cannot tell."""
        try:
            self.check_push(ref)
        except (Unauthorized, Denied, NotFound):
            return False
        return True

    def check_push(self, ref: Reference) -> None:
        """Return when these credentials may write to the repository, else raise why not; leaves nothing behind."""
        what = f"{ref.name} cannot be written to"
        access = Access.push(ref)
        path = f"/v2/{ref.repository}/blobs/uploads/"
        answer = self._session.request("POST", access, path, what=what, headers={"Content-Length": "0"})
        if answer.status not in (201, 202):
            raise answer.error(what)
        location = answer.header("location")
        answer.drain()
        if location:
            url = self._session.endpoint(ref.registry).resolve(location, answer.url)
            # Registries clear abandoned uploads themselves, and the right to write is already shown.
            with contextlib.suppress(RegistryError):
                self._session.once("DELETE", access, url, what=what).drain()

    def delete_manifest(self, ref: Reference) -> None:
        """Remove a manifest: by digest, it goes with all its tags; by tag, only where the registry can untag."""
        what = f"{ref} cannot be deleted"
        path = f"/v2/{ref.repository}/manifests/{ref.identifier}"
        answer = self._session.request("DELETE", Access.delete(ref), path, what=what)
        if answer.status in (200, 202, 204):
            answer.drain()
            with self._lock:
                if ref.digest:
                    self._manifests.pop((ref.name, ref.digest), None)
            return
        error = answer.error(what)
        if isinstance(error, Refused) and (answer.status == 405 or (answer.status == 400 and not ref.digest)):
            hint = (
                "it cannot delete by tag, or deletion is switched off" if not ref.digest else "deletion is switched off"
            )
            error.fix = f"The registry says no: {hint}. Delete by digest (NAME@sha256:…), or allow deletion there."
        raise error

    # The ways of one place

    def _read(self, ref: Reference, act: Callable[[Reference], T]) -> T:
        """``act`` on the first mirror that succeeds, else on the origin, whose failure is the one that counts."""
        *mirrors, origin = read_places(ref, self._settings.maps, self._settings.mirrors)
        for mirror in mirrors:
            if mirror.registry in self._broken_mirrors:
                continue
            try:
                return act(mirror)
            except (NotFound, Unauthorized, Denied) as error:
                self._sink.emit(Message(f"The mirror {mirror.registry} does not serve {ref}: {error}", level="debug"))
            except (RegistryError, DigestMismatch, BadDigest) as error:
                self._broken_mirrors.add(mirror.registry)
                text = f"The mirror {mirror.registry} fails and is left out from here on: {error}"
                self._sink.emit(Message(text, level="warning", code=error.code))
        return act(origin)

    def _manifest(self, ref: Reference, accept: tuple[str, ...]) -> tuple[bytes, str, Digest]:
        if ref.digest and (kept := self._manifests.get((ref.name, ref.digest))):
            return (*kept, ref.digest)
        what = f"{ref} cannot be read"
        path = f"/v2/{ref.repository}/manifests/{ref.identifier}"
        answer = self._session.request("GET", Access.pull(ref), path, what=what, headers={"Accept": ", ".join(accept)})
        if answer.status != 200:
            raise answer.error(what)
        said, content_type = answer.header("docker-content-digest"), answer.header("content-type") or ""
        data = answer.read(MANIFEST_LIMIT)
        if is_web_page(content_type, data):
            why = f"{ref.registry} answered with a web page, not a registry"
            raise NotARegistry(what, why=why, **answer.place)
        digest = _digest_as(ref.digest or (Digest.parse(said) if said else None), data)
        if ref.digest and digest != ref.digest:
            raise DigestMismatch(f"{ref.name} sent another manifest than asked for", why=f"it has the digest {digest}")
        if said and said != str(_digest_as(Digest.parse(said), data)):
            raise DigestMismatch(
                f"{ref} does not have the digest that its registry says", why=f"it says {said}, the bytes have {digest}"
            )
        media_type = content_type.partition(";")[0].strip()
        self._keep_manifest(ref, digest, data, media_type)
        return data, media_type, digest

    def _head(self, ref: Reference, accept: tuple[str, ...]) -> Descriptor:
        what = f"{ref} cannot be looked up"
        path = f"/v2/{ref.repository}/manifests/{ref.identifier}"
        answer = self._session.request("HEAD", Access.pull(ref), path, what=what, headers={"Accept": ", ".join(accept)})
        answer.drain()
        if answer.status == 404:
            raise answer.error(what)
        said, length = answer.header("docker-content-digest"), answer.header("content-length") or ""
        media_type = (answer.header("content-type") or "").partition(";")[0].strip()
        if answer.status == 200 and said and length.isdigit() and media_type and "html" not in media_type:
            digest = Digest.parse(said)
            if ref.digest and digest != ref.digest:
                raise DigestMismatch(f"{ref.name} names another manifest than asked for", why=f"it says {said}")
            return Descriptor(media_type, digest, int(length))
        # Some registries refuse HEAD or leave its headers out; and only a GET has a body that tells what is wrong.
        data, media_type, digest = self._manifest(ref, accept)
        return Descriptor(media_type, digest, len(data))

    def _open_blob(self, ref: Reference, descriptor: Descriptor) -> BinaryIO:
        digest = descriptor.digest
        what = f"Blob {digest.short} of {ref.name}"
        access, path = Access.pull(ref), _blob_path(ref, digest)

        def get(headers: dict[str, str]) -> Answer:
            return self._session.once("GET", access, path, what=what, headers=headers)

        patience = self._session.patience()
        answer = self._session.request("GET", access, path, what=what, patience=patience)
        if answer.status != 200:
            raise answer.error(f"{what} cannot be read")
        content_type = answer.header("content-type")
        if is_web_page(content_type, b"") and not descriptor.media_type.startswith("text/html"):
            why = f"{ref.registry} answered with a web page, not a registry"
            answer.close()
            raise NotARegistry(f"{what} cannot be read", why=why, **answer.place)
        progress = BlobProgress(
            self._sink, f"pull/{ref.repository}/{digest.short}", f"Pull {digest.short} from {ref.name}", descriptor.size
        )
        try:
            reader = BlobReader(descriptor, get, answer, patience, progress, what)
        except BaseException:
            progress.end(complete=False)
            raise
        return cast(BinaryIO, reader)

    def _push_blob(
        self,
        ref: Reference,
        descriptor: Descriptor,
        open: Open,
        mount_from: Reference | None,
        progress: BlobProgress,
    ) -> Pushed:
        digest = descriptor.digest
        if self.has_blob(ref, digest):
            progress.end(complete=True, reused=True, detail="already there")
            return "exists"
        what = f"Blob {digest.short} cannot be pushed to {ref.name}"
        location, min_chunk, access = None, None, Access.push(ref)
        source = self._mount_source(ref, mount_from)
        if source is not None:
            mounted, location, min_chunk = mount(self._session, ref, digest, source, what)
            if mounted:
                progress.end(complete=True, reused=True, detail=f"mounted from {source}")
                return "mounted"
            access = Access.push(ref, source) if location else access
        Upload(self._session, access, descriptor, open, progress, what).run(location, min_chunk)
        progress.end(complete=True, detail="uploaded")
        return "uploaded"

    def _mount_source(self, ref: Reference, mount_from: Reference | None) -> str | None:
        """The repository to mount from: another one of the same registry, as mapped and mirrored."""
        if mount_from is None:
            return None
        for place in (mount_from, *read_places(mount_from, self._settings.maps, self._settings.mirrors)):
            if place.registry == ref.registry and place.repository != ref.repository:
                return place.repository
        return None

    def _referrers(self, ref: Reference, digest: Digest, artifact_type: str | None) -> list[Descriptor]:
        try:
            found = list_referrers(self._session, ref, digest, artifact_type)
        except (NotFound, NotARegistry, Refused):
            found = self._fallback_referrers(ref, digest)
        return [item for item in found if artifact_type in (None, item.artifact_type)]

    def _fallback_referrers(self, ref: Reference, digest: Digest) -> list[Descriptor]:
        try:
            data, media_type, _ = self._manifest(fallback_tag(ref, digest), (mediatypes.OCI_INDEX,))
        except NotFound:
            return []
        return list(Index.parse(data, media_type).manifests)

    def _list_by_tag(self, ref: Reference, data: bytes, media_type: str) -> None:
        """List a manifest with a subject under the subject's tag, for a registry without the referrers API."""
        subject = subject_of(data)
        if subject is None:
            return
        own = as_referrer(data, media_type)
        listed = self._fallback_referrers(ref, subject)
        if own.digest not in {item.digest for item in listed}:
            index = Index.build(Dialect.OCI, [*listed, own])
            self.put_manifest(fallback_tag(ref, subject), index.raw, index.media_type)

    def _knows(self, ref: Reference, digest: Digest) -> bool:
        with self._lock:
            return (ref.name, digest) in self._blobs

    def _learn(self, ref: Reference, digest: Digest) -> None:
        with self._lock:
            self._blobs.add((ref.name, digest))

    def _forget_blobs(self, ref: Reference) -> None:
        with self._lock:
            self._blobs = {known for known in self._blobs if known[0] != ref.name}

    def _keep_manifest(self, ref: Reference, digest: Digest, data: bytes, media_type: str) -> None:
        with self._lock:
            while len(self._manifests) >= _REMEMBERED_MANIFESTS:
                self._manifests.pop(next(iter(self._manifests)))
            self._manifests[ref.name, digest] = (data, media_type)


def _blob_path(ref: Reference, digest: Digest) -> str:
    return f"/v2/{ref.repository}/blobs/{quote(str(digest), safe=':')}"


def _digest_as(like: Digest | None, data: bytes) -> Digest:
    """The digest of ``data`` in the algorithm of ``like`` (sha256 without one)."""
    if like is None:
        return Digest.of(data)
    total = like.hasher()
    total.update(data)
    return Digest(like.algorithm, total.hexdigest())
