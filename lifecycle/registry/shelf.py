"""Where ``pylife registry serve`` keeps things: a folder of blobs, and per repository what belongs to it.

``blobs/sha256/<hex>`` holds bytes once; ``repositories/<name>/_blobs/<alg>-<hex>`` says that a repository has them,
``_manifests/<alg>-<hex>`` holds a manifest's media type, ``_tags/<tag>`` a digest. Everything appears by rename.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from lifecycle.oci import BadDigest, Digest


class Incoming:
    """One upload in progress: a growing file and the sha256 of what is in it."""

    def __init__(self, repository: str, path: Path) -> None:
        self.repository = repository
        self.path = path
        self.size = 0
        self.lock = threading.Lock()
        self._hash = hashlib.sha256()
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed with the upload

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def digest(self, like: Digest) -> Digest:
        """The digest of everything written, in the algorithm of ``like``."""
        if like.algorithm == "sha256":
            return Digest("sha256", self._hash.hexdigest())
        with open(self.path, "rb") as stream:
            return Digest(like.algorithm, hashlib.file_digest(stream, like.algorithm).hexdigest())

    def close(self) -> None:
        self._file.close()


class Shelf:
    """The content of a registry, in ``folder``. Safe to use from many threads of one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming: dict[str, Incoming] = {}
        (folder / "incoming").mkdir(parents=True, exist_ok=True)
        for leftover in (folder / "incoming").iterdir():
            leftover.unlink()

    def blob_path(self, digest: Digest) -> Path:
        return self.folder / "blobs" / digest.algorithm / digest.hex

    def has_blob(self, repository: str, digest: Digest) -> bool:
        return self._mark(repository, "_blobs", digest).exists()

    def link_blob(self, repository: str, digest: Digest) -> None:
        """Make a stored blob part of a repository."""
        _write(self._mark(repository, "_blobs", digest), b"")

    def unlink_blob(self, repository: str, digest: Digest) -> bool:
        """Take a blob out of a repository; False when it was not there."""
        return _remove(self._mark(repository, "_blobs", digest))

    def begin(self, repository: str) -> str:
        """The name of a new upload."""
        name = secrets.token_hex(16)
        self._incoming[name] = Incoming(repository, self.folder / "incoming" / name)
        return name

    def incoming(self, repository: str, name: str) -> Incoming | None:
        found = self._incoming.get(name)
        return found if found and found.repository == repository else None

    def abandon(self, name: str) -> None:
        """Forget an upload."""
        if found := self._incoming.pop(name, None):
            found.close()
            _remove(found.path)

    def finish(self, name: str, digest: Digest) -> bool:
        """Turn an upload into a blob of its repository; False when its bytes have another digest, and it is gone."""
        found = self._incoming[name]
        if found.digest(digest) != digest:
            self.abandon(name)
            return False
        target = self.blob_path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        del self._incoming[name]
        found.close()
        os.replace(found.path, target)
        self.link_blob(found.repository, digest)
        return True

    def put_manifest(self, repository: str, data: bytes, digest: Digest, media_type: str, tag: str | None) -> None:
        _write(self.blob_path(digest), data)
        _write(self._mark(repository, "_manifests", digest), media_type.encode())
        if tag is not None:
            _write(self._tag(repository, tag), str(digest).encode())

    def manifest(self, repository: str, identifier: str) -> tuple[Digest, str, bytes] | None:
        """Digest, media type and bytes of what a tag or a digest names in a repository."""
        try:
            digest = Digest.parse(identifier if ":" in identifier else self._tag(repository, identifier).read_text())
            media_type = self._mark(repository, "_manifests", digest).read_text()
            return digest, media_type, self.blob_path(digest).read_bytes()
        except (FileNotFoundError, BadDigest):
            return None

    def manifests(self, repository: str) -> Iterator[tuple[Digest, str, bytes]]:
        """Every manifest of a repository, by digest."""
        folder = self.folder / "repositories" / repository / "_manifests"
        for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
            if found := self.manifest(repository, name.replace("-", ":", 1)):
                yield found

    def delete_manifest(self, repository: str, digest: Digest) -> bool:
        """Remove a manifest and the tags that name it; False when it was not there."""
        for tag in self.tags(repository) or ():
            found = self._tag(repository, tag)
            if found.read_text() == str(digest):
                _remove(found)
        return _remove(self._mark(repository, "_manifests", digest))

    def delete_tag(self, repository: str, tag: str) -> bool:
        """Remove a tag alone; False when it was not there."""
        return _remove(self._tag(repository, tag))

    def tags(self, repository: str) -> list[str] | None:
        """The tags of a repository, sorted; None when there is no such repository."""
        folder = self.folder / "repositories" / repository
        if not folder.is_dir():
            return None
        return sorted(os.listdir(folder / "_tags")) if (folder / "_tags").is_dir() else []

    def repositories(self) -> list[str]:
        """The names of all repositories, sorted."""
        root = self.folder / "repositories"
        found = {str(path.parent.relative_to(root)) for path in root.glob("**/_*") if path.is_dir()}
        return sorted(found)

    def close(self) -> None:
        """Forget all uploads."""
        for name in list(self._incoming):
            self.abandon(name)

    def _mark(self, repository: str, kind: str, digest: Digest) -> Path:
        return self.folder / "repositories" / repository / kind / f"{digest.algorithm}-{digest.hex}"

    def _tag(self, repository: str, tag: str) -> Path:
        return self.folder / "repositories" / repository / "_tags" / tag


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix="._")
    with open(descriptor, "wb") as out:
        out.write(data)
    os.replace(temporary, path)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
