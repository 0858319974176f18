"""A frozen diff on the shelf: adopted once its digest is known, shared, spared by sweeping, removed when unwanted."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

from snapshot_layers import BASE, OnRung, tar, unpack

from lifecycle.archive import write_tar
from lifecycle.oci.digest import Digest
from lifecycle.sandbox import kernel
from lifecycle.snapshot.base import Diff, Snapshotter


def committed(store: Snapshotter, layers: list[Any], name: str = "made") -> tuple[Diff, Digest]:
    root = store.prepare(layers)
    (root.path / name).write_bytes(name.encode())
    (root.path / "etc/a").unlink(missing_ok=True)
    diff = root.commit(mtime=5)
    out = io.BytesIO()
    write_tar(diff.members(5), out)
    return diff, Digest.of(out.getvalue())


def listed(store: Snapshotter, layers: list[Any]) -> tuple[list[str], list[str]]:
    with store.prepare(layers) as root:
        return sorted(os.listdir(root.path)), sorted(os.listdir(root.path / "etc"))


AFTER = (["etc", "made", "old", "var"], ["b"])


def test_adopted_diff_is_an_unpacked_layer_and_stays_usable_as_a_diff(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        diff, digest = committed(store, layers)
        with store.prepare([*layers, diff]) as root:
            diff.adopt(digest)
            during = store.has(digest), (root.path / "made").read_bytes()
            both = listed(store, [*layers, diff]), listed(store, [*layers, digest])
            diff.close()
            under = (root.path / "made").read_bytes(), os.path.exists(root.path / "etc/a")
        called: list[int] = []
        store.unpack(digest, lambda: called.append(1) or io.BytesIO())  # type: ignore[func-returns-value]
        return during, both, under, store.sweep(), called, listed(store, [*layers, digest])

    during, both, under, swept, called, after = on_rung(body)
    assert during == (True, b"made") and both == (AFTER, AFTER) and under == (b"made", False)
    assert swept == 0 and called == [] and after == AFTER


def test_second_adopter_of_a_layer_leaves_the_first(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        (one, digest), (two, same) = committed(store, layers), committed(store, layers)
        assert digest == same
        threads = [threading.Thread(target=diff.adopt, args=(digest,)) for diff in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one.close()
        two.close()
        left = [name for place in home.rglob("diffs") for name in os.listdir(place)]
        return len(left), listed(store, [*layers, digest])

    assert on_rung(body) == (1, AFTER)


def test_closed_diff_stays_for_its_users_and_then_goes(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        diff, _ = committed(store, layers)
        root, view = store.prepare([*layers, diff]), store.view([*layers, diff])
        diff.close()
        seen = (root.path / "made").read_bytes(), view.lookup(b"made") is not None
        root.close()
        held = any(os.listdir(place) for place in home.rglob("diffs"))
        view.close()
        store.close()
        return seen, held, [os.listdir(place) for place in home.rglob("diffs")]

    assert on_rung(body) == ((b"made", True), True, [[]])


def test_killed_process_leaves_adopted_layers_alone(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                if _mounts(store):
                    kernel.unshare(kernel.CLONE_NEWNS)
                kept, digest = committed(store, layers)
                kept.adopt(digest)
                committed(store, [*layers, kept], "lost")
                store.prepare([*layers, kept])
                os.write(write, str(digest).encode())
            finally:
                os.kill(os.getpid(), 9)
        os.close(write)
        os.waitpid(pid, 0)
        digest = Digest.parse(os.read(read, 200).decode())
        swept = store.sweep()
        left = [name for place in (*home.rglob("diffs"), *home.rglob("roots")) for name in os.listdir(place)]
        return swept > 0, len(left), listed(store, [*layers, digest])

    assert on_rung(body) == (True, 1, AFTER)


def _mounts(store: Snapshotter) -> bool:
    return "Overlay" in type(store).__name__


def test_collecting_removes_adopted_layers_but_not_from_under_their_users(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        diff, digest = committed(store, layers)
        diff.adopt(digest)

        def keep(name: str) -> bool:
            return name == str(layers[0])

        while_open = store.collect(keep)
        diff.close()
        with store.prepare([*layers, digest]):
            while_used = store.collect(keep)
        done = store.collect(keep), store.has(digest)
        return while_open, while_used, done, [os.listdir(place) for place in home.rglob("diffs")]

    assert on_rung(body) == (0, 0, (1, False), [[]])


def test_layer_whose_diff_has_vanished_is_unpacked_anew(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        layer = tar(("made", b"made"), ("etc/.wh.a", b""))
        digest = Digest.of(layer)
        place = next(home.rglob("layers")) / f"sha256-{digest.hex}"
        place.symlink_to("../diffs/gone")
        before = store.has(digest)
        store.unpack(digest, lambda: io.BytesIO(layer))
        return before, listed(store, [*layers, digest])

    assert on_rung(body) == (False, AFTER)


def test_many_threads_prepare_and_commit_at_once(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        layers: list[Any] = unpack(store, BASE)
        found: dict[int, list[bytes]] = {}

        def work(number: int) -> None:
            below = list(layers)
            for step in range(3):
                root = store.prepare(below)
                (root.path / f"n{number}-{step}").write_bytes(b"")
                below.append(root.commit())
            with store.view(below) as view:
                found[number] = [name for name in view.names(b".") if name.startswith(b"n")]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    assert on_rung(body) == {n: [f"n{n}-{step}".encode() for step in range(3)] for n in range(6)}
