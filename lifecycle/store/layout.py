"""The OCI image layout: a directory that holds blobs and an index of named images.

Source: OCI image-spec v1.1, image-layout.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lifecycle.oci import BadDocument, Descriptor, Index, mediatypes
from lifecycle.store.blobs import DiskBlobs
from lifecycle.store.errors import NotALayout, disk_errors, of_oserror
from lifecycle.store.partial import Partial, locked, write_file

REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'

Entries = list[dict[str, Any]]


class Layout:
    """An OCI image layout directory.

    Readers need no lock: ``index.json`` is replaced whole. Writers take turns by an flock on the ``oci-layout`` file,
    which the kernel drops when its holder dies.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = DiskBlobs(root)

    @classmethod
    def create(cls, root: Path) -> Layout:
        """The layout at ``root``, made when there is none; several processes may do so at once."""
        layout = cls(root)
        marker = root / LAYOUT_FILE
        if not marker.exists():
            with disk_errors(root):
                (root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            with Partial(root) as partial:
                partial.write(LAYOUT_VERSION)
                partial.keep_if_absent(marker)  # another process may have been first
        if not (root / INDEX_FILE).exists():
            layout._edit(lambda entries: entries)
        return layout

    @classmethod
    def open(cls, root: Path) -> Layout:
        """The layout at ``root``; raises NotALayout when there is none."""
        layout = cls(root)
        layout.check()
        return layout

    def check(self) -> None:
        """Raises NotALayout when this is no layout that pylife can read."""
        try:
            data = json.loads((self.root / LAYOUT_FILE).read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotALayout(f"{self.root} is not an OCI image layout", why="it has no file oci-layout") from error
        except ValueError as error:
            raise NotALayout(f"{self.root} is not an OCI image layout", why="oci-layout is not JSON") from error
        except OSError as error:
            raise of_oserror(error, self.root) from error
        check_layout_version(data, str(self.root))

    def index(self) -> Index:
        """The images of the layout as they are now; an absent ``index.json`` is an empty one."""
        return parse_index(self._read())

    def find(self, name: str) -> Descriptor | None:
        """The image of that name."""
        return next((item for item in self.index().manifests if item.annotations.get(REF_NAME) == name), None)

    def names(self) -> list[str]:
        """The names in the index, in its order."""
        return [item.annotations[REF_NAME] for item in self.index().manifests if REF_NAME in item.annotations]

    def tag(self, name: str | None, descriptor: Descriptor) -> None:
        """Make ``name`` mean ``descriptor``; without a name the layout's one unnamed image is replaced."""
        entry = index_entry(name, descriptor)

        def replaced(entries: Entries) -> Entries:
            return [item for item in entries if _name(item) != name] + [entry]

        self._edit(replaced)

    def untag(self, name: str) -> bool:
        """Forget the name; True when it was there. The blobs stay."""
        found = False

        def without(entries: Entries) -> Entries:
            nonlocal found
            kept = [item for item in entries if _name(item) != name]
            found = len(kept) < len(entries)
            return kept

        self._edit(without)
        return found

    def _read(self) -> bytes:
        try:
            return (self.root / INDEX_FILE).read_bytes()
        except FileNotFoundError:
            return b'{"schemaVersion":2,"manifests":[]}'
        except OSError as error:
            raise of_oserror(error, self.root) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers of the index out."""
        marker = self.root / LAYOUT_FILE
        try:
            lock = ExitStack()
            lock.enter_context(locked(marker))
        except OSError as error:
            raise of_oserror(error, marker) from error
        with lock:
            yield

    def _edit(self, change: Callable[[Entries], Entries]) -> None:
        """Rewrite the list of manifests; entries and properties that pylife does not know stay as they are."""
        with self.locked():
            raw = self._read()
            parse_index(raw)
            data = {"mediaType": mediatypes.OCI_INDEX, **json.loads(raw)}
            data["manifests"] = change(data["manifests"])
            ordered = {"schemaVersion": 2, **data}
            text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
            if text != raw or not (self.root / INDEX_FILE).exists():
                write_file(self.root / INDEX_FILE, text)


def parse_index(raw: bytes) -> Index:
    """The ``index.json`` of a layout; raises BadDocument when it is none."""
    try:
        return Index.parse(raw, mediatypes.OCI_INDEX)
    except BadDocument as error:
        raise BadDocument(f"index.json is damaged: {error.what}", why=error.why) from error


def check_layout_version(data: object, where: str) -> None:
    """Raises NotALayout unless ``data`` is the content of an ``oci-layout`` file of version 1."""
    version = data.get("imageLayoutVersion") if isinstance(data, dict) else None
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise NotALayout(f"{where} is not an OCI image layout of version 1", why=f"its version is {version!r}")


def index_entry(name: str | None, descriptor: Descriptor) -> dict[str, Any]:
    """The entry of ``index.json`` that calls ``descriptor`` by ``name``."""
    kept = {key: value for key, value in descriptor.annotations.items() if key != REF_NAME}
    return descriptor.with_annotations({**kept, REF_NAME: name} if name else kept).to_json()


def _name(entry: dict[str, Any]) -> str | None:
    return (entry.get("annotations") or {}).get(REF_NAME)
