"""True owners, devices and links where the disk cannot say: views and diffs know them on every rung."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

from snapshot_layers import OnRung, tar, unpack

from lifecycle.archive import Entry, Kind
from lifecycle.snapshot.base import Snapshotter, Virtual

OWNED = tar(
    ("home", None, 0o755, 7),
    ("home/f", b"f", 0o644, 7),
    ("home/g", ("=", "home/f"), 0o644, 7),
    ("root", b"r"),
)


def device() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("dev")
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(info)
        info = tarfile.TarInfo("dev/null")
        info.type, info.devmajor, info.devminor, info.mode = tarfile.CHRTYPE, 1, 3, 0o666
        archive.addfile(info)
    return out.getvalue()


def test_view_knows_owners_that_the_disk_may_not_have(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        with store.view(unpack(store, OWNED)) as view:
            return [(e.name, e.kind, e.uid, e.gid) for e, _ in view.walk(b"home")], view.lookup(b"root").uid  # type: ignore[union-attr]

    found, root = on_rung(body)
    assert root == 0 and found == [
        (b"home", Kind.DIR, 7, 7),
        (b"home/f", Kind.FILE, 7, 7),
        (b"home/g", Kind.HARDLINK, 7, 7),
    ]


def test_view_knows_devices_that_may_not_be_made(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        with store.view(unpack(store, device())) as view:
            e = view.lookup(b"dev/null")
            assert e is not None
            return e.kind, e.dev_major, e.dev_minor, e.mode, view.names(b"dev")

    assert on_rung(body) == (Kind.CHAR, 1, 3, 0o666, [b"null"])


def test_changed_file_keeps_its_owner_and_a_new_one_has_the_steps(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, OWNED)
        root = store.prepare(layers)
        single = bool(store._shelf.single)  # type: ignore[attr-defined]
        (root.path / "home").chmod(0o711)
        (root.path / "home/f").write_bytes(b"changed")
        (root.path / "home/new").write_bytes(b"")
        if not single:
            os.chown(root.path / "home/new", 5, 6)
        diff = root.commit(owner=(5, 6))
        with store.view([*layers, diff]) as view:
            after = [view.lookup(name).uid for name in (b"home", b"home/g", b"home/new")]  # type: ignore[union-attr]
        return [(e.name, e.uid, e.gid) for e, _ in diff.members(1)], after

    members, after = on_rung(body)
    assert after == [7, 7, 5]
    assert members == [(b"home", 7, 7), (b"home/f", 7, 7), (b"home/new", 5, 6)]


def test_run_that_changes_nothing_changes_no_owner(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        root = store.prepare(unpack(store, OWNED, device()))
        (root.path / "home/x").write_bytes(b"")
        (root.path / "home/x").unlink()
        os.utime(root.path / "home/f")
        return [e.name for e, _ in root.commit(owner=(5, 6)).members(1)]

    assert on_rung(body) == []


def test_capabilities_are_in_the_form_without_a_namespace(on_rung: OnRung) -> None:
    value = bytes.fromhex("0100000200040000000000000000000000000000")

    def body(store: Snapshotter, home: Path) -> Any:
        root = store.prepare([])
        (root.path / "ping").write_bytes(b"")
        os.setxattr(root.path / "ping", "security.capability", value)
        return [e.xattrs for e, _ in root.commit().members(1)]

    assert on_rung(body) == [((b"security.capability", value),)]


def test_layer_of_members_alone_hides_and_joins_like_any_other(on_rung: OnRung) -> None:
    members = [
        (Entry(b"home/sub/deep", Kind.FILE, size=4), b"deep"),
        (Entry(b"home/.wh.f", Kind.FILE), b""),
        (Entry(b"one", Kind.FILE, size=1), b"1"),
        (Entry(b"two", Kind.HARDLINK, linkname=b"one"), None),
    ]

    def body(store: Snapshotter, home: Path) -> Any:
        with store.view([*unpack(store, OWNED), Virtual(members)]) as view:
            home_entry = view.lookup(b"home")
            assert home_entry is not None
            walked = [(e.name, e.kind.value) for e, _ in view.walk(b".", lambda name: name == b"root")]
            return walked, home_entry.uid, view.lookup(b"two"), view.content(b"two"), view.lookup(b"one/x")

    walked, owner, two, content, below = on_rung(body)
    assert walked == [
        (b".", "dir"),
        (b"home", "dir"),
        (b"home/g", "file"),
        (b"home/sub", "dir"),
        (b"home/sub/deep", "file"),
        (b"one", "file"),
        (b"two", "hardlink"),
    ]
    assert owner == 7 and two == Entry(b"two", Kind.FILE, size=1) and content == b"1" and below is None
