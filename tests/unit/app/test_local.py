"""The local store by name: where a name is found, and what is said when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.app.local import find, list_images, need, remove, tag
from lifecycle.events import NullSink
from lifecycle.image.errors import ImageNotFound
from lifecycle.image.places import OciPlace, RegistryPlace, StorePlace, save
from lifecycle.image.ports import Ports
from lifecycle.oci import Reference
from lifecycle.store import LocalStore
from lifecycle.testing.images import tiny_image

DEMO = Reference.parse("demo:latest")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store")
    save(tiny_image(store), StorePlace(DEMO), Ports(store), NullSink())
    return store


def test_name_in_the_store_is_found_there(store: LocalStore) -> None:
    assert find("demo", Ports(store)) == StorePlace(DEMO)


def test_name_with_a_registry_is_found_there_when_the_store_lacks_it(store: LocalStore) -> None:
    assert find("reg.example/app", Ports(store)) == RegistryPlace(Reference.parse("reg.example/app:latest"))


def test_bare_name_is_never_asked_for_at_a_registry(store: LocalStore) -> None:
    with pytest.raises(ImageNotFound, match="no image dmo:latest") as caught:
        find("dmo", Ports(store))
    assert caught.value.fix == "Did you mean `demo`?"
    assert find("docker://debian", Ports(store)) == RegistryPlace(Reference.parse("debian:latest"))


def test_transport_is_left_to_the_place(store: LocalStore) -> None:
    assert find("oci:here:1", Ports(store)) == OciPlace(Path("here"), "1")


def test_empty_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound) as caught:
        need(LocalStore(tmp_path), DEMO)
    assert caught.value.why == "it is empty"
    assert "pylife pull" in caught.value.fix


def test_tag_and_remove_change_names_only(store: LocalStore) -> None:
    new = Reference.parse("other:1")
    descriptor = tag(store, DEMO, new)
    assert need(store, new).digest == descriptor.digest
    remove(store, [DEMO])
    assert [item.ref.familiar for item in list_images(store)] == ["other:1"]
