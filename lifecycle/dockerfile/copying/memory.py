"""What was read before: the digests of files known by their status, so that unchanged files are not read again.

Any number of processes may use one directory: files in it are only ever replaced whole, and one that is damaged counts
as absent. What cannot be written down (a full disk, a read-only home) is read again next time.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_MAGIC = b"pylife files 1\n\0"
_STATUS = struct.Struct("<QQQqqI")
_KEY, _RECORD = _STATUS.size, _STATUS.size + 32
_RACY = 2_000_000_000  # nanoseconds
_KEPT = {"files": 512, "selections": 4096, "manifests": 64}
_STALE = 3600  # seconds after which a half-written file has no writer any more


def status_key(status: os.stat_result) -> bytes:
    """What a file's content is known by: while this stays the same, so does the content."""
    return _STATUS.pack(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode
    )


class Shelf:
    """The digests of files that belong together (a context's): by ``status_key``, read from and kept in one file.

    A file whose status changed within two seconds before ``now`` (nanoseconds) is not remembered: it could change
    again without a trace in its times. Use it under its ``lock``.
    """

    def __init__(self, path: Path | None) -> None:
        self.lock = threading.Lock()
        self._path = path
        self._known = _load(path)
        self._used: set[bytes] = set()
        self._new = False

    def get(self, key: bytes) -> bytes | None:
        """The sha256 (32 bytes) of the file with this key."""
        found = self._known.get(key)
        if found is not None:
            self._used.add(key)
        return found

    def add(self, key: bytes, digest: bytes, changed: int, now: int) -> None:
        """Remember ``digest`` unless the status, of ``changed``, is too fresh to be trusted."""
        if changed < now - _RACY:
            self._known[key] = digest
            self._used.add(key)
            self._new = True

    def save(self) -> None:
        """Write down what is new. Of a shelf that holds mostly what was not asked for, the rest is dropped."""
        if self._path is None or not self._new:
            return
        kept = self._known
        if len(kept) > 4 * max(len(self._used), 5000):
            kept = {key: kept[key] for key in self._used}
        body = b"".join([key + digest for key, digest in kept.items()])
        _write(self._path, _MAGIC + sha256(body).digest() + body)
        self._new = False


class Memory:
    """All that is remembered beneath ``directory``. Safe to use from many threads and processes."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._shelves: dict[bytes, Shelf] = {}
        self._lock = threading.Lock()

    def shelf(self, identity: bytes) -> Shelf:
        """The shelf of the tree called ``identity``."""
        with self._lock:
            if identity not in self._shelves:
                self._shelves[identity] = Shelf(self._place("files", identity))
            return self._shelves[identity]

    def recall(self, slot: bytes, fingerprint: bytes) -> bytes | None:
        """The digest kept in ``slot`` if it was found for the same ``fingerprint`` (32 bytes each)."""
        path = self._place("selections", slot)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        whole = len(data) == 96 and sha256(data[:64]).digest() == data[64:]
        return data[32:64] if whole and data[:32] == fingerprint else None

    def keep(self, slot: bytes, fingerprint: bytes, digest: bytes) -> None:
        """Keep ``digest`` in ``slot``, in place of what was there."""
        if path := self._place("selections", slot):
            data = fingerprint + digest
            _write(path, data + sha256(data).digest())

    def files_of(self, digest: bytes) -> Mapping[str, str] | None:
        """What the selection of this digest consisted of: name → what it was; None when that is not known any more."""
        path = self._place("manifests", digest)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        sums, body = data[:32], data[32:]
        if sha256(body).digest() != sums:
            return None
        parts = body.decode("utf-8", "surrogateescape").split("\0")
        return dict(zip(parts[:-1:2], parts[1::2], strict=True))

    def keep_files(self, digest: bytes, files: Mapping[str, str]) -> None:
        """Keep what the selection of this digest consists of."""
        path = self._place("manifests", digest)
        if path is not None and not path.exists():
            text = "".join([f"{name}\0{state}\0" for name, state in files.items()])
            body = text.encode("utf-8", "surrogateescape")
            _write(path, sha256(body).digest() + body)

    def _place(self, kind: str, identity: bytes) -> Path | None:
        name = sha256(identity).hexdigest()[:32]
        return None if self._directory is None else self._directory / kind / name


def _load(path: Path | None) -> dict[bytes, bytes]:
    if path is None:
        return {}
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    start = len(_MAGIC) + 32
    body = data[start:]
    if data[: len(_MAGIC)] != _MAGIC or sha256(body).digest() != data[len(_MAGIC) : start]:
        return {}
    return {body[at : at + _KEY]: body[at + _KEY : at + _RECORD] for at in range(0, len(body), _RECORD)}


def _write(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, whole or not at all."""
    partial = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        _thin_out(path.parent)


def _thin_out(folder: Path) -> None:
    """Remove the oldest files of ``folder`` beyond its number, and what killed writers left."""
    found = list(os.scandir(folder))
    most = _KEPT[folder.name]
    if len(found) > most or any(entry.name.startswith(".") for entry in found):
        aged = sorted((entry.stat().st_mtime, entry.name) for entry in found if not entry.name.startswith("."))
        for _, name in aged[: max(0, len(aged) - most + most // 4)] if len(aged) > most else ():
            (folder / name).unlink(missing_ok=True)
        for entry in found:
            if entry.name.startswith(".") and entry.stat().st_mtime < time.time() - _STALE:
                (folder / entry.name).unlink(missing_ok=True)
