"""Where images can be put: blobs, documents, and last the name, behind one protocol, whatever the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from lifecycle.archive.entry import Entry, Kind
from lifecycle.archive.writer import TarWriter
from lifecycle.image.ports import Registry
from lifecycle.oci import Descriptor, Reference, mediatypes
from lifecycle.store import DiskBlobs, Layout, LocalStore, Partial, copy_blob
from lifecycle.store.blobs import put_bytes, verifying
from lifecycle.store.dir import FlatDirectory
from lifecycle.store.layout import INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION, index_entry
from lifecycle.store.partial import sweep

Put = Literal["sent", "mounted", "present"]
Opener = Callable[[], BinaryIO]


class Destination(Protocol):
    """One image being put somewhere: first its blobs, then its documents, members before the index, last ``finish``.

    What was put becomes an image only with ``finish``. Used as a context manager; leaving it otherwise leaves no
    image behind, at most blobs that the next attempt finds.
    """

    parallel: bool
    """Whether several blobs may be put at once, from several threads."""

    def has(self, top: Descriptor) -> bool:
        """Whether this very image is there already under its name, as far as one look tells."""
        ...

    def put_blob(self, descriptor: Descriptor, open_blob: Opener, origin: Reference | None) -> Put: ...

    def put_document(self, descriptor: Descriptor, raw: bytes, *, top: bool) -> None: ...

    def finish(self, top: Descriptor) -> None: ...

    def __enter__(self) -> Destination: ...

    def __exit__(self, *_: object) -> None: ...


class _Plain:
    """A destination that needs nothing undone."""

    def has(self, top: Descriptor) -> bool:
        return False

    def __enter__(self) -> Destination:
        return self  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        return None


def _put_on_disk(blobs: DiskBlobs, descriptor: Descriptor, open_blob: Opener) -> Put:
    if blobs.size(descriptor.digest) == descriptor.size:
        return "present"
    copy_blob(open_blob(), blobs, descriptor.digest)
    return "sent"


class StoreDestination(_Plain):
    """The local store, under a name. With ``lazy``, layers that a registry has stay there and are noted."""

    parallel = True

    def __init__(self, store: LocalStore, ref: Reference, *, lazy: bool = False) -> None:
        self._store = store
        self._ref = ref
        self._lazy = lazy

    def put_blob(self, descriptor: Descriptor, open_blob: Opener, origin: Reference | None) -> Put:
        if origin is not None and mediatypes.is_layer(descriptor.media_type):
            self._store.note_origin(descriptor.digest, origin)
            if self._lazy:
                return "present"
        return _put_on_disk(self._store.blobs, descriptor, open_blob)

    def put_document(self, descriptor: Descriptor, raw: bytes, *, top: bool) -> None:
        put_bytes(self._store.blobs, raw)

    def finish(self, top: Descriptor) -> None:
        self._store.put(self._ref, top)


class LayoutDestination(_Plain):
    """An OCI layout directory, under a tag or as its unnamed image; safe with others writing there."""

    parallel = True

    def __init__(self, root: Path, tag: str | None) -> None:
        self._layout = Layout.create(root)
        self._tag = tag
        sweep(root)

    def put_blob(self, descriptor: Descriptor, open_blob: Opener, origin: Reference | None) -> Put:
        return _put_on_disk(self._layout.blobs, descriptor, open_blob)

    def put_document(self, descriptor: Descriptor, raw: bytes, *, top: bool) -> None:
        put_bytes(self._layout.blobs, raw)

    def finish(self, top: Descriptor) -> None:
        self._layout.tag(self._tag, top)


class DirDestination(_Plain):
    """A ``dir:`` directory; an older image there is replaced, its blobs stay."""

    parallel = True

    def __init__(self, root: Path) -> None:
        self._directory = FlatDirectory.create(root)
        self._top: tuple[Descriptor, bytes] | None = None

    def put_blob(self, descriptor: Descriptor, open_blob: Opener, origin: Reference | None) -> Put:
        return _put_on_disk(self._directory, descriptor, open_blob)

    def put_document(self, descriptor: Descriptor, raw: bytes, *, top: bool) -> None:
        if top:
            self._top = descriptor, raw
        else:
            self._directory.put_manifest(descriptor, raw, top=False)

    def finish(self, top: Descriptor) -> None:
        assert self._top is not None
        self._directory.put_manifest(*self._top, top=True)


class ArchiveDestination:
    """An OCI layout in one tar file, written beside it and renamed: same image, same bytes."""

    parallel = False

    def __init__(self, path: Path, tag: str | None) -> None:
        self._path = path
        self._tag = tag
        sweep(path.parent)
        self._partial = Partial(path.parent)
        self._tar = TarWriter(self._partial)
        for name in (b"blobs", b"blobs/sha256"):
            self._tar.add(Entry(name, Kind.DIR, 0o755))

    def has(self, top: Descriptor) -> bool:
        return False

    def put_blob(self, descriptor: Descriptor, open_blob: Opener, origin: Reference | None) -> Put:
        entry = Entry(_member(descriptor), Kind.FILE, 0o644, size=descriptor.size)
        self._tar.add(entry, lambda: _whole(open_blob(), descriptor))
        return "sent"

    def put_document(self, descriptor: Descriptor, raw: bytes, *, top: bool) -> None:
        self._tar.add(Entry(_member(descriptor), Kind.FILE, 0o644, size=len(raw)), raw)

    def finish(self, top: Descriptor) -> None:
        index = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [index_entry(self._tag, top)]}
        for name, data in (
            (LAYOUT_FILE, LAYOUT_VERSION),
            (INDEX_FILE, json.dumps(index, separators=(",", ":"), ensure_ascii=False).encode()),
        ):
            self._tar.add(Entry(name.encode(), Kind.FILE, 0o644, size=len(data)), data)
        self._tar.finish()
        self._partial.keep(self._path)

    def __enter__(self) -> Destination:
        return self

    def __exit__(self, *_: object) -> None:
        self._partial.discard()


class RegistryDestination(_Plain):
    """A repository of a registry. Layers it may have already are asked for or mounted before they are sent."""

    parallel = True

    def __init__(self, registry: Registry, ref: Reference) -> None:
        self._registry = registry
        self._ref = ref

    def has(self, top: Descriptor) -> bool:
        # A registry takes a manifest only when it has all that the manifest names.
        found = self._registry.head(self._ref.with_default_tag())
        return found is not None and found.digest == top.digest

    def put_blob(self, descriptor: Descriptor, open_blob: Opener, origin: Reference | None) -> Put:
        done = self._registry.push_blob(self._ref, descriptor, open_blob, origin)
        return {"exists": "present", "mounted": "mounted", "uploaded": "sent"}[done]  # type: ignore[return-value]

    def put_document(self, descriptor: Descriptor, raw: bytes, *, top: bool) -> None:
        ref = self._ref if top else self._ref.with_digest(descriptor.digest)
        self._registry.put_manifest(ref.with_default_tag(), raw, descriptor.media_type)

    def finish(self, top: Descriptor) -> None:
        return None  # the top document carried the tag


def _whole(stream: BinaryIO, descriptor: Descriptor) -> BinaryIO:
    """``stream``, failing before its last byte is given when it is not the blob: the archive's writer reads no
    further than the size announced, where a reader that checks at the end would not get to it."""
    return verifying(stream, descriptor.digest, descriptor.size)


def _member(descriptor: Descriptor) -> bytes:
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}".encode()
