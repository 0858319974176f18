"""Images to and from a registry over HTTP, with faults switched on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.errors import PylifeError
from lifecycle.events import NullSink
from lifecycle.image import (
    Image,
    Ports,
    RegistryPlace,
    RemoteLayer,
    StorePlace,
    append,
    copy,
    index_of,
    load,
    load_image,
    parse_place,
    save,
    send,
)
from lifecycle.image.validate import validate, validate_place
from lifecycle.oci import History, Reference
from lifecycle.registry import RegistryClient
from lifecycle.store import LocalStore
from lifecycle.testing.images import AMD64, ARM64, layer_of, random_image
from lifecycle.testing.registry import Corrupt, FaultyRegistry

SINK = NullSink()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FaultyRegistry]:
    with FaultyRegistry(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient() as client:
        yield client


@pytest.fixture
def ports(store: LocalStore, client: RegistryClient) -> Ports:
    return Ports(store, client)


def at(registry: FaultyRegistry, name: str) -> RegistryPlace:
    return RegistryPlace(Reference.parse(f"{registry.address}/{name}"))


def test_pushed_image_comes_back_byte_for_byte(ports: Ports, registry: FaultyRegistry) -> None:
    image = random_image(ports.store)
    assert save(image, at(registry, "app:1"), ports, SINK).digest == image.digest
    loaded = load(at(registry, "app:1"), ports)
    assert isinstance(loaded, Image)
    assert loaded.manifest.raw == image.manifest.raw
    assert all(isinstance(layer, RemoteLayer) for layer in loaded.layers)
    assert validate(loaded) == ()
    assert load(at(registry, f"app@{image.digest}"), ports).digest == image.digest


def test_manifest_is_put_after_all_blobs(ports: Ports, registry: FaultyRegistry) -> None:
    save(random_image(ports.store), at(registry, "app:1"), ports, SINK)
    writes = [item for item in registry.seen if item.method in ("PUT", "PATCH", "POST")]
    assert "/manifests/1" in writes[-1].path
    assert sum("/manifests/" in item.path for item in writes) == 1


def test_second_push_sends_no_blob(ports: Ports, registry: FaultyRegistry, store: LocalStore) -> None:
    image = random_image(store)
    save(image, at(registry, "app:1"), ports, SINK)
    with RegistryClient() as fresh:
        done = send(image, at(registry, "app:2"), Ports(store, fresh), SINK)
    assert (len(done.sent), len(done.present)) == (0, 4)


def test_index_is_copied_to_a_registry_and_back(ports: Ports, registry: FaultyRegistry, tmp_path: Path) -> None:
    images = [random_image(ports.store, seed=n, platform=p) for n, p in enumerate((AMD64, ARM64))]
    index = index_of(images)
    save(index, at(registry, "multi"), ports, SINK)
    assert load(at(registry, "multi"), ports).digest == index.digest
    assert load_image(at(registry, "multi"), ports, ARM64).digest == images[1].digest
    out = parse_place(f"oci:{tmp_path}/out")
    copy(at(registry, "multi"), out, ports, SINK)
    assert load(out, ports).digest == index.digest
    assert validate(load(out, ports)) == ()


def test_layers_of_a_remote_base_are_mounted_not_downloaded(ports: Ports, registry: FaultyRegistry) -> None:
    save(random_image(ports.store), at(registry, "base:1"), ports, SINK)
    base = load_image(at(registry, "base:1"), ports)
    registry.seen.clear()
    app = append(base, [(layer_of(ports.store, {"app": b"1"}), History(created_by="app"))])
    with RegistryClient() as fresh:
        done = send(app, at(registry, "team/app:1"), Ports(ports.store, fresh), SINK)
    assert len(done.mounted) == 3
    assert len(done.sent) == 2  # the new layer and the config
    assert registry.requests("GET", "/blobs/") == []
    assert validate(load(at(registry, "team/app:1"), ports)) == ()


def test_lazily_stored_image_leaves_the_base_in_its_registry(
    ports: Ports, registry: FaultyRegistry, tmp_path: Path
) -> None:
    builder = Ports(LocalStore(tmp_path / "builder"), ports.registry)
    save(random_image(builder.store), at(registry, "base:1"), builder, SINK)
    base = load_image(at(registry, "base:1"), ports)
    registry.seen.clear()
    app = append(base, [(layer_of(ports.store, {"app": b"1"}), History(created_by="app"))])
    place = StorePlace(Reference.parse("app"))
    save(app, place, ports, SINK, lazy=True)
    assert registry.requests("GET", "/blobs/") == []
    assert not ports.store.blobs.has(base.layers[0].descriptor.digest)
    ports.store.gc()
    done = send(load(place, ports), at(registry, "app:1"), ports, SINK)
    assert len(done.mounted) == 3
    assert registry.requests("GET", "/blobs/") == []
    out = parse_place(f"oci:{tmp_path}/out")
    copy(place, out, ports, SINK)
    assert validate(load(out, ports)) == ()
    assert load(out, ports).digest == app.digest


def test_pulled_image_remembers_where_its_layers_are(ports: Ports, registry: FaultyRegistry, tmp_path: Path) -> None:
    builder = Ports(LocalStore(tmp_path / "builder"), ports.registry)
    save(random_image(builder.store), at(registry, "base:1"), builder, SINK)
    place = StorePlace(Reference.parse("pulled"))
    copy(at(registry, "base:1"), place, ports, SINK)
    assert validate(load(place, Ports(ports.store))) == ()
    with RegistryClient() as fresh:
        done = send(load(place, ports), at(registry, "elsewhere:1"), Ports(ports.store, fresh), SINK)
    assert len(done.mounted) == 3


def test_image_left_lazy_cannot_be_read_without_its_registry(
    ports: Ports, registry: FaultyRegistry, tmp_path: Path
) -> None:
    builder = Ports(LocalStore(tmp_path / "builder"), ports.registry)
    save(random_image(builder.store), at(registry, "base:1"), builder, SINK)
    place = StorePlace(Reference.parse("lazy"))
    save(load(at(registry, "base:1"), ports), place, ports, SINK, lazy=True)
    findings = validate_place(place, Ports(ports.store))
    assert [item.where for item in findings] == ["layer 1", "layer 2", "layer 3"]


def test_registry_that_lies_about_a_blob_leaves_no_image(
    ports: Ports, registry: FaultyRegistry, tmp_path: Path
) -> None:
    builder = Ports(LocalStore(tmp_path / "builder"), ports.registry)
    image = random_image(builder.store, size=100_000)
    save(image, at(registry, "app:1"), builder, SINK)
    registry.fault(Corrupt(), method="GET", path=f"/blobs/{image.layers[1].descriptor.digest}", times=None)
    place = StorePlace(Reference.parse("app"))
    with pytest.raises(PylifeError):
        copy(at(registry, "app:1"), place, ports, SINK)
    assert ports.store.get(place.ref) is None
    assert not ports.store.blobs.has(image.layers[1].descriptor.digest)
    assert not list(ports.store.root.rglob(".pylife-partial-*"))
