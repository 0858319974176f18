"""Layers in all their forms, upon a real snapshotter (copies: it needs no privileges)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph_workshop import Workshop

from lifecycle.archive import Ownership
from lifecycle.archive.entry import Entry, Kind
from lifecycle.errors import PylifeError
from lifecycle.events import Message, StepStarted
from lifecycle.graph import Cancelled, KnownLayer, MemberLayer, Packer, open_cache, parse_cache_from
from lifecycle.image import Ports, RegistryPlace, save
from lifecycle.image.layer import BlobLayer
from lifecycle.image.validate import validate
from lifecycle.oci import Reference
from lifecycle.registry import RegistryClient
from lifecycle.snapshot import Snapshotter
from lifecycle.snapshot.copies import CopySnapshots
from lifecycle.testing.images import layer_of, members
from lifecycle.testing.registry import Corrupt, FaultyRegistry


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshotter:
    return CopySnapshots(tmp_path / "snapshots", Ownership.SELF)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FaultyRegistry]:
    with FaultyRegistry(tmp_path / "registry") as server:
        yield server


def warnings(shop: Workshop) -> list[str]:
    return [event.text for event in shop.sink.events if isinstance(event, Message) and event.level == "warning"]


def test_runs_build_upon_each_other_and_are_found_again(shop: Workshop, snapshots: Snapshotter) -> None:
    def target() -> object:
        return shop.write("b", shop.write("a", root=snapshots), root=snapshots)

    node = target()
    state = shop.solver().solve([node])[node]  # type: ignore[list-item,index]
    with snapshots.prepare(state.strata(snapshots)) as root:
        assert sorted(os.listdir(root.path)) == ["a", "b", "etc"]
    assert snapshots.has(state.diff_ids[-1])
    shop.log.clear()
    assert shop.build(target()) == []  # type: ignore[arg-type]


def test_a_copy_can_be_looked_at_before_it_is_packed_and_run_upon_after(shop: Workshop, snapshots: Snapshotter) -> None:
    layer = MemberLayer(members({"f": b"content"}), shop.packer)
    with snapshots.view([layer.view_stratum(snapshots)]) as view:
        assert view.lookup(b"f") is not None
    assert layer.stratum(snapshots) == layer.diff_id
    assert layer.view_stratum(snapshots) == layer.diff_id
    with snapshots.prepare([layer.stratum(snapshots)]) as root:
        assert (root.path / "f").read_bytes() == b"content"


def test_a_known_layer_is_unpacked_once(shop: Workshop, snapshots: Snapshotter) -> None:
    stored = layer_of(shop.store, {"f": b"x"})
    opened: list[int] = []

    class Counted(BlobLayer):
        def uncompressed(self):  # type: ignore[no-untyped-def]
            opened.append(1)
            return super().uncompressed()

    layer = KnownLayer(Counted(stored.descriptor, stored.diff_id, shop.store.blobs))
    threads = [threading.Thread(target=layer.stratum, args=(snapshots,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [1]


def test_a_damaged_layer_of_the_store_is_made_again(shop: Workshop, snapshots: Snapshotter) -> None:
    node = shop.write("a")
    layer = shop.solver().solve([node])[node].image_layers()[-1]
    path = shop.store.blobs.path(layer.descriptor.digest)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-12] + bytes([data[-12] ^ 255]) + data[-11:])
    shop.log.clear()
    target = shop.write("b", shop.write("a"), root=snapshots)
    state = shop.solver().solve([target])[target]
    assert shop.log == ["a", "b"]
    assert len(warnings(shop)) == 1
    for item in state.image_layers():
        with item.compressed() as stream:
            stream.read()
    assert shop.build(shop.write("b", shop.write("a"), root=snapshots)) == []


def test_a_damaged_layer_of_a_registry_is_made_again(
    shop: Workshop, snapshots: Snapshotter, registry: FaultyRegistry, tmp_path: Path
) -> None:
    from lifecycle.graph import export_cache, parse_cache_to

    ref = f"{registry.address}/app:cache"
    with RegistryClient() as client:
        node = shop.write("b", shop.write("a"))
        solver = shop.solver()
        layers = solver.solve([node])[node].image_layers()
        export_cache(parse_cache_to(ref), solver.records([node], "min"), (), Ports(shop.store, client), shop.sink)
        other = Workshop(tmp_path / "other")
        other.more = [open_cache(parse_cache_from(ref), Ports(other.store, client), other.sink)]
        registry.fault(Corrupt(20), method="GET", path=layers[-2].descriptor.digest.hex, times=None)
        with other.packer:
            target = other.write("c", other.write("b", other.write("a")), root=snapshots)
            other.solver().solve([target])
    assert other.log == ["a", "c"]
    assert len(warnings(other)) == 1


def test_an_unpacked_layer_of_a_registry_is_in_the_store_then(
    shop: Workshop, snapshots: Snapshotter, registry: FaultyRegistry
) -> None:
    image_ref = Reference.parse(f"{registry.address}/app:1")
    other = Workshop(shop.store.root.parent / "other")
    from lifecycle.image import append, empty, load_image
    from lifecycle.oci import History, ImageConfig, Platform

    image = append(empty(ImageConfig.empty(Platform.host())), [(layer_of(other.store, {"f": b"1"}), History())])
    with RegistryClient() as client, other.packer:
        save(image, RegistryPlace(image_ref), Ports(other.store, client), other.sink)
        remote = load_image(RegistryPlace(image_ref), Ports(shop.store, client))
        layer = shop.packer.known(remote.layers[0])
        layer.stratum(snapshots)
        assert shop.store.blobs.has(remote.layers[0].descriptor.digest)
        assert isinstance(layer.layer(), BlobLayer)
        assert validate(remote) == ()


def test_a_packing_error_is_what_the_layer_raises(shop: Workshop) -> None:
    layer = MemberLayer([(Entry(b"f", Kind.FILE, size=5), b"xxxx")], shop.packer)
    with pytest.raises(PylifeError):
        _ = layer.diff_id
    with pytest.raises(PylifeError):
        layer.layer()
    assert layer.settled


def test_an_abandoned_packer_drops_its_work_and_lets_go(shop: Workshop) -> None:
    closed: list[int] = []
    gate = threading.Event()

    def slow():  # type: ignore[no-untyped-def]
        for number in range(3):
            gate.wait(10)
            yield Entry(str(number).encode(), Kind.FILE), b""

    class Stop(Exception):
        pass

    future = None
    with pytest.raises(Stop), Packer(shop.store) as packer:
        packer.keep(lambda: closed.append(1))
        future = packer.pack(slow())
        threading.Timer(0.05, gate.set).start()
        raise Stop
    assert closed == [1]
    assert future is not None
    with pytest.raises(Cancelled):
        future.result()


def test_packing_something_large_is_shown(shop: Workshop) -> None:
    packer = Packer(shop.store, sink=shop.sink)
    with packer:
        MemberLayer([(Entry(b"f", Kind.FILE, size=20 << 20), b"\0" * (20 << 20))], packer, "COPY big")
        MemberLayer([(Entry(b"f", Kind.FILE, size=1), b"1")], packer, "COPY small")
    assert [event.title for event in shop.sink.events if isinstance(event, StepStarted)] == ["Pack COPY big"]
