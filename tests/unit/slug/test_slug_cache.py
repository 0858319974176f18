"""Caches of slug builds: kept, restored, told to be unchanged; the old one outlives whatever goes wrong."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fulldisk import small_files
from objectserver import ObjectServer, serve_objects

from lifecycle.errors import PylifeError
from lifecycle.events import Message, RecordingSink
from lifecycle.image import OciPlace, Place, StorePlace
from lifecycle.image.places import RegistryPlace
from lifecycle.image.ports import Ports
from lifecycle.oci import Reference
from lifecycle.slug.cache import (
    CACHE_NAME,
    CacheStore,
    ImageCache,
    Restored,
    folder_cache,
    kept,
    object_cache,
    url_cache,
)
from lifecycle.slug.fingerprint import fingerprint
from lifecycle.slug.moments import CacheChecked
from lifecycle.slug.targets import BadTarget
from lifecycle.source.remote_errors import BadUrl
from lifecycle.source.remotes import Remotes
from lifecycle.store import LocalStore
from lifecycle.store.errors import DiskFull
from lifecycle.transport.settings import TransportSettings

QUICK = TransportSettings(attempts=2, backoff=0.01, stall_timeout=0.5, connect_timeout=2.0)
Make = Callable[[], CacheStore]


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with serve_objects() as state:
        yield state


@pytest.fixture
def remotes(server: ObjectServer, tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "remotes", QUICK, environment=server.environment)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    root = tmp_path / "full"
    (root / "pip" / "wheels").mkdir(parents=True)
    (root / "pip" / "wheels" / "a.whl").write_bytes(os.urandom(100_000))
    (root / "pip" / "tool").write_text("#!/bin/sh\n")
    (root / "pip" / "tool").chmod(0o755)
    (root / "latest").symlink_to("pip/wheels/a.whl")
    (root / ".wh.odd").write_text("a name that layers know")
    os.utime(root / "pip" / "tool", (1_600_000_000, 1_600_000_000))
    return root


@pytest.fixture
def into(tmp_path: Path) -> Callable[[], Path]:
    def fresh() -> Path:
        path = tmp_path / f"into-{os.urandom(4).hex()}"
        path.mkdir()
        return path

    return fresh


@pytest.fixture(params=["folder", "object", "urls", "store", "layout", "registry"])
def cache(
    request: pytest.FixtureRequest, remotes: Remotes, server: ObjectServer, tmp_path: Path
) -> Iterator[CacheStore]:
    place: Place
    match request.param:
        case "folder":
            yield folder_cache(tmp_path / "kept", remotes)
        case "object":
            yield object_cache("s3://bucket/home/app/cache/cache.tgz", remotes, tmp_path / "scratch")
        case "urls":
            url = server.url("/open/cache.tgz?signature=")
            yield url_cache(f"{url}get", f"{url}put", remotes, tmp_path / "scratch")
        case "registry":
            from lifecycle.events import NullSink
            from lifecycle.registry import RegistryClient, RegistrySettings, default_keychain
            from lifecycle.testing.registry import FaultyRegistry

            with (
                FaultyRegistry() as registry,
                RegistryClient(RegistrySettings.of(), default_keychain(), NullSink()) as client,
            ):
                place = RegistryPlace(Reference.parse(f"{registry.address}/app:cache"))
                yield ImageCache(place, Ports(LocalStore(tmp_path / "store"), client))
        case kind:
            name = Reference.parse("app-cache").with_default_tag()
            place = StorePlace(name) if kind == "store" else OciPlace(tmp_path / "layout", None)
            yield ImageCache(place, Ports(LocalStore(tmp_path / "store")))


def store(cache: CacheStore, directory: Path) -> None:
    with cache.replaced(directory, Restored(False)):
        pass


def keep(cache: CacheStore, directory: Path, old: Restored) -> CacheChecked:
    with kept(cache, directory, old) as checked:
        return checked


# -- every kind --------------------------------------------------------------------------------------------------


def test_a_cache_that_was_never_kept_is_not_found(cache: CacheStore, into: Callable[[], Path]) -> None:
    directory = into()
    assert cache.restore(directory) == Restored(False)
    assert os.listdir(directory) == []


def test_what_a_build_kept_the_next_one_gets(cache: CacheStore, full: Path, into: Callable[[], Path]) -> None:
    checked = keep(cache, full, Restored(False))
    assert checked.state == "stored"
    assert checked.size > 100_000
    directory = into()
    restored = cache.restore(directory)
    assert restored == Restored(True, fingerprint=fingerprint(full))
    assert (directory / "pip" / "tool").stat().st_mtime == 1_600_000_000
    assert os.readlink(directory / "latest") == "pip/wheels/a.whl"
    assert keep(cache, directory, restored) == CacheChecked("unchanged")
    (directory / "new").touch()
    assert keep(cache, directory, restored).state == "stored"
    again = into()
    assert cache.restore(again).fingerprint == fingerprint(directory)


def test_a_build_that_leaves_nothing_does_not_replace_the_cache(
    cache: CacheStore, full: Path, into: Callable[[], Path]
) -> None:
    store(cache, full)
    directory = into()
    restored = cache.restore(directory)
    assert keep(cache, into(), restored) == CacheChecked("empty")
    assert cache.restore(into()).fingerprint == fingerprint(full)


def test_two_builds_that_store_at_once_leave_one_whole_cache(
    cache: CacheStore, full: Path, into: Callable[[], Path]
) -> None:
    other = into()
    (other / "b.whl").write_bytes(os.urandom(2 << 20))
    threads = [threading.Thread(target=store, args=(cache, path)) for path in (full, other, full, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.restore(into()).fingerprint in (fingerprint(full), fingerprint(other))


def test_a_build_that_fails_afterwards_leaves_the_old_cache(
    cache: CacheStore, full: Path, into: Callable[[], Path]
) -> None:
    store(cache, full)
    directory = into()
    restored = cache.restore(directory)
    (directory / "new").write_bytes(os.urandom(100_000))
    with pytest.raises(ZeroDivisionError), kept(cache, directory, restored) as checked:
        assert checked.state == "stored"
        raise ZeroDivisionError
    assert cache.restore(into()).fingerprint == fingerprint(full)


def test_what_lay_in_the_directory_is_no_part_of_the_cache(
    cache: CacheStore, full: Path, into: Callable[[], Path]
) -> None:
    """In a container it may be a volume that an earlier build has filled."""
    store(cache, full)
    directory = into()
    (directory / "left").touch()
    assert cache.restore(directory).fingerprint == fingerprint(full)
    assert not (directory / "left").exists()


def test_a_build_that_removes_the_directory_does_not_replace_the_cache(
    cache: CacheStore, full: Path, into: Callable[[], Path]
) -> None:
    store(cache, full)
    directory = into()
    restored = cache.restore(directory)
    shutil.rmtree(directory)
    assert keep(cache, directory, restored) == CacheChecked("empty")
    assert cache.restore(into()).found


# -- trouble -----------------------------------------------------------------------------------------------------


def hostile() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("fine"))
        tar.addfile(tarfile.TarInfo("../escape"))
    return out.getvalue()


@pytest.mark.parametrize("data", [b"", b"<html>no", hostile(), b"\x1f\x8b\x08" + os.urandom(200)])
def test_a_broken_cache_is_told_and_the_directory_stays_empty(
    data: bytes, remotes: Remotes, tmp_path: Path, full: Path, into: Callable[[], Path]
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / CACHE_NAME).write_bytes(data)
    cache = folder_cache(tmp_path / "kept", remotes)
    directory = into()
    restored = cache.restore(directory)
    assert not restored.found
    assert "the cache" in restored.why
    assert os.listdir(directory) == []
    assert keep(cache, full, restored).state == "stored"  # and the next build has a whole one
    assert cache.restore(into()).found


@pytest.mark.parametrize("trouble", [{"statuses": [403]}, {"statuses": [500] * 2}, {"cut": 9}])
def test_a_place_that_fails_is_told_and_not_fatal(
    trouble: dict[str, object],
    remotes: Remotes,
    server: ObjectServer,
    full: Path,
    tmp_path: Path,
    into: Callable[[], Path],
) -> None:
    cache = url_cache(server.url("/open/c?s=secret"), server.url("/open/c?s=secret"), remotes, tmp_path / "scratch")
    store(cache, full)
    server.fails = ("GET",)
    for name, value in trouble.items():
        setattr(server, name, value)
    directory = into()
    restored = cache.restore(directory)
    assert not restored.found
    assert "127.0.0.1" in restored.why
    assert "secret" not in restored.why
    assert os.listdir(directory) == []


@pytest.mark.parametrize("kind", ["urls", "object"])
def test_storing_that_fails_leaves_the_old_cache_and_no_litter(
    kind: str, remotes: Remotes, server: ObjectServer, full: Path, tmp_path: Path, into: Callable[[], Path]
) -> None:
    url, scratch = server.url("/open/c"), tmp_path / "scratch"
    cache = url_cache(url, url, remotes, scratch) if kind == "urls" else object_cache("s3://b/c", remotes, scratch)
    store(cache, full)
    server.statuses = [403]
    with pytest.raises(PylifeError, match="The cache cannot be sent"):
        store(cache, into())
    assert cache.restore(into()).fingerprint == fingerprint(full)
    assert os.listdir(scratch) == []


def test_a_cache_that_cannot_be_put_back_is_told(
    remotes: Remotes, server: ObjectServer, full: Path, tmp_path: Path, into: Callable[[], Path]
) -> None:
    told = RecordingSink()
    url = server.url("/open/c?s=secret")
    cache = url_cache(url, url, dataclasses.replace(remotes, sink=told), tmp_path / "scratch")
    store(cache, full)
    directory = into()
    restored = cache.restore(directory)
    (directory / "new").touch()
    with pytest.raises(ZeroDivisionError), cache.replaced(directory, restored):
        server.statuses = [507]
        raise ZeroDivisionError
    (warning,) = [event for event in told.events if isinstance(event, Message)]
    assert warning.level == "warning"
    assert "The cache that was at" in warning.text and "507" in warning.text and "secret" not in warning.text
    assert cache.restore(into()).fingerprint == fingerprint(directory)


def test_an_image_that_cannot_be_put_back_is_told_and_does_not_hide_what_failed(
    tmp_path: Path, full: Path, into: Callable[[], Path]
) -> None:
    told = RecordingSink()
    folder = tmp_path / "layout"
    cache = ImageCache(OciPlace(folder, "cache"), Ports(LocalStore(tmp_path / "store")), told)
    store(cache, full)
    directory = into()
    restored = cache.restore(directory)
    (directory / "new").touch()
    with pytest.raises(ZeroDivisionError), cache.replaced(directory, restored):
        shutil.rmtree(folder)
        folder.write_text("in the way")
        raise ZeroDivisionError
    (warning,) = [event for event in told.events if isinstance(event, Message)]
    assert warning.level == "warning"
    assert "The cache that was at" in warning.text


@pytest.mark.parametrize("put", ["s3://bucket/key", "https://", "nowhere"])
def test_a_url_that_no_cache_can_be_put_to_is_known_before_the_build(
    put: str, remotes: Remotes, tmp_path: Path
) -> None:
    with pytest.raises((BadTarget, BadUrl)) as caught:
        url_cache("https://store.example/cache", put, remotes, tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", ["folder", "urls"])
def test_a_full_disk_leaves_the_old_cache_and_no_litter(
    kind: str,
    remotes: Remotes,
    server: ObjectServer,
    full: Path,
    tmp_path: Path,
    into: Callable[[], Path],
) -> None:
    url, place = server.url("/open/c"), tmp_path / "kept"
    cache = url_cache(url, url, remotes, place) if kind == "urls" else folder_cache(place, remotes)
    store(cache, full)
    large = into()
    (large / "large").write_bytes(os.urandom(4 << 20))
    with small_files(), pytest.raises(DiskFull):
        store(cache, large)
    assert cache.restore(into()).fingerprint == fingerprint(full)
    assert os.listdir(place) == ([CACHE_NAME] if kind == "folder" else [])


def test_a_server_that_is_away_is_told(remotes: Remotes, tmp_path: Path, into: Callable[[], Path]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    restored = url_cache(f"http://127.0.0.1:{port}/c", "", remotes, tmp_path).restore(into())
    assert not restored.found
    assert "cannot be fetched" in restored.why or "cannot be reached" in restored.why


def test_an_image_that_is_no_cache_is_told(tmp_path: Path, into: Callable[[], Path]) -> None:
    from lifecycle.events import NullSink
    from lifecycle.image import Image, save
    from lifecycle.oci import ImageConfig, Platform

    ports = Ports(LocalStore(tmp_path / "store"))
    place = StorePlace(Reference.parse("app").with_default_tag())
    save(Image(ImageConfig.empty(Platform.host()), ()), place, ports, NullSink())
    restored = ImageCache(place, ports).restore(into())
    assert not restored.found
    assert "none that holds a cache" in restored.why


def test_a_cache_without_a_place_to_go_to_is_not_stored(
    remotes: Remotes, server: ObjectServer, full: Path, tmp_path: Path, into: Callable[[], Path]
) -> None:
    cache = url_cache("", "", remotes, tmp_path / "scratch")
    assert cache.restore(into()) == Restored(False)
    assert keep(cache, full, Restored(False)) == CacheChecked("unchanged")
    assert server.requests == []


# -- fingerprint -------------------------------------------------------------------------------------------------


def test_times_and_owners_do_not_count(full: Path) -> None:
    before = fingerprint(full)
    for path in full.rglob("*"):
        os.utime(path, (5, 5), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(path, 1234, 1234, follow_symlinks=False)
    full.chmod(0o700)
    assert fingerprint(full) == before


def _move(root: Path) -> None:
    (root / "pip" / "tool").rename(root / "tool")


def _relink(root: Path) -> None:
    (root / "latest").unlink()
    (root / "latest").symlink_to("pip/wheels/b.whl")


def _become_a_folder(root: Path) -> None:
    (root / "latest").unlink()
    (root / "latest").mkdir()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "pip" / "tool").write_text("#!/bin/SH\n"),
        lambda root: (root / "pip" / "tool").chmod(0o644),
        lambda root: (root / "pip").chmod(0o700),
        lambda root: (root / "pip" / "tool").unlink(),
        lambda root: (root / "pip" / "empty").mkdir(),
        _move,
        _relink,
        _become_a_folder,
    ],
)
def test_every_change_counts(change: Callable[[Path], object], full: Path) -> None:
    before = fingerprint(full)
    change(full)
    assert fingerprint(full) not in (before, "")


def test_folders_alone_are_nothing(tmp_path: Path, into: Callable[[], Path]) -> None:
    root = into()
    (root / "a" / "b").mkdir(parents=True)
    assert fingerprint(root) == ""
