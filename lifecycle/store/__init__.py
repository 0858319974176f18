"""Where images are kept: content-addressed blobs, OCI layouts, image archives, the local store."""

from lifecycle.store.blobs import (
    BlobReader,
    BlobStore,
    BlobWriter,
    DiskBlobs,
    MemoryBlobs,
    copy_blob,
    put_bytes,
    read_bytes,
    verifying,
)
from lifecycle.store.errors import BadArchive, DiskFull, MissingBlob, NoAccess, NotALayout, StoreBusy
from lifecycle.store.layout import Layout
from lifecycle.store.local import GcReport, LocalStore
from lifecycle.store.partial import Partial

__all__ = [
    "BadArchive",
    "BlobReader",
    "BlobStore",
    "BlobWriter",
    "DiskBlobs",
    "DiskFull",
    "GcReport",
    "Layout",
    "LocalStore",
    "MemoryBlobs",
    "MissingBlob",
    "NoAccess",
    "NotALayout",
    "Partial",
    "StoreBusy",
    "copy_blob",
    "put_bytes",
    "read_bytes",
    "verifying",
]
