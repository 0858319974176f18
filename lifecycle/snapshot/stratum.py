"""One unpacked layer on disk, and what of it the disk could not keep."""

from __future__ import annotations

import json
import os
from dataclasses import field
from pathlib import Path

from lifecycle.archive.entry import BLOCK, CHAR, Entry
from lifecycle.record import dataclass

Owner = tuple[int, int]

_FILE = "notes.json"


@dataclass(frozen=True, slots=True)
class Notes:
    """What a tree's files should be and, on this host, cannot: by entry name.

    ``owners`` (uid, gid) are those other than 0:0 where one id stands for all; ``devices`` are nodes that may not
    be made here.
    """

    owners: dict[bytes, Owner] = field(default_factory=dict)
    devices: dict[bytes, Entry] = field(default_factory=dict)

    def save(self, place: str) -> None:
        """Write them into the directory ``place``, unless there are none. Raises OSError."""
        if not self.owners and not self.devices:
            return
        text = {
            "owners": {os.fsdecode(name): owner for name, owner in self.owners.items()},
            "devices": {
                os.fsdecode(name): [e.kind is CHAR, e.mode, e.uid, e.gid, e.mtime, e.dev_major, e.dev_minor]
                for name, e in self.devices.items()
            },
        }
        with open(os.path.join(place, _FILE), "w", encoding="utf-8") as file:
            json.dump(text, file)

    @classmethod
    def load(cls, place: str) -> Notes:
        """Those of the directory ``place``; none when it has no such file. Raises OSError."""
        try:
            with open(os.path.join(place, _FILE), encoding="utf-8") as file:
                text = json.load(file)
        except FileNotFoundError:
            return NOTHING
        owners = {os.fsencode(name): (uid, gid) for name, (uid, gid) in text["owners"].items()}
        devices = {}
        for shown, (char, mode, uid, gid, mtime, major, minor) in text["devices"].items():
            name = os.fsencode(shown)
            devices[name] = Entry(name, CHAR if char else BLOCK, mode, uid, gid, 0, mtime, b"", major, minor)
        return cls(owners, devices)


NOTHING = Notes()


@dataclass(frozen=True, slots=True)
class Stratum:
    """One unpacked layer, or a tree in its place, as something to build a root from.

    ``implied`` are directories (relative, ``.`` the root) that the layer only passes through: their owner and mode
    are those of the layers below. ``empty``: it is known to bring and hide nothing.
    """

    path: str
    implied: frozenset[str]
    notes: Notes = NOTHING
    empty: bool = False


def tree_stratum(root: Path, at: str) -> Stratum:
    """A kept tree as a stratum: of the way to it, only what no layer below knows counts. Raises FileNotFoundError."""
    os.stat(os.path.join(root, at.strip("/")))
    parts = at.strip("/").split("/")
    return Stratum(os.fspath(root), frozenset([".", *("/".join(parts[:count]) for count in range(1, len(parts)))]))
