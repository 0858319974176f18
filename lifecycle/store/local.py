"""The local store: where pylife keeps the images it built or pulled.

It is an OCI image layout, so every OCI tool reads it: ``skopeo inspect oci:STORE:demo:latest``. Beside the layout's
own files, the directory ``.pylife`` remembers what would be dear to find out again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lifecycle.errors import PylifeError
from lifecycle.oci import BadReference, Descriptor, Digest, Index, Manifest, Reference, mediatypes
from lifecycle.record import dataclass
from lifecycle.store.blobs import DiskBlobs, read_bytes
from lifecycle.store.errors import MissingBlob, StoreBusy, disk_errors, of_oserror
from lifecycle.store.layout import REF_NAME, Layout
from lifecycle.store.partial import locked, sweep, write_file


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a clean-up removed: counts, and bytes freed on disk."""

    blobs: int
    partial_files: int
    notes: int
    bytes: int


class LocalStore:
    """Images by name, over an OCI layout; safe with any number of processes, killed at any moment.

    Whoever adds blobs that no name refers to yet does so inside ``hold()``, which keeps ``gc`` away; a dead holder
    holds nothing. The key of an image is the familiar form of its reference (``demo:latest``,
    ``localhost:5000/app:latest``).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout.create(root)
        self.blobs: DiskBlobs = self.layout.blobs
        notes = root / ".pylife"
        self._layers, self._origins, self._lock = notes / "layers", notes / "origins", notes / "lock"
        with disk_errors(notes):
            self._layers.mkdir(parents=True, exist_ok=True)
            self._origins.mkdir(exist_ok=True)
            self._lock.touch()

    # -- names ---------------------------------------------------------------------------------------------------

    def get(self, ref: Reference) -> Descriptor | None:
        """The image of that name; a name with a digest finds any image of the repository that has it."""
        if ref.digest is None:
            return self.layout.find(_key(ref))
        for known, descriptor in self.items():
            if known.name == ref.name and descriptor.digest == ref.digest:
                return descriptor
        return None

    def put(self, ref: Reference, descriptor: Descriptor) -> None:
        """Give the image a name; its manifest must be here already."""
        if not self.blobs.has(descriptor.digest):
            raise MissingBlob(f"The manifest {descriptor.digest} of {ref.familiar} is not in the store")
        self.layout.tag(_key(ref), descriptor)

    def remove(self, ref: Reference) -> bool:
        """Forget the name; True when it was there. ``gc`` frees what nothing else uses."""
        return self.layout.untag(_key(ref))

    def items(self) -> list[tuple[Reference, Descriptor]]:
        """Every named image, sorted by name."""
        found = []
        for descriptor in self.layout.index().manifests:
            with suppress(BadReference):  # a name that another tool put into the layout
                found.append((Reference.parse(descriptor.annotations.get(REF_NAME, "")), descriptor))
        return sorted(found, key=lambda item: str(item[0]))

    # -- what is remembered --------------------------------------------------------------------------------------

    def recall(self, diff_id: Digest, profile: str | None = None) -> Descriptor | None:
        """The stored form of a layer, made with that compression profile (or any), if its blob is still here."""
        name = _file_name(diff_id)
        notes = [self._layers / f"{name}.{profile}"] if profile else sorted(self._layers.glob(f"{name}.*"))
        for path in notes:
            descriptor = _read_descriptor(path)
            if descriptor and self.blobs.size(descriptor.digest) == descriptor.size:
                return descriptor
        return None

    def remember(self, diff_id: Digest, profile: str, descriptor: Descriptor) -> None:
        """Note that the layer ``diff_id`` is stored as ``descriptor``, compressed with ``profile``."""
        note = json.dumps(descriptor.with_annotations({}).to_json()).encode()
        write_file(self._layers / f"{_file_name(diff_id)}.{profile}", note)

    def origin(self, digest: Digest) -> Reference | None:
        """A repository that has the blob, so that it can be mounted or fetched from there."""
        with suppress(FileNotFoundError, BadReference):
            return Reference.parse((self._origins / _file_name(digest)).read_text())
        return None

    def note_origin(self, digest: Digest, repository: Reference) -> None:
        """Note that ``repository`` has the blob."""
        path, text = self._origins / _file_name(digest), repository.name.encode()
        if not path.exists() or path.read_bytes() != text:
            write_file(path, text)

    # -- cleaning ------------------------------------------------------------------------------------------------

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep ``gc`` away for the length of the block; any number may hold at once."""
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock, shared=True))
            except OSError as error:
                raise of_oserror(error, self._lock) from error
            yield

    def gc(self, also: Callable[[], Iterable[Digest]] = tuple) -> GcReport:
        """Remove the blobs that no image refers to, what killed writers left, and notes about what is gone.

        ``also`` names blobs that something else needs; it is asked when nobody holds the store any more.

        Raises StoreBusy when someone holds the store, and BadDocument, removing nothing, when a manifest cannot be
        read: what it refers to would be lost.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock, wait=False))
            except BlockingIOError as error:
                raise StoreBusy(f"The store {self.root} is in use by another pylife") from error
            except OSError as error:
                raise of_oserror(error, self._lock) from error
            stack.enter_context(self.layout.locked())
            return self._collect(also)

    def _collect(self, also: Callable[[], Iterable[Digest]]) -> GcReport:
        used = self._used()
        used.update(also())
        blobs = notes = freed = 0
        for digest in self.blobs.digests():
            if digest not in used:
                freed += self.blobs.delete(digest)
                blobs += 1
        for path in self._layers.glob("sha*"):
            descriptor = _read_descriptor(path)
            if descriptor is None or not self.blobs.has(descriptor.digest):
                path.unlink(missing_ok=True)
                notes += 1
        wanted = {_file_name(digest) for digest in used}
        for path in self._origins.glob("sha*"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)
                notes += 1
        swept = [sweep(place) for place in (self.root, self._layers, self._origins)]
        return GcReport(blobs, sum(count for count, _ in swept), notes, freed + sum(size for _, size in swept))

    def _used(self) -> set[Digest]:
        used: set[Digest] = set()
        waiting = list(self.layout.index().manifests)
        while waiting:
            descriptor = waiting.pop()
            if descriptor.digest in used:
                continue
            used.add(descriptor.digest)
            if not self.blobs.has(descriptor.digest):
                continue  # an index may name platforms that were not fetched
            raw = read_bytes(self.blobs, descriptor.digest)
            if descriptor.media_type in mediatypes.INDEXES:
                waiting += Index.parse(raw, descriptor.media_type).manifests
            elif descriptor.media_type in mediatypes.MANIFESTS:
                manifest = Manifest.parse(raw, descriptor.media_type)
                used.update(item.digest for item in (manifest.config, *manifest.layers))
        return used


def _key(ref: Reference) -> str:
    return ref.with_default_tag().familiar


def _file_name(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}"


def _read_descriptor(path: Path) -> Descriptor | None:
    """The descriptor in a note; None when the note is gone or damaged, which costs only time."""
    try:
        return Descriptor.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, PylifeError):
        return None
