"""Roots made from layers, the same claims for overlay mounts and for copies."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifecycle.archive import Ownership
from lifecycle.oci.digest import Digest
from lifecycle.sandbox import kernel
from lifecycle.snapshot.base import Snapshotter, Tree
from lifecycle.snapshot.copies import CopySnapshots
from lifecycle.snapshot.errors import LayerNotUnpacked, SnapshotFailed
from lifecycle.snapshot.overlay import OverlaySnapshots

OnRung = Callable[[Callable[[Snapshotter, Path], Any]], Any]


def tar(*rows: tuple[str, object]) -> bytes:
    """A layer: (name, bytes) a file, (name, None) a directory, (name, ("->", target)) a link, mode by a third item."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for row in rows:
            name, what = row[0], row[1]
            info = tarfile.TarInfo(name)
            info.mtime = 1000
            info.mode = row[2] if len(row) > 2 else 0o755 if what is None else 0o644
            info.uid = info.gid = row[3] if len(row) > 3 else 0
            if what is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif isinstance(what, tuple):
                info.type, info.linkname = tarfile.SYMTYPE, what[1]
                archive.addfile(info)
            else:
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
    return out.getvalue()


def unpack(store: Snapshotter, *layers: bytes) -> list[Digest]:
    digests = [Digest.of(layer) for layer in layers]
    for digest, layer in zip(digests, layers, strict=True):
        store.unpack(digest, lambda layer=layer: io.BytesIO(layer))
    return digests


BASE = tar(
    ("etc", None),
    ("etc/a", b"1"),
    ("etc/b", b"2"),
    ("var", None, 0o700),
    ("var/x", b"x"),
    ("old", None),
    ("old/f", b""),
)


def test_layers_lie_over_each_other_in_order(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers = unpack(store, BASE, tar(("etc/a", b"new")), tar(("etc/c", b"3")))
        with store.prepare(layers) as root:
            return {p.name: p.read_bytes() for p in (root.path / "etc").iterdir()}

    assert on_rung(body) == {"a": b"new", "b": b"2", "c": b"3"}


def test_layer_that_comes_twice_counts_where_it_comes_last(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        twice = tar(("etc/.wh.b", b""), ("etc/a", b"again"))
        layers = unpack(store, BASE, twice, tar(("etc/a", b"other"), ("etc/b", b"back")), twice)
        with store.prepare(layers) as root:
            return {p.name: p.read_bytes() for p in (root.path / "etc").iterdir()}

    assert on_rung(body) == {"a": b"again"}


def test_whiteout_and_opaque_directory_hide_lower_layers(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        hiding = tar(("etc/.wh.b", b""), ("old/.wh..wh..opq", b""), ("old/new", b"n"))
        with store.prepare(unpack(store, BASE, hiding)) as root:
            return sorted(os.listdir(root.path / "etc")), sorted(os.listdir(root.path / "old"))

    assert on_rung(body) == (["a"], ["new"])


def test_file_replaces_directory_and_directory_replaces_file(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        with store.prepare(unpack(store, BASE, tar(("old", b"file"), ("etc/a", None), ("etc/a/in", b"")))) as root:
            return (root.path / "old").read_bytes(), os.listdir(root.path / "etc/a")

    assert on_rung(body) == (b"file", ["in"])


def test_directory_a_layer_only_passes_through_keeps_its_mode(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        with store.prepare(unpack(store, BASE, tar(("var/y", b"y")))) as root:
            return stat.S_IMODE((root.path / "var").stat().st_mode), sorted(os.listdir(root.path / "var"))

    assert on_rung(body) == (0o700, ["x", "y"])


def test_writing_in_a_root_reaches_no_other_root(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers = unpack(store, BASE)
        with store.prepare(layers) as one, store.prepare(layers) as two:
            (one.path / "etc/a").write_bytes(b"changed")
            (one.path / "etc/b").unlink()
            return (two.path / "etc/a").read_bytes(), (two.path / "etc/b").exists()

    assert on_rung(body) == (b"1", True)


def test_closed_root_leaves_nothing(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        root = store.prepare(unpack(store, BASE))
        (root.path / "locked").mkdir(0o000)
        place = root.path.parent
        root.close()
        root.close()
        return place.exists(), os.listdir(place.parent)

    assert on_rung(body) == (False, [])


def make_tree(store: Snapshotter, home: Path) -> tuple[list[Digest], Tree]:
    layers = unpack(store, BASE, tar(("layers", None, 0o750, 0)))
    with store.prepare(layers) as root:
        (root.path / "layers/bp/venv/sub").mkdir(parents=True)
        (root.path / "layers/bp").chmod(0o711)
        (root.path / "layers/bp/venv/f").write_bytes(b"content")
        (root.path / "layers/bp/venv/sub/g").write_bytes(b"deep")
        (root.path / "layers/bp/venv/link").symlink_to("f")
        os.link(root.path / "layers/bp/venv/f", root.path / "layers/bp/venv/same")
        tree = root.take("/layers/bp/venv", home / "kept")
    return layers, tree


def test_taken_tree_appears_in_the_next_root_unchanged(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers, tree = make_tree(store, home)
        assert sorted(p.name for p in tree.content.iterdir()) == ["f", "link", "same", "sub"]
        with store.prepare(layers, [tree]) as root:
            venv = root.path / "layers/bp/venv"
            same = os.stat(venv / "f").st_ino == os.stat(venv / "same").st_ino
            modes = [stat.S_IMODE((root.path / p).stat().st_mode) for p in ("layers", "layers/bp")]
            deep, link = (venv / "sub/g").read_bytes(), os.readlink(venv / "link")
            return deep, link, same, modes, root.changed("/layers/bp/venv")

    assert on_rung(body) == (b"deep", "f", True, [0o750, 0o711], False)


def test_every_kind_of_change_below_a_path_is_seen(on_rung: OnRung) -> None:
    changes: dict[str, Callable[[Path], object]] = {
        "content": lambda p: (p / "f").write_bytes(b"Content"),
        "new file": lambda p: (p / "sub/new").write_bytes(b""),
        "removed file": lambda p: (p / "sub/g").unlink(),
        "mode": lambda p: (p / "f").chmod(0o600),
        "directory mode": lambda p: (p / "sub").chmod(0o700),
        "new directory": lambda p: (p / "d").mkdir(),
        "link target": lambda p: ((p / "link").unlink(), (p / "link").symlink_to("g")),
        "replaced directory": lambda p: ((p / "sub/g").unlink(), (p / "sub").rmdir(), (p / "sub").mkdir()),
        "all gone": shutil.rmtree,
    }

    def body(store: Snapshotter, home: Path) -> Any:
        layers, tree = make_tree(store, home)
        seen = {}
        for name, change in changes.items():
            with store.prepare(layers, [tree]) as root:
                change(root.path / "layers/bp/venv")
                seen[name] = root.changed("/layers/bp/venv")
        return seen

    assert on_rung(body) == dict.fromkeys(changes, True)


def test_change_beside_a_path_is_none_of_it(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers, tree = make_tree(store, home)
        with store.prepare(layers, [tree]) as root:
            (root.path / "layers/bp/other").write_bytes(b"")
            (root.path / "layers/bp/venv2").mkdir()
            (root.path / "etc/a").write_bytes(b"!")
            (root.path / "layers/bp/venv/f").read_bytes()
            return (
                root.changed("/layers/bp/venv"),
                root.changed("/etc"),
                root.changed("/var"),
                root.changed("/layers/bp"),
            )

    assert on_rung(body) == (False, True, False, True)


def test_file_made_and_removed_again_is_no_change(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers, tree = make_tree(store, home)
        with store.prepare(layers, [tree]) as root:
            lock = root.path / "layers/bp/venv/.lock"
            lock.write_bytes(b"")
            lock.unlink()
            return root.changed("/layers/bp/venv")

    assert on_rung(body) is False


def test_tree_partly_from_below_is_taken_whole(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers, tree = make_tree(store, home)
        with store.prepare(layers, [tree]) as root:
            (root.path / "layers/bp/venv/sub/g").unlink()
            (root.path / "layers/bp/venv/new").write_bytes(b"n")
            again = root.take("/layers/bp/venv", home / "again")
        listed = sorted(str(p.relative_to(again.content)) for p in again.content.rglob("*"))
        return listed, (again.content / "f").read_bytes(), os.path.exists(tree.content / "sub/g")

    assert on_rung(body) == (["f", "link", "new", "same", "sub"], b"content", True)


def test_taking_what_is_not_there_fails_and_leaves_nothing(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        with store.prepare(unpack(store, BASE)) as root:
            try:
                root.take("/layers/none", home / "kept")
            except SnapshotFailed as error:
                return str(error), [name for name in os.listdir(home) if name.startswith("kept")]

    message, left = on_rung(body)
    assert "no such directory" in message and left == []


def test_unknown_layer_is_refused(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        try:
            store.prepare([Digest.of(b"nothing")])
        except LayerNotUnpacked as error:
            return str(error)

    assert "not unpacked" in on_rung(body)


def test_failed_unpacking_leaves_no_layer(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        digest = Digest.of(b"broken")
        try:
            store.unpack(digest, lambda: io.BytesIO(BASE[:700]))
        except Exception as error:
            return type(error).__name__, store.has(digest), store.sweep()

    name, there, swept = on_rung(body)
    assert name == "TruncatedArchive" and there is False and swept == 0


def test_unpacking_twice_reads_once(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        calls = []

        def opened() -> io.BytesIO:
            calls.append(1)
            return io.BytesIO(BASE)

        for _ in range(2):
            store.unpack(Digest.of(BASE), opened)
        return len(calls)

    assert on_rung(body) == 1


def test_leftovers_of_a_killed_process_are_swept_and_the_living_spared(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers = unpack(store, BASE)
        mine = store.prepare(layers)
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(OSError):  # the mounts of a killed pylife vanish with its namespace
                kernel.unshare(kernel.CLONE_NEWNS)
            left = store.prepare(layers)
            (left.path / "x").mkdir(0o000)
            os.kill(os.getpid(), 9)
        os.waitpid(pid, 0)
        yard = mine.path.parent.parent
        before = len(os.listdir(yard))
        swept = store.sweep()
        alive = (mine.path / "etc/a").read_bytes()
        after = len(os.listdir(yard))
        mine.close()
        return before, swept, alive, after, store.sweep()

    assert on_rung(body) == (4, 1, b"1", 2, 0)


def test_collecting_spares_layers_in_use(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        used, kept, unused = unpack(store, BASE, tar(("k", b"")), tar(("u", b"")))
        root = store.prepare([used])
        count = store.collect(lambda digest: digest == str(kept))
        has = store.has(used), store.has(kept), store.has(unused)
        root.close()
        return count, has[1:], store.collect(lambda digest: digest == str(kept)) + count, store.has(used)

    _, has, total, left = on_rung(body)
    assert has == (True, False) and total == 2 and left is False


def test_more_than_a_hundred_layers_fit_into_one_root(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers = unpack(store, BASE, *(tar((f"n{number}", b"")) for number in range(120)))
        with store.prepare(layers) as root:
            return len(os.listdir(root.path))

    assert on_rung(body) == 123


def test_root_of_no_layers_is_empty(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        with store.prepare([]) as root:
            (root.path / "x").write_bytes(b"")
            return os.listdir(root.path)

    assert on_rung(body) == ["x"]


def test_places_below_all_layers_are_in_every_root_and_in_no_diff(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        if not isinstance(store, OverlaySnapshots):
            return None
        places = ("/etc/hosts", "/etc/resolv.conf", "/run/pylife/certificates")
        owners = Ownership.SELF if store._shelf.single else Ownership.KEEP
        below = OverlaySnapshots(home / "below", store._mounts, store._flavour, owners, places)
        layers = unpack(below, tar(("etc/hosts", b"mine"), ("etc/.wh.resolv.conf", b"")))
        with below.prepare(layers) as root:
            (root.path / "run/new").write_bytes(b"n")
            found = sorted(os.listdir(root.path / "etc")), (root.path / "etc/hosts").read_bytes()
            diff = root.commit()
        names = [entry.name for entry, _ in diff.members(0)]
        diff.close()
        with below.prepare([]) as empty:
            return found, names, sorted(os.listdir(empty.path / "run/pylife")), (empty.path / "etc/hosts").read_bytes()

    said = on_rung(body)
    assert said is None or said == ((["hosts"], b"mine"), [b"run", b"run/new"], ["certificates"], b"")


def test_files_the_writer_cannot_write_are_shared_and_others_copied(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layer = tar(("mine", b"m", 0o644, 1000), ("open", b"o", 0o666), ("safe", b"s"))
        layers = unpack(store, layer)
        with store.prepare(layers, writer_uid=1000) as root:
            shared = {name: os.stat(root.path / name).st_nlink > 1 for name in ("mine", "open", "safe")}
            return isinstance(store, CopySnapshots) and store._own, shared

    links, shared = on_rung(body)
    assert shared == {"mine": False, "open": False, "safe": links}
