"""Cache mounts: who may use which, what is made when, and how they travel."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from lifecycle.archive.writer import write_tar
from lifecycle.dockerfile.running.caches import (
    CacheDirectory,
    HeldCache,
    Sharing,
    cache_directory,
    export_cache,
    hold_cache,
    import_cache,
    list_caches,
    remove_cache,
)
from lifecycle.dockerfile.running.errors import BadCacheArchive


def hold(cache: CacheDirectory, sharing: Sharing = "shared", waited: list[int] | None = None) -> HeldCache:
    return hold_cache(cache, sharing, lambda place: None, lambda: waited.append(1) if waited is not None else None)


def filled(home: Path, id: str = "/root/.cache") -> CacheDirectory:
    cache = cache_directory(home, "all", id)
    held = hold(cache)
    (Path(held.path) / "deep").mkdir()
    (Path(held.path) / "deep/file").write_text("kept")
    held.release()
    return cache


def test_shared_cache_is_one_directory_for_all(tmp_path: Path) -> None:
    cache = cache_directory(tmp_path, "all", "x")
    first, second = hold(cache), hold(cache)
    assert first.path == second.path
    first.release()
    second.release()


def test_private_cache_is_another_directory_while_the_first_is_in_use(tmp_path: Path) -> None:
    cache = cache_directory(tmp_path, "all", "x")
    first, second = hold(cache, "private"), hold(cache, "private")
    assert first.path != second.path
    first.release()
    again = hold(cache, "private")
    assert again.path == first.path and cache.instances() == [0, 1]
    second.release()
    again.release()


def test_locked_cache_waits_and_says_so(tmp_path: Path) -> None:
    cache = cache_directory(tmp_path, "all", "x")
    first = hold(cache, "locked")
    waited: list[int] = []
    got = threading.Event()

    def other() -> None:
        hold(cache, "locked", waited).release()
        got.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert not got.wait(0.1) and waited == [1]
    first.release()
    assert got.wait(5)
    thread.join()


def test_new_cache_is_made_once_by_many(tmp_path: Path) -> None:
    cache = cache_directory(tmp_path, "all", "x")
    made: list[str] = []

    def use() -> None:
        hold_cache(cache, "shared", made.append, lambda: None).release()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_cache_that_could_not_be_made_is_not_there(tmp_path: Path) -> None:
    cache = cache_directory(tmp_path, "all", "x")

    def fail(place: str) -> None:
        (Path(place) / "half").write_text("")
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        hold_cache(cache, "shared", fail, lambda: None)
    held = hold(cache)
    assert list(Path(held.path).iterdir()) == []
    held.release()


@pytest.mark.parametrize("id", ["..", ".", "/", "a/b", "../../x", "ü" * 300, "a\nb", "%2e"])
def test_any_name_is_one_directory_below_the_caches(tmp_path: Path, id: str) -> None:
    cache = cache_directory(tmp_path, "all", id, "../ns")
    hold(cache).release()
    assert Path(cache.path).resolve().is_relative_to(tmp_path / "cache/mounts/all")
    assert [(found.id, found.namespace) for found in list_caches(tmp_path)] == [(id, "../ns")]


def test_namespaces_keep_caches_apart(tmp_path: Path) -> None:
    assert cache_directory(tmp_path, "all", "x", "a").path != cache_directory(tmp_path, "all", "x", "b").path


def test_cache_in_use_is_not_removed(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    held = hold(cache)
    assert not remove_cache(cache)
    held.release()
    assert cache.size() > 0 and cache.used() > 0
    assert remove_cache(cache) and list_caches(tmp_path) == []


def test_cache_travels_as_a_tar(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    stream = io.BytesIO()
    write_tar(export_cache(cache), stream)
    stream.seek(0)
    other = cache_directory(tmp_path / "other", "all", cache.id)
    assert import_cache(other, stream, own=False)
    assert (Path(other.instance(0)) / "deep/file").read_text() == "kept"


def test_cache_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    assert not import_cache(cache, io.BytesIO(b"not even a tar"))


def test_damaged_archive_leaves_no_cache(tmp_path: Path) -> None:
    cache = cache_directory(tmp_path, "all", "x")
    with pytest.raises(BadCacheArchive):
        import_cache(cache, io.BytesIO(b"x" * 700), own=False)
    assert cache.instances() == []


def test_cache_that_was_never_used_exports_nothing(tmp_path: Path) -> None:
    assert list(export_cache(cache_directory(tmp_path, "all", "x"))) == []
