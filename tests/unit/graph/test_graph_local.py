from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from graph_workshop import Workshop

from lifecycle.graph import LocalCache
from lifecycle.graph.local import DAY, UNUSED_DAYS
from lifecycle.image import StorePlace, save
from lifecycle.image.ports import Ports
from lifecycle.store import StoreBusy
from lifecycle.testing.images import tiny_image


def files(shop: Workshop) -> list[Path]:
    return sorted(path for path in shop.cache.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "swapped"])
def test_a_damaged_record_is_as_good_as_none(shop: Workshop, damage: str) -> None:
    node = shop.write("a")
    shop.build(node, shop.write("b"))
    for kind in ("records", "content"):
        one, two = sorted((shop.cache.root / kind).iterdir())
        datas = one.read_bytes(), two.read_bytes()
        for path, data, other in zip((one, two), datas, datas[::-1], strict=True):
            flipped = data[:100] + bytes([data[100] ^ 1]) + data[101:]
            path.write_bytes({"empty": b"", "cut": data[:200], "flipped": flipped, "swapped": other}[damage])
    assert "a" in shop.build(shop.write("a"), shop.write("b"))
    assert shop.build(shop.write("a"), shop.write("b")) == []


def test_a_record_whose_layer_is_gone_is_not_handed_out(shop: Workshop) -> None:
    node = shop.write("b", shop.write("a"))
    state = shop.solver().solve([node])[node]
    shop.store.blobs.delete(state.image_layers()[-1].descriptor.digest)
    cache = LocalCache(shop.cache.root, shop.store)
    assert cache.get(node.definition_key) is None
    assert cache.lost(node.definition_key)
    assert shop.build(shop.write("b", shop.write("a"))) == ["b"]


def test_a_layer_that_was_compressed_anew_is_still_known(shop: Workshop) -> None:
    from lifecycle.archive.compress import Profile
    from lifecycle.image.layer import compress_layer
    from lifecycle.oci import Dialect

    node = shop.write("a")
    layer = shop.solver().solve([node])[node].image_layers()[-1]
    compress_layer(layer, shop.store, Profile.ZSTD, Dialect.OCI)
    shop.store.blobs.delete(layer.descriptor.digest)
    again = shop.write("a")
    state = shop.solver().solve([again])[again]
    assert shop.log == ["a"]
    assert state.image_layers()[-1].descriptor == layer.descriptor  # gzip, as this packer makes images


def test_gc_keeps_the_layers_of_records(shop: Workshop) -> None:
    shop.build(shop.write("a"))
    report = shop.store.gc(lambda: (layer.descriptor.digest for layer in shop.cache.layers()))
    assert report.blobs == 1  # the base's, which no image has
    assert shop.build(shop.write("a")) == []


def test_records_that_were_not_used_for_long_are_removed_with_their_layers(shop: Workshop) -> None:
    shop.build(shop.write("a"))
    assert shop.cache.collect() == 0
    assert shop.cache.collect(time.time() + (UNUSED_DAYS + 1) * DAY) == 2
    assert files(shop) == []
    assert list(shop.cache.layers()) == []
    assert shop.build(shop.write("a")) == ["a"]


def test_use_keeps_a_record(shop: Workshop) -> None:
    shop.build(shop.write("a"))
    old = time.time() - 20 * DAY
    for path in files(shop):
        os.utime(path, (old, old))
    shop.build(shop.write("a"))
    assert shop.cache.collect(time.time() + 15 * DAY) == 1  # the record by content was not used
    assert shop.build(shop.write("a")) == []


def test_records_without_layers_are_removed(shop: Workshop) -> None:
    node = shop.write("b", shop.write("a"))
    state = shop.solver().solve([node])[node]
    shop.store.blobs.delete(state.image_layers()[-1].descriptor.digest)
    assert shop.cache.collect() == 2
    assert shop.build(shop.write("a")) == []


def test_gc_waits_for_builds(shop: Workshop) -> None:
    asked: list[int] = []
    with shop.store.hold(), pytest.raises(StoreBusy):
        shop.store.gc(lambda: asked.append(1) or ())  # type: ignore[func-returns-value]
    assert asked == []


def test_gc_keeps_images_too(shop: Workshop) -> None:
    from lifecycle.oci import Reference

    image = tiny_image(shop.store)
    save(image, StorePlace(Reference.parse("x:1")), Ports(shop.store), shop.sink)
    shop.build(shop.write("a"))
    shop.store.gc(lambda: (layer.descriptor.digest for layer in shop.cache.layers()))
    assert shop.store.blobs.has(image.layers[0].descriptor.digest)


WRITER = """
import sys
from pathlib import Path
from lifecycle.graph import Key, LocalCache
from lifecycle.graph.cache import Record
from lifecycle.store import LocalStore
from lifecycle.testing.images import layer_of

store = LocalStore(Path(sys.argv[1]) / "store")
cache = LocalCache(Path(sys.argv[1]) / "graph", store)
layer = layer_of(store, {"f": b"x"})
print("ready", flush=True)
for number in range(10**6):
    key = Key(f"{number % 50:064d}")
    cache.put(Record(key, key, key, (layer,) * 5, number))
"""


def test_a_writer_killed_at_any_moment_leaves_no_half_record(tmp_path: Path, shop: Workshop) -> None:
    for pause in (0.0, 0.01, 0.03, 0.07):
        with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(pause)
            writer.send_signal(signal.SIGKILL)
        cache = LocalCache(tmp_path / "graph", shop.store)
        assert cache.collect() == 0
        for path in files(shop):
            assert not path.name.startswith(".")


def test_two_builds_at_once_do_not_disturb_each_other(shop: Workshop, tmp_path: Path) -> None:
    import threading

    errors: list[BaseException] = []

    def build() -> None:
        try:
            nodes = [shop.write("0")]
            for number in range(1, 8):
                nodes.append(shop.write(str(number), nodes[-1]))
            shop.solver().solve(nodes[-1:])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert shop.cache.collect() == 0


def test_a_build_with_a_cache_that_cannot_be_written_goes_on(shop: Workshop) -> None:
    shop.cache.root.parent.mkdir(exist_ok=True)
    shop.cache.root.write_bytes(b"in the way")
    assert shop.build(shop.write("a")) == ["a"]
    assert any("left out" in getattr(event, "text", "") for event in shop.sink.events)
