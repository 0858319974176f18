from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lifecycle.events import NullSink
from lifecycle.image import Ports, StorePlace, load, save
from lifecycle.image.validate import validate
from lifecycle.oci import BadDocument, Descriptor, Digest, Reference, mediatypes
from lifecycle.store import LocalStore, MissingBlob, StoreBusy, put_bytes
from lifecycle.testing.images import random_image, tiny_image


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def keep(store: LocalStore, name: str, seed: int = 0) -> Descriptor:
    image = random_image(store, seed=seed, layers=2)
    return save(image, StorePlace(Reference.parse(name)), Ports(store), NullSink())


def assert_sound(store: LocalStore) -> None:
    for ref, descriptor in store.items():
        image = load(StorePlace(ref), Ports(store))
        assert image.digest == descriptor.digest
        assert validate(image) == ()


def a_blob(store: LocalStore, data: bytes) -> Descriptor:
    return Descriptor(mediatypes.OCI_LAYER_GZIP, put_bytes(store.blobs, data), len(data))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("demo", "demo:latest"),
        ("docker.io/library/demo:latest", "demo:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("reg.example/team/app:1", "reg.example/team/app:1"),
    ],
)
def test_image_is_kept_under_the_familiar_form_of_its_name(store: LocalStore, given: str, key: str) -> None:
    put = keep(store, given)
    assert store.layout.names() == [key]
    found = store.get(Reference.parse(given))
    assert found is not None
    assert found.digest == put.digest


def test_name_with_a_digest_finds_the_image_of_the_repository(store: LocalStore) -> None:
    put = keep(store, "demo:1")
    assert store.get(Reference.parse(f"demo@{put.digest}")) is not None
    assert store.get(Reference.parse(f"demo:1@{put.digest}")) is not None
    assert store.get(Reference.parse(f"other@{put.digest}")) is None
    assert store.get(Reference.parse(f"demo@{Digest.of(b'x')}")) is None


def test_put_refuses_a_manifest_that_is_not_there(store: LocalStore) -> None:
    with pytest.raises(MissingBlob):
        store.put(Reference.parse("demo"), Descriptor(mediatypes.OCI_MANIFEST, Digest.of(b"x"), 1))


def test_items_are_sorted_and_skip_names_of_other_tools(store: LocalStore) -> None:
    descriptor = keep(store, "b")
    keep(store, "a", seed=1)
    store.layout.tag("NOT A NAME", descriptor)
    assert [ref.familiar for ref, _ in store.items()] == ["a:latest", "b:latest"]


def test_removed_name_is_gone_and_its_blobs_go_with_the_next_collection(store: LocalStore) -> None:
    keep(store, "a")
    keep(store, "b", seed=1)
    assert store.remove(Reference.parse("a"))
    assert not store.remove(Reference.parse("a"))
    report = store.gc()
    assert report.blobs == 4  # manifest, config, two layers
    assert report.bytes > 10_000
    assert report.notes == 2
    assert validate(load(StorePlace(Reference.parse("b")), Ports(store))) == ()
    assert store.gc() == type(report)(0, 0, 0, 0)


def test_layer_shared_by_two_images_stays_until_both_are_gone(store: LocalStore) -> None:
    shared = {"shared": b"s" * 1000}
    for name, own in (("a", b"1"), ("b", b"2")):
        image = tiny_image(store, shared, {"own": own})
        save(image, StorePlace(Reference.parse(name)), Ports(store), NullSink())
    store.remove(Reference.parse("a"))
    store.gc()
    assert validate(load(StorePlace(Reference.parse("b")), Ports(store))) == ()
    store.remove(Reference.parse("b"))
    store.gc()
    assert store.blobs.digests() == []


def test_collection_keeps_all_members_of_an_index(store: LocalStore) -> None:
    from lifecycle.image import index_of
    from lifecycle.oci import Platform

    images = [
        random_image(store, seed=n, platform=Platform("linux", arch)) for n, arch in enumerate(("amd64", "arm64"))
    ]
    save(index_of(images), StorePlace(Reference.parse("multi")), Ports(store), NullSink())
    put_bytes(store.blobs, b"rubbish")
    assert store.gc().blobs == 1
    assert validate(load(StorePlace(Reference.parse("multi")), Ports(store))) == ()


def test_collection_removes_nothing_when_a_manifest_is_damaged(store: LocalStore) -> None:
    from lifecycle.errors import PylifeError

    descriptor = keep(store, "a")
    rubbish = put_bytes(store.blobs, b"rubbish")
    store.blobs.path(descriptor.digest).write_bytes(b"damaged")
    with pytest.raises(PylifeError):
        store.gc()
    assert store.blobs.has(rubbish)


def test_remembered_layer_is_recalled_per_profile(store: LocalStore) -> None:
    diff_id = Digest.of(b"tar")
    gzip, zstd = a_blob(store, b"gzip bytes"), a_blob(store, b"zstd bytes")
    store.remember(diff_id, "gzip:isal2", gzip)
    store.remember(diff_id, "zstd:3", zstd)
    assert store.recall(diff_id, "gzip:isal2") == gzip
    assert store.recall(diff_id, "zstd:3") == zstd
    assert store.recall(diff_id) in (gzip, zstd)
    assert store.recall(diff_id, "none") is None
    assert store.recall(Digest.of(b"other")) is None


def test_remembered_layer_without_its_blob_is_not_recalled_and_its_note_goes(store: LocalStore) -> None:
    descriptor = a_blob(store, b"bytes")
    store.remember(Digest.of(b"tar"), "gzip:isal2", descriptor)
    store.blobs.path(descriptor.digest).write_bytes(b"byt")
    assert store.recall(Digest.of(b"tar")) is None
    store.blobs.delete(descriptor.digest)
    assert store.gc().notes == 1


def test_damaged_note_costs_only_time(store: LocalStore) -> None:
    store.remember(Digest.of(b"tar"), "gzip:isal2", a_blob(store, b"bytes"))
    for note in (store.root / ".pylife/layers").iterdir():
        note.write_text("{")
    assert store.recall(Digest.of(b"tar")) is None
    assert store.gc().notes == 1


def test_origin_of_a_blob_is_remembered_while_an_image_uses_it(store: LocalStore) -> None:
    manifest = keep(store, "a")
    layer = load(StorePlace(Reference.parse("a")), Ports(store)).manifest.layers[0]  # type: ignore[union-attr]
    store.note_origin(layer.digest, Reference.parse("reg.example/base:1"))
    store.note_origin(Digest.of(b"unused"), Reference.parse("reg.example/base:1"))
    assert store.gc().notes == 1
    assert str(store.origin(layer.digest)) == "reg.example/base"
    assert store.origin(manifest.digest) is None


def test_collection_is_refused_while_the_store_is_held(store: LocalStore) -> None:
    with store.hold(), store.hold(), pytest.raises(StoreBusy):
        LocalStore(store.root).gc()
    store.gc()


def test_collection_is_refused_while_another_process_holds_and_works_when_it_was_killed(store: LocalStore) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from lifecycle.store import LocalStore
        with LocalStore(Path(sys.argv[1])).hold():
            print("held", flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script, str(store.root)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusy):
            store.gc()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        store.gc()


_BUILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from lifecycle.events import NullSink
    from lifecycle.image import Ports, StorePlace, save
    from lifecycle.oci import Reference
    from lifecycle.store import LocalStore
    from lifecycle.testing.images import random_image
    store = LocalStore(Path(sys.argv[1]))
    print("ready", flush=True)
    for number in range(int(sys.argv[3])):
        with store.hold():
            image = random_image(store, seed=number, layers=3, files=3, size=20_000)
            save(image, StorePlace(Reference.parse(f"{sys.argv[2]}:{number}")), Ports(store), NullSink())
    """
)


def build(store: LocalStore, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _BUILD, str(store.root), name, str(count)], stdout=subprocess.PIPE)


def test_builds_at_once_lose_nothing(store: LocalStore) -> None:
    running = [build(store, name, 8) for name in ("a", "b", "c")]
    for process in running:
        process.communicate()
        assert process.returncode == 0
    assert len(store.items()) == 24
    digests = {ref.tag: set() for ref, _ in store.items()}  # type: ignore[var-annotated]
    for ref, descriptor in store.items():
        digests[ref.tag].add(descriptor.digest)
        assert validate(load(StorePlace(ref), Ports(store))) == ()
    assert all(len(found) == 1 for found in digests.values())


def test_builds_killed_at_any_moment_leave_a_sound_store(store: LocalStore) -> None:
    dice = random.Random(1)
    keep(store, "before")
    for round_ in range(6):
        process = build(store, f"r{round_}", 500)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.uniform(0.005, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        fresh = LocalStore(store.root)
        assert_sound(fresh)
    assert store.get(Reference.parse("before")) is not None
    store.gc()
    assert not list(store.root.rglob(".pylife-partial-*"))
    assert_sound(store)


def test_collections_between_builds_remove_nothing_that_is_needed(store: LocalStore) -> None:
    running = [build(store, name, 15) for name in ("a", "b")]
    collected = 0
    while any(process.poll() is None for process in running):
        try:
            store.gc()
            collected += 1
        except StoreBusy:
            pass
    for process in running:
        process.communicate()
        assert process.returncode == 0
    assert len(store.items()) == 30
    assert_sound(store)


def test_damaged_index_file_stops_the_collection(store: LocalStore) -> None:
    blob = put_bytes(store.blobs, b"rubbish")
    (store.root / "index.json").write_text("{}")
    with pytest.raises(BadDocument):
        store.gc()
    assert store.blobs.has(blob)
