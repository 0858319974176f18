"""What differs between two images: configuration, labels, layers, files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal

from lifecycle.archive.entry import Kind
from lifecycle.archive.reader import read_tar
from lifecycle.image.filesystem import OPAQUE, WHITEOUT, parent
from lifecycle.image.image import Image
from lifecycle.image.layer import Layer
from lifecycle.oci import Digest
from lifecycle.record import dataclass

What = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs; None stands for its absence."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a layer says about a path. ``size`` in bytes, ``mtime`` in seconds, ``content`` the sha256 of a file."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    content: Digest | None
    xattrs: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class FileChange:
    """One path that differs. ``differs`` names the facts that do (``size``, ``mode``, ``content``, …).

    A side is None where the path is not; both are when a file of a shared layer is removed on one side only.
    """

    path: bytes
    what: What
    before: FileFacts | None
    after: FileFacts | None
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageDiff:
    """What it takes to come from one image to the other."""

    config: tuple[Change, ...]
    env: tuple[Change, ...]
    labels: tuple[Change, ...]
    annotations: tuple[Change, ...]
    layers_removed: tuple[Digest, ...]
    layers_added: tuple[Digest, ...]
    files: tuple[FileChange, ...]

    @property
    def same(self) -> bool:
        """True when nothing differs."""
        return not any(getattr(self, item.name) for item in fields(self))


def diff(before: Image, after: Image, *, files: bool = True) -> ImageDiff:
    """What differs between two images.

    Files are compared as the layers that only one of the images has state them, each side's merged: layers that both
    have are not read. A file is *removed* when only the layers of ``before`` have it.
    """
    old, new = before.config, after.config
    ids_before, ids_after = set(old.diff_ids), set(new.diff_ids)
    removed = [layer for layer in before.layers if layer.diff_id not in ids_after]
    added = [layer for layer in after.layers if layer.diff_id not in ids_before]
    return ImageDiff(
        config=_changes(_settings(old.data), _settings(new.data)),
        env=_changes(old.env, new.env),
        labels=_changes(old.labels, new.labels),
        annotations=_changes(before.annotations, after.annotations),
        layers_removed=tuple(layer.diff_id for layer in removed),
        layers_added=tuple(layer.diff_id for layer in added),
        files=tuple(_file_changes(_merged(removed), _merged(added))) if files else (),
    )


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a config document under dotted keys, without those that are compared apart."""
    outer = {key: value for key, value in data.items() if key not in ("config", "rootfs")}
    inner = data.get("config") or {}
    return outer | {f"config.{key}": value for key, value in inner.items() if key not in ("Env", "Labels")}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    keys = sorted(before.keys() | after.keys())
    pairs = ((key, before.get(key), after.get(key)) for key in keys)
    return tuple(Change(key, old, new) for key, old, new in pairs if old != new)


def _merged(layers: Sequence[Layer]) -> dict[bytes, FileFacts | None]:
    """What the layers, bottom first, say in the end about each path they touch; None for one they remove."""
    facts: dict[bytes, FileFacts | None] = {}
    for layer in layers:
        mine: dict[bytes, FileFacts] = {}
        gone: set[bytes] = set()
        emptied: set[bytes] = set()
        with layer.uncompressed() as tar:
            for entry, body in read_tar(tar):
                base = entry.name.rpartition(b"/")[2]
                if base == OPAQUE:
                    emptied.add(parent(entry.name))
                elif base.startswith(WHITEOUT):
                    if not base.startswith(WHITEOUT + WHITEOUT):
                        gone.add(entry.name[: len(entry.name) - len(base)] + base[len(WHITEOUT) :])
                else:
                    content = None
                    if entry.kind is Kind.FILE:
                        digest = hashlib.sha256()
                        while data := body.read(1 << 20):
                            digest.update(data)
                        content = Digest("sha256", digest.hexdigest())
                    mine[entry.name] = FileFacts(
                        entry.kind,
                        entry.mode,
                        entry.uid,
                        entry.gid,
                        entry.size,
                        entry.mtime,
                        entry.linkname,
                        content,
                        entry.xattrs,
                    )
        replaced = {name for name, fact in mine.items() if fact.kind is not Kind.DIR}
        hidden = gone | emptied | replaced
        if hidden:
            facts = {name: fact for name, fact in facts.items() if not _beneath(name, hidden)}
        facts.update(dict.fromkeys(gone))
        facts.update(mine)
    return facts


def _beneath(name: bytes, directories: set[bytes]) -> bool:
    while name != b".":
        name = parent(name)
        if name in directories:
            return True
    return False


def _file_changes(
    before: Mapping[bytes, FileFacts | None], after: Mapping[bytes, FileFacts | None]
) -> Iterable[FileChange]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is not None and new is not None:
            differs = tuple(item.name for item in fields(old) if getattr(old, item.name) != getattr(new, item.name))
            if differs:
                yield FileChange(path, "changed", old, new, differs)
        elif old is not None:
            yield FileChange(path, "removed", old, None)
        elif new is not None:
            yield FileChange(path, "added", None, new)
        elif (path in before) != (path in after):
            yield FileChange(path, "added" if path in before else "removed", None, None)
