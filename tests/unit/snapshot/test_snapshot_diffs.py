"""What a run changed becomes a layer: the same members on every rung, and a tree that is exactly that layer."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snapshot_layers import BASE, OnRung, tar, unpack

from lifecycle.archive import Kind
from lifecycle.snapshot.base import Diff, Snapshotter
from lifecycle.snapshot.errors import ReservedName

Shown = list[tuple[str, str, int]]


def shown(diff: Diff) -> Shown:
    return [(e.name.decode(), e.kind.value, e.mode) for e, _ in diff.members(7)]


def changed_by(change: Callable[[Path], object], *layers: bytes) -> Callable[[Snapshotter, Path], Shown]:
    def body(store: Snapshotter, home: Path) -> Shown:
        root = store.prepare(unpack(store, *(layers or (BASE,))))
        change(root.path)
        diff = root.commit()
        found = shown(diff)
        diff.close()
        return found

    return body


def test_untouched_root_gives_no_members(on_rung: OnRung) -> None:
    assert on_rung(changed_by(lambda root: None)) == []


def test_new_file_comes_with_the_directories_above_it(on_rung: OnRung) -> None:
    found = on_rung(changed_by(lambda root: (root / "var/new").write_bytes(b"n")))
    assert found == [("var", "dir", 0o700), ("var/new", "file", 0o644)]


def test_removed_names_become_whiteouts(on_rung: OnRung) -> None:
    found = on_rung(changed_by(lambda root: ((root / "etc/a").unlink(), shutil.rmtree(root / "old"))))
    assert found == [(".wh.old", "file", 0o644), ("etc", "dir", 0o755), ("etc/.wh.a", "file", 0o644)]


def test_file_written_again_with_the_same_bytes_is_no_change(on_rung: OnRung) -> None:
    assert on_rung(changed_by(lambda root: (root / "etc/a").write_bytes(b"1"))) == []


def test_file_replaced_by_an_equal_one_is_no_change(on_rung: OnRung) -> None:
    def change(root: Path) -> None:
        (root / "etc/new").write_bytes(b"1")
        os.rename(root / "etc/new", root / "etc/a")

    assert on_rung(changed_by(change)) == []


def test_other_bytes_of_the_same_size_are_a_change(on_rung: OnRung) -> None:
    found = on_rung(changed_by(lambda root: (root / "etc/a").write_bytes(b"9")))
    assert found == [("etc", "dir", 0o755), ("etc/a", "file", 0o644)]


def test_times_alone_are_no_change(on_rung: OnRung) -> None:
    def change(root: Path) -> None:
        os.utime(root / "etc/a", (5, 5))
        os.utime(root / "var", (5, 5))

    assert on_rung(changed_by(change)) == []


def test_mode_and_directory_mode_are_changes(on_rung: OnRung) -> None:
    def change(root: Path) -> None:
        (root / "etc/a").chmod(0o600)
        (root / "var").chmod(0o711)
        root.chmod(0o700)

    found = on_rung(changed_by(change))
    wanted = [(".", "dir", 0o700), ("etc", "dir", 0o755), ("etc/a", "file", 0o600), ("var", "dir", 0o711)]
    assert found == wanted


def test_directory_made_anew_hides_only_what_it_lacks(on_rung: OnRung) -> None:
    def change(root: Path) -> None:
        shutil.rmtree(root / "etc")
        (root / "etc").mkdir(0o755)
        (root / "etc/a").write_bytes(b"1")
        (root / "etc/c").write_bytes(b"3")
        shutil.rmtree(root / "old")
        (root / "old").mkdir(0o755)
        (root / "old/f").write_bytes(b"")

    found = on_rung(changed_by(change))
    assert found == [("etc", "dir", 0o755), ("etc/.wh.b", "file", 0o644), ("etc/c", "file", 0o644)]


def test_file_and_directory_take_each_others_place(on_rung: OnRung) -> None:
    def change(root: Path) -> None:
        shutil.rmtree(root / "old")
        (root / "old").write_bytes(b"file")
        (root / "etc/a").unlink()
        (root / "etc/a").mkdir(0o755)
        (root / "etc/a/in").write_bytes(b"")

    found = on_rung(changed_by(change))
    assert found == [
        ("etc", "dir", 0o755),
        ("etc/a", "dir", 0o755),
        ("etc/a/in", "file", 0o644),
        ("old", "file", 0o644),
    ]


def test_moved_directory_is_a_whiteout_and_a_new_tree(on_rung: OnRung) -> None:
    def change(root: Path) -> None:
        shutil.move(root / "old", root / "moved")

    found = on_rung(changed_by(change))
    assert found == [(".wh.old", "file", 0o644), ("moved", "dir", 0o755), ("moved/f", "file", 0o644)]


def test_names_of_one_file_stay_together(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        root = store.prepare(unpack(store, BASE))
        os.link(root.path / "etc/a", root.path / "etc/linked")
        (root.path / "x").write_bytes(b"x")
        os.link(root.path / "x", root.path / "y")
        diff = root.commit()
        return [(e.name, e.kind, e.linkname) for e, _ in diff.members(7)]

    assert on_rung(body) == [
        (b"etc", Kind.DIR, b""),
        (b"etc/a", Kind.FILE, b""),
        (b"etc/linked", Kind.HARDLINK, b"etc/a"),
        (b"x", Kind.FILE, b""),
        (b"y", Kind.HARDLINK, b"x"),
    ]


def test_writing_to_one_of_two_names_from_below_changes_that_name_alone(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        root = store.prepare(layers)
        (root.path / "x").write_bytes(b"x")
        os.link(root.path / "x", root.path / "y")
        first = root.commit()
        root = store.prepare([*layers, first])
        (root.path / "y").write_bytes(b"changed")
        second = root.commit()
        with store.view([*layers, first, second]) as view:
            return shown(second), view.content(b"x")().read()  # type: ignore[operator,misc]

    assert on_rung(body) == ([("y", "file", 0o644)], b"x")


def test_sockets_are_in_no_layer_and_hide_what_they_replaced(on_rung: OnRung) -> None:
    def change(root: Path) -> None:
        (root / "etc/a").unlink()
        for place in ("etc/a", "var/new"):
            with socket.socket(socket.AF_UNIX) as made:
                here = os.open(root / place.split("/")[0], os.O_RDONLY)
                made.bind(f"/proc/self/fd/{here}/{place.split('/')[1]}")
                os.close(here)

    assert on_rung(changed_by(change)) == [("etc", "dir", 0o755), ("etc/.wh.a", "file", 0o644)]


def test_name_that_is_not_text_is_carried(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        root = store.prepare(unpack(store, BASE))
        with open(os.fsencode(root.path) + b"/\xff\xfe", "wb") as file:
            file.write(b"!")
        return [e.name for e, _ in root.commit().members(7)]

    assert on_rung(body) == [b"\xff\xfe"]


def test_name_that_means_a_deletion_is_refused(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        root = store.prepare(unpack(store, BASE))
        (root.path / "etc/.wh.b").write_bytes(b"")
        place = root.path.parent
        try:
            root.commit()
        except ReservedName as error:
            return str(error), place.exists()

    message, left = on_rung(body)
    assert "/etc/.wh.b" in message and left is False


def test_every_member_has_the_given_time_and_frozen_files_too(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        root = store.prepare(layers)
        (root.path / "d").mkdir()
        (root.path / "d/f").write_bytes(b"")
        (root.path / "d/l").symlink_to("f")
        diff = root.commit(mtime=99)
        with store.prepare([*layers, diff]) as again:
            seen = [int(os.lstat(again.path / name).st_mtime) for name in ("d", "d/f", "d/l")]
        return {e.mtime for e, _ in diff.members(7)}, seen

    assert on_rung(body) == ({7}, [99, 99, 99])


def test_second_step_sees_and_changes_what_the_first_left(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        root = store.prepare(layers)
        (root.path / "one").write_bytes(b"1")
        (root.path / "etc/a").unlink()
        first = root.commit()
        root = store.prepare([*layers, first])
        before = sorted(os.listdir(root.path)), sorted(os.listdir(root.path / "etc"))
        (root.path / "one").unlink()
        (root.path / "etc/a").write_bytes(b"back")
        second = root.commit()
        found = shown(first), shown(second)
        first.close()
        second.close()
        store.close()
        return before, found, [os.listdir(path) for path in home.rglob("diffs")], store.sweep()

    before, (first, second), left, swept = on_rung(body)
    assert before == (["etc", "old", "one", "var"], ["b"])
    assert first == [("etc", "dir", 0o755), ("etc/.wh.a", "file", 0o644), ("one", "file", 0o644)]
    assert second == [(".wh.one", "file", 0o644), ("etc", "dir", 0o755), ("etc/a", "file", 0o644)]
    assert left == [[]] and swept == 0


def test_frozen_mode_survives_in_the_tree(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        root = store.prepare(layers)
        (root.path / "tool").write_bytes(b"")
        (root.path / "tool").chmod(0o4755)
        diff = root.commit()
        with store.prepare([*layers, diff]) as again:
            return stat.S_IMODE(os.lstat(again.path / "tool").st_mode)

    assert on_rung(body) == 0o4755


def test_layer_on_top_of_nothing_has_only_what_was_made(on_rung: OnRung) -> None:
    assert on_rung(changed_by(lambda root: (root / "a").mkdir(0o755), tar())) == [("a", "dir", 0o755)]
