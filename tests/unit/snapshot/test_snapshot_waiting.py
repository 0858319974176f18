"""Waiting for whoever makes what is shared, but not for those who use it."""

from __future__ import annotations

import threading
from pathlib import Path

from lifecycle.snapshot.places import Lock


def test_who_finds_it_made_does_not_wait_for_those_who_use_it(tmp_path: Path) -> None:
    path, place = str(tmp_path / "lock"), tmp_path / "place"
    making = Lock.to_make(path, place.is_dir)
    assert making is not None
    found: list[Lock | None] = []
    waiting = threading.Thread(target=lambda: found.append(Lock.to_make(path, place.is_dir)), daemon=True)
    waiting.start()
    place.mkdir()
    making.release()
    using = Lock.take(path, shared=True)
    assert using is not None
    waiting.join(5)
    assert found == [None]
    using.release()


def test_who_finds_it_neither_made_nor_held_makes_it(tmp_path: Path) -> None:
    lock = Lock.to_make(str(tmp_path / "lock"), lambda: False)
    assert lock is not None
    lock.release()
