"""The ``dir:`` format of containers/image: one image in one flat directory, blobs named by their hex digits.

Source: containers/image, directory transport, version 1.1.
"""

from __future__ import annotations

from pathlib import Path

from lifecycle.oci import Descriptor, Digest, parse_document
from lifecycle.store.blobs import DiskBlobs
from lifecycle.store.errors import NotALayout, disk_errors, of_oserror
from lifecycle.store.partial import PREFIX, sweep, write_file

VERSION = b"Directory Transport Version: 1.1\n"
MANIFEST_FILE = "manifest.json"


class FlatDirectory(DiskBlobs):
    """A ``dir:`` directory. ``top`` is the image in it, None while it is being written.

    The manifest of the image is ``manifest.json``; those of an index's members are ``<hex>.manifest.json``.
    """

    def __init__(self, root: Path, top: Descriptor | None = None) -> None:
        super().__init__(root)
        self.top = top

    @classmethod
    def open_existing(cls, root: Path) -> FlatDirectory:
        """The image directory at ``root``; raises NotALayout when it is none."""
        try:
            raw = (root / MANIFEST_FILE).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotALayout(
                f"{root} holds no image",
                why="it has no manifest.json",
                fix="Name a directory that was written with dir:, by `skopeo copy … dir:DIR` or pylife.",
            ) from error
        except OSError as error:
            raise of_oserror(error, root) from error
        return cls(root, parse_document(raw).descriptor)

    @classmethod
    def create(cls, root: Path) -> FlatDirectory:
        """An image directory to write to; raises NotALayout when ``root`` holds something else."""
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            occupied = any(not path.name.startswith(PREFIX) for path in root.iterdir())
        if occupied and not (root / "version").exists():
            raise NotALayout(
                f"{root} is not empty and not an image directory",
                why="it has no file `version`",
                fix="Name an empty or absent directory, or one that was written with dir: before.",
            )
        sweep(root)
        write_file(root / "version", VERSION)
        return cls(root)

    def put_manifest(self, descriptor: Descriptor, raw: bytes, *, top: bool) -> None:
        """Keep a manifest or index: as the directory's own, or as that of an index's member."""
        write_file(self.root / (MANIFEST_FILE if top else f"{descriptor.digest.hex}.manifest.json"), raw)

    def path(self, digest: Digest) -> Path:
        if self.top is not None and digest == self.top.digest:
            return self.root / MANIFEST_FILE
        member = self.root / f"{digest.hex}.manifest.json"
        return member if member.exists() else self.root / digest.hex
