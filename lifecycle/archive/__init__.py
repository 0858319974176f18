"""One tar entry as a value; writing, reading, walking, compressing and unpacking archives of them.

What is exported here loads when it is first asked for: neither isal nor zstd comes with ``import lifecycle.archive``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.archive.compress import LayerSink, LayerSums, Profile, decompress, tar_digest
    from lifecycle.archive.directory import cnb_dir_members, walk
    from lifecycle.archive.entry import EPOCH_1980, Content, Entry, Kind, Member, SupportsWrite
    from lifecycle.archive.extraction import Extracted, Ownership, Whiteouts, extract
    from lifecycle.archive.limits import Limits
    from lifecycle.archive.reader import read_tar
    from lifecycle.archive.slices import cnb_slice_members
    from lifecycle.archive.writer import OnDisk, TarStyle, TarWriter, write_tar

_HOMES = {
    "compress": ("LayerSink", "LayerSums", "Profile", "decompress", "tar_digest"),
    "entry": ("EPOCH_1980", "Content", "Entry", "Kind", "Member", "SupportsWrite"),
    "extraction": ("Extracted", "Ownership", "Whiteouts", "extract"),
    "limits": ("Limits",),
    "reader": ("read_tar",),
    "slices": ("cnb_slice_members",),
    "directory": ("cnb_dir_members", "walk"),
    "writer": ("OnDisk", "TarStyle", "TarWriter", "write_tar"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> object:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
