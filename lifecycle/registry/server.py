"""A small registry: ``pylife registry serve``, and what the tests talk to.

Speaks the whole distribution protocol: pull, push (whole, in chunks, by mount), tags, referrers, deletion.
Source: OCI distribution-spec v1.1.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import tempfile
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lifecycle.oci import BadDigest, Descriptor, Digest, mediatypes
from lifecycle.oci.errors import BadDocument
from lifecycle.registry.exchange import Exchange
from lifecycle.registry.gate import BearerGate, Gate
from lifecycle.registry.listing import as_referrer, subject_of
from lifecycle.registry.shelf import Incoming, Shelf

MANIFEST_LIMIT = 4 << 20
_TURN_SECONDS = 10.0
_BLOCK = 256 * 1024
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = rf"(?P<name>{_PART}(?:/{_PART})*)"  # no empty parts and no "..": names become folders
_WHOLE_NAME = re.compile(_NAME)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d+)-(\d+)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_ROUTES = (
    ("base", re.compile(r"/v2/?")),
    ("catalog", re.compile(r"/v2/_catalog")),
    ("token", re.compile(r"/token")),
    ("uploads", re.compile(rf"/v2/{_NAME}/blobs/uploads/?")),
    ("upload", re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<id>[0-9a-f]+)")),
    ("blob", re.compile(rf"/v2/{_NAME}/blobs/(?P<id>[^/]+)")),
    ("manifest", re.compile(rf"/v2/{_NAME}/manifests/(?P<id>[^/]+)")),
    ("tags", re.compile(rf"/v2/{_NAME}/tags/list")),
    ("referrers", re.compile(rf"/v2/{_NAME}/referrers/(?P<id>[^/]+)")),
)


class RegistryServer:
    """A registry on ``host:port`` (0 picks a free one), its content in ``folder`` or, without one, until it closes.

    Use as a context manager to serve from a thread, or call ``serve_forever``.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        gate: Gate | None = None,
        tls: ssl.SSLContext | None = None,
        handler: type[RegistryHandler] | None = None,
    ) -> None:
        # The port first: when it is taken, nothing is made and no other server's folder is touched.
        served = type("Handler", (handler or RegistryHandler,), {"registry": self})
        self._http = (_Server6 if ":" in host else _Server)((host, port), served)
        self._http.tls = tls
        self._scheme = "https" if tls else "http"
        self._temporary = Path(tempfile.mkdtemp(prefix="pylife-registry-")) if folder is None else None
        self.shelf = Shelf(folder or self._temporary or Path())
        self.gate = gate
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """``host:port``, as an image name has it."""
        host, port = self._http.server_address[:2]
        text = host.decode() if isinstance(host, bytes | bytearray) else str(host)
        return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.address}"

    def serve_forever(self, poll: float = 0.5) -> None:
        """Serve until ``close`` is called from another thread, which takes up to ``poll`` seconds."""
        self._http.serve_forever(poll_interval=poll)

    def close(self) -> None:
        """Stop serving; a registry without a folder forgets everything."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self.shelf.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> RegistryServer:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="registry", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RegistryHandler(Exchange):
    """The routes of the distribution protocol."""

    registry: RegistryServer

    def do_GET(self) -> None:
        try:
            self.begin()
            if not self.admit():
                return
            path = unquote(urlsplit(self.path).path)
            for route, pattern in _ROUTES:
                if match := pattern.fullmatch(path):
                    parts = match.groupdict()
                    if route == "token" or self._let_in(parts.get("name", "")):
                        getattr(self, f"_on_{route}")(parts.get("name", ""), parts.get("id", ""))
                    return
            self.refuse(404, "NOT_FOUND")
        except BadDigest as error:
            self.refuse(400, "DIGEST_INVALID", str(error))
        except ValueError:  # of a Content-Length, a chunk's size or a form
            self.close_connection = True
            self.refuse(400, "UNSUPPORTED", "the request is malformed")
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET

    def _let_in(self, name: str) -> bool:
        if self.registry.gate is None:
            return True
        actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(self.command, "push")
        wanted = frozenset({actions} if name and "/uploads/" not in self.path else {"push"} if name else ())
        authorization = self.headers.get("Authorization")
        challenge = self.registry.gate.challenge(authorization, name, wanted, self.registry.url)
        if challenge is not None:
            self.refuse(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})
        return challenge is None

    def _on_base(self, name: str, id: str) -> None:
        self.answer_json({}, {"Docker-Distribution-Api-Version": "registry/2.0"})

    def _on_catalog(self, name: str, id: str) -> None:
        self.answer_json({"repositories": self.registry.shelf.repositories()})

    def _on_token(self, name: str, id: str) -> None:
        gate = self.registry.gate
        if not isinstance(gate, BearerGate):
            return self.refuse(404, "NOT_FOUND")
        form = self.body(MANIFEST_LIMIT) if self.command == "POST" else None
        found = gate.issue(
            urlsplit(self.path).query, self.headers.get("Authorization"), form.decode() if form is not None else None
        )
        if found is None:
            return self.refuse(401, "UNAUTHORIZED", "wrong credentials", {"WWW-Authenticate": "Basic"})
        return self.answer_json(found)

    def _on_uploads(self, name: str, id: str) -> None:
        if self.command != "POST":
            return self.refuse(405, "UNSUPPORTED")
        shelf = self.registry.shelf
        mount = self.query("mount")
        if mount:
            digest, source = Digest.parse(mount), self.query("from")
            if _WHOLE_NAME.fullmatch(source) and self.may_mount(source) and shelf.has_blob(source, digest):
                shelf.link_blob(name, digest)
                return self._created_blob(name, digest)
        upload = shelf.begin(name)
        if self.query("digest"):
            return self._complete(name, upload)
        self.body(MANIFEST_LIMIT)
        return self._accepted(name, upload, 0)

    def may_mount(self, source: str) -> bool:
        """True when who asks may read the repository that a blob is to be mounted from."""
        gate = self.registry.gate
        authorization = self.headers.get("Authorization")
        return gate is None or gate.challenge(authorization, source, frozenset({"pull"}), self.registry.url) is None

    def _on_upload(self, name: str, id: str) -> None:
        shelf = self.registry.shelf
        incoming = shelf.incoming(name, id)
        if incoming is None:
            return self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        match self.command:
            case "GET":
                return self._accepted(name, id, incoming.size, 204)
            case "DELETE":
                shelf.abandon(id)
                return self.answer(204)
            case "PUT":
                return self._complete(name, id)
            case "PATCH":
                if self._append(incoming):
                    self._accepted(name, id, incoming.size)
                return None
        return self.refuse(405, "UNSUPPORTED")

    def _on_blob(self, name: str, id: str) -> None:
        digest = Digest.parse(id)
        shelf = self.registry.shelf
        if not shelf.has_blob(name, digest):
            return self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self.command == "DELETE":
            shelf.unlink_blob(name, digest)
            return self.answer(202)
        with open(shelf.blob_path(digest), "rb") as file:
            size = file.seek(0, 2)
            headers = {
                "Content-Type": "application/octet-stream",
                "Docker-Content-Digest": str(digest),
                "Accept-Ranges": "bytes",
            }
            start, end, status = 0, size, 200
            if self.command == "GET" and (wanted := _RANGE.fullmatch(self.headers.get("Range", ""))):
                start, end, status = int(wanted[1]), min(size, int(wanted[2] or size) + 1), 206
                if start >= size or end <= start:
                    return self.refuse(416, "RANGE_INVALID", headers={"Content-Range": f"bytes */{size}"})
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            self.head_of_answer(status, {**headers, "Content-Length": str(end - start)})
            if self.command == "GET":
                self.send_file(file, start, end - start)
        return None

    def _on_manifest(self, name: str, id: str) -> None:
        shelf = self.registry.shelf
        if ":" in id:
            Digest.parse(id)
        elif not _TAG.fullmatch(id):
            return self.refuse(400 if self.command == "PUT" else 404, "TAG_INVALID", f"{id!r} is not a tag")
        if self.command == "PUT":
            return self._put_manifest(name, id)
        if self.command == "DELETE":
            gone = shelf.delete_manifest(name, Digest.parse(id)) if ":" in id else shelf.delete_tag(name, id)
            return self.answer(202) if gone else self.refuse(404, "MANIFEST_UNKNOWN")
        found = shelf.manifest(name, id)
        if found is None:
            return self.refuse(404, "MANIFEST_UNKNOWN", f"manifest unknown: {id}")
        digest, media_type, data = found
        return self.answer(200, {"Content-Type": media_type, "Docker-Content-Digest": str(digest)}, data)

    def _put_manifest(self, name: str, id: str) -> None:
        data = self.body(MANIFEST_LIMIT)
        if data is None:
            return self.refuse(413, "SIZE_INVALID", f"a manifest may have {MANIFEST_LIMIT} bytes")
        tag = None if ":" in id else id
        digest = Digest.of(data) if tag is not None else Digest.parse(id)
        total = digest.hasher()
        total.update(data)
        if total.hexdigest() != digest.hex:
            return self.refuse(400, "DIGEST_INVALID", f"the manifest has the digest {Digest.of(data)}")
        try:
            missing = self._missing(name, data)
            subject = subject_of(data)
        except (BadDocument, ValueError) as error:
            return self.refuse(400, "MANIFEST_INVALID", str(error))
        if missing is not None:
            return self.refuse(404, "MANIFEST_BLOB_UNKNOWN", f"the repository does not have {missing}")
        self.registry.shelf.put_manifest(name, data, digest, self.headers.get("Content-Type", ""), tag)
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": str(digest)}
        return self.answer(201, {**headers, "OCI-Subject": str(subject)} if subject else headers)

    def _missing(self, name: str, data: bytes) -> Digest | None:
        """The first blob that a manifest names and its repository does not have."""
        document = json.loads(data)
        if not isinstance(document, dict):
            raise BadDocument("A manifest must be a JSON object")
        named = [document["config"]] if isinstance(document.get("config"), dict) else []
        for item in (*named, *(document.get("layers") or ())):
            wanted = Descriptor.from_json(item)
            if not wanted.urls and not self.registry.shelf.has_blob(name, wanted.digest):
                return wanted.digest
        return None

    def _on_tags(self, name: str, id: str) -> None:
        tags = self.registry.shelf.tags(name)
        if tags is None:
            return self.refuse(404, "NAME_UNKNOWN", f"no repository {name}")
        if last := self.query("last"):
            tags = [tag for tag in tags if tag > last]
        count, headers = self.query("n"), {}
        if count and count.isdigit() and len(tags) > int(count):
            tags = tags[: int(count)]
            headers["Link"] = f'</v2/{name}/tags/list?n={count}&last={tags[-1] if tags else ""}>; rel="next"'
        return self.answer_json({"name": name, "tags": tags}, headers)

    def _on_referrers(self, name: str, id: str) -> None:
        wanted, kind = Digest.parse(id), self.query("artifactType")
        found = []
        for _, media_type, data in self.registry.shelf.manifests(name):
            if subject_of(data) == wanted:
                referrer = as_referrer(data, media_type)
                if kind in ("", referrer.artifact_type):
                    found.append(referrer.to_json())
        headers = {"OCI-Filters-Applied": "artifactType"} if kind else {}
        index = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": found}
        self.answer_json(index, headers, mediatypes.OCI_INDEX)

    # Parts

    def _complete(self, name: str, upload: str) -> None:
        shelf = self.registry.shelf
        digest = Digest.parse(self.query("digest"))
        incoming = shelf.incoming(name, upload)
        if incoming is None or not self._append(incoming):
            return None
        if not shelf.finish(upload, digest):
            return self.refuse(400, "DIGEST_INVALID", "the bytes have another digest")
        return self._created_blob(name, digest)

    def _append(self, incoming: Incoming) -> bool:
        """Add the request's body to an upload; False, and answered, when it does not begin where the upload ends.

        Another request may still be bringing what a broken connection left in the buffers: that comes first.
        """
        if not incoming.lock.acquire(timeout=_TURN_SECONDS):
            self.refuse(503, "UNAVAILABLE", "another request is writing to this upload")
            return False
        try:
            size = incoming.size
            match = _CONTENT_RANGE.fullmatch(self.headers.get("Content-Range", ""))
            if match and int(match[1]) != size:
                self.refuse(416, "RANGE_INVALID", f"the upload has {size} bytes", {"Range": f"0-{max(0, size - 1)}"})
                return False
            self.receive(incoming.write)
            return True
        finally:
            incoming.lock.release()

    def _accepted(self, name: str, upload: str, size: int, status: int = 202) -> None:
        location = f"/v2/{name}/blobs/uploads/{upload}"
        self.answer(status, {"Location": location, "Range": f"0-{max(0, size - 1)}", "Docker-Upload-UUID": upload})

    def _created_blob(self, name: str, digest: Digest) -> None:
        headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
        self.answer(201, headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[object, object]:  # type: ignore[override]
        connection, address = self.socket.accept()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        return None


class _Server6(_Server):
    address_family = socket.AF_INET6
