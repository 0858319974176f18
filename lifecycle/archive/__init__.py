"""One tar entry as a value; writing, reading, walking, compressing and unpacking archives of them.

What is exported here loads when it is first asked for: neither isal nor zstd comes with ``import lifecycle.archive``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.archive.compress import LayerSink, LayerSums, Profile, decompress, tar_digest
    from lifecycle.archive.directory import cnb_dir_members, walk
    from lifecycle.archive.entry import EPOCH_1980, Content, Entry, Kind, Member, SupportsWrite
    from lifecycle.archive.extraction import Extracted, Ownership, Whiteouts, extract
    from lifecycle.archive.limits import Limits
    from lifecycle.archive.reader import read_tar
    from lifecycle.archive.slices import cnb_slice_members
    from lifecycle.archive.writer import OnDisk, TarStyle, TarWriter, write_tar

__getattr__ = exports(
    __name__,
    {
        "compress": ("LayerSink", "LayerSums", "Profile", "decompress", "tar_digest"),
        "entry": ("EPOCH_1980", "Content", "Entry", "Kind", "Member", "SupportsWrite"),
        "extraction": ("Extracted", "Ownership", "Whiteouts", "extract"),
        "limits": ("Limits",),
        "reader": ("read_tar",),
        "slices": ("cnb_slice_members",),
        "directory": ("cnb_dir_members", "walk"),
        "writer": ("OnDisk", "TarStyle", "TarWriter", "write_tar"),
    },
)

__all__ = [
    "EPOCH_1980",
    "Content",
    "Entry",
    "Extracted",
    "Kind",
    "LayerSink",
    "LayerSums",
    "Limits",
    "Member",
    "OnDisk",
    "Ownership",
    "Profile",
    "SupportsWrite",
    "TarStyle",
    "TarWriter",
    "Whiteouts",
    "cnb_dir_members",
    "cnb_slice_members",
    "decompress",
    "extract",
    "read_tar",
    "tar_digest",
    "walk",
    "write_tar",
]
