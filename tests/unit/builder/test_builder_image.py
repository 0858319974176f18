from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.archive import Entry, Kind, read_tar
from lifecycle.builder import defaults
from lifecycle.builder.config import BuilderDefinition, load_builder
from lifecycle.builder.create import NoUser, create_builder
from lifecycle.builder.defaults import (
    NoMetadata,
    NotMade,
    builder_reference,
    ensure_default_builder,
    inspect_builder,
    made_builder,
)
from lifecycle.builder.definition import load_stack
from lifecycle.builder.share import shared
from lifecycle.builder.stack import KEY_LABEL, NoStack, Stack, inspect_stack, list_stacks
from lifecycle.events import NullSink
from lifecycle.image import Image, Ports, StorePlace, append, empty, load_image, save, with_labels, write_layer
from lifecycle.image.validate import validate
from lifecycle.oci import History, ImageConfig, Platform, Reference
from lifecycle.store import LocalStore

LAUNCHER = b"\x7fELF launcher"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def base_image(store: LocalStore, **env: str) -> Image:
    layer = write_layer([(Entry(b"etc", Kind.DIR, 0o755), None)], store)
    variables = {"CNB_USER_ID": "1000", "CNB_GROUP_ID": "1001", "PATH": "/bin"} | env
    config = ImageConfig.empty(Platform.parse("linux/amd64")).with_env(variables)
    return append(empty(config), [(layer, History("1980-01-01T00:00:01Z", "base"))])


@pytest.fixture
def definition(tmp_path: Path) -> BuilderDefinition:
    """The shipped builder in a directory of its own, so that a test may change it."""
    place = tmp_path / "definition"
    for name in ("buildpacks", "stacks"):
        shutil.copytree(shared(name), place / name)
    shutil.copy(shared("builder.toml"), place)
    return load_builder(place / "builder.toml")


def members(image: Image, number: int) -> dict[str, tuple[Entry, bytes]]:
    with image.layers[number].uncompressed() as tar:
        return {entry.name.decode(): (entry, stream.read()) for entry, stream in read_tar(tar)}


def test_builder_has_what_the_contract_asks_for(store: LocalStore, definition: BuilderDefinition) -> None:
    image = create_builder(definition, base_image(store), LAUNCHER, store)
    assert not list(validate(image))
    assert (image.config.user, image.config.working_dir) == ("1000:1001", "/layers")
    directories = members(image, 1)
    assert [(directories[name][0].uid, directories[name][0].gid) for name in ("layers", "workspace")] == [
        (1000, 1001)
    ] * 2
    assert directories["cnb"][0].uid == directories["platform/env"][0].uid == 0
    lifecycle = members(image, 2)
    assert (lifecycle["cnb/lifecycle/launcher"][0].mode, lifecycle["cnb/lifecycle/launcher"][1]) == (0o755, LAUNCHER)
    assert (
        "0.12" in tomllib.loads(lifecycle["cnb/lifecycle/lifecycle.toml"][1].decode())["apis"]["buildpack"]["supported"]
    )
    order = tomllib.loads(members(image, len(image.layers) - 1)["cnb/order.toml"][1].decode())["order"]
    assert order == json.loads(image.config.labels["io.buildpacks.buildpack.order"])
    run = tomllib.loads(members(image, len(image.layers) - 1)["cnb/run.toml"][1].decode())
    assert run["images"][0]["image"] == "pylife/bookworm-run:latest"


def test_each_buildpack_is_a_layer_of_its_own_sorted_by_name(store: LocalStore, definition: BuilderDefinition) -> None:
    image = create_builder(definition, base_image(store), LAUNCHER, store)
    held = json.loads(image.config.labels["io.buildpacks.buildpack.layers"])
    packed = [item.buildpack for item in definition.buildpacks]
    assert sorted(held) == sorted(item.id for item in packed)
    diff_ids = [str(layer.diff_id) for layer in image.layers]
    places = [diff_ids.index(held[item.id][item.version]["layerDiffID"]) for item in packed]
    assert places == list(range(3, 3 + len(packed)))
    assert [bool(held[item.id][item.version].get("order")) for item in packed] == [item.is_composite for item in packed]
    metadata = json.loads(image.config.labels["io.buildpacks.builder.metadata"])
    assert metadata["images"][0] == metadata["stack"]["runImage"]


def test_buildpack_carries_the_sdk_and_plain_modes(store: LocalStore, definition: BuilderDefinition) -> None:
    number, packed = next(pair for pair in enumerate(definition.buildpacks) if pair[1].buildpack.id == "pylife/python")
    python = packed.directory
    (python / "bin" / "build").chmod(0o600)
    (python / "lib" / "__pycache__").mkdir(exist_ok=True)
    (python / "lib" / "__pycache__" / "x.pyc").write_bytes(b"x")
    image = create_builder(definition, base_image(store), LAUNCHER, store)
    found = members(image, 3 + number)
    top = f"cnb/buildpacks/pylife_python/{packed.buildpack.version}"
    assert f"{top}/lib/pylife_sdk/__init__.py" in found
    assert not [name for name in found if "__pycache__" in name]
    assert found[f"{top}/bin/build"][0].mode == 0o755
    assert found[f"{top}/buildpack.toml"][0].mode == 0o644
    assert {(entry.uid, entry.gid) for entry, _ in found.values()} == {(0, 0)}


def test_same_inputs_give_the_same_digest_and_a_change_touches_one_layer(
    store: LocalStore, definition: BuilderDefinition, tmp_path: Path
) -> None:
    image = create_builder(definition, base_image(store), LAUNCHER, store)
    other = LocalStore(tmp_path / "other")
    assert create_builder(definition, base_image(other), LAUNCHER, other).digest == image.digest
    (definition.buildpacks[1].directory / "extra").write_text("x")
    changed = create_builder(definition, base_image(store), LAUNCHER, store)
    differ = [one.diff_id != two.diff_id for one, two in zip(image.layers, changed.layers, strict=True)]
    assert [number for number, changed in enumerate(differ) if changed] == [4]


@pytest.mark.parametrize("user", ["0", "", "cnb", "-1"])
def test_a_build_image_without_a_plain_user_is_refused(
    store: LocalStore, definition: BuilderDefinition, user: str
) -> None:
    with pytest.raises(NoUser):
        create_builder(definition, base_image(store, CNB_USER_ID=user), LAUNCHER, store)


def keep(store: LocalStore, image: Image, ref: Reference) -> None:
    save(image, StorePlace(ref), Ports(store), NullSink())


def test_a_current_builder_is_taken_as_it_is_and_a_stale_one_is_not(
    store: LocalStore, definition: BuilderDefinition
) -> None:
    """The workshop has no sandbox: whatever wants to make something fails on the spot."""
    workshop = SimpleNamespace(store=store, sink=NullSink())
    stack = definition.stack
    assert stack is not None
    with pytest.raises(NotMade):
        made_builder(definition.file, store)
    base = with_labels(base_image(store), {KEY_LABEL: stack.key("build")})
    keep(store, base, stack.reference("build"))
    keep(store, with_labels(base, {KEY_LABEL: stack.key("run")}), stack.reference("run"))
    ref = builder_reference(definition)
    image = create_builder(definition, base, LAUNCHER, store, key=defaults._key(definition, base))
    keep(store, image, ref)

    assert ensure_default_builder(definition.file, workshop).digest == image.digest  # type: ignore[arg-type]
    assert made_builder(definition.file, store)[1].digest == image.digest
    (definition.buildpacks[0].directory / "extra").write_text("x")
    with pytest.raises(AttributeError, match=r"snapshotter|sandbox"):
        ensure_default_builder(definition.file, workshop)  # type: ignore[arg-type]


def test_builder_of_another_file_has_another_name(definition: BuilderDefinition) -> None:
    assert builder_reference(load_builder(shared("builder.toml"))).familiar == "pylife/builder:latest"
    assert builder_reference(definition).familiar.startswith("pylife/builder:toml-")


def test_builder_is_shown_as_plain_data(store: LocalStore, definition: BuilderDefinition) -> None:
    base = base_image(store)
    data = inspect_builder(create_builder(definition, base, LAUNCHER, store), Reference.parse("x/y"))
    assert json.loads(json.dumps(data)) == data
    shown = {item["id"]: item for item in data["buildpacks"]}
    python = next(item.buildpack for item in definition.buildpacks if item.buildpack.id == "pylife/python")
    assert shown["pylife/python"] == {
        "id": "pylife/python",
        "version": python.version,
        "name": "Python",
        "api": str(python.api),
    }
    assert {"id": "pylife/python", "version": python.version} in shown["pylife/python-app"]["order"][0]["group"]
    assert data["run_images"][0]["image"] == "pylife/bookworm-run:latest"
    with pytest.raises(NoMetadata):
        inspect_builder(base, Reference.parse("x/y"))


def test_stacks_in_the_store_are_listed_by_the_names_of_their_images(store: LocalStore) -> None:
    stack = load_stack(shared("stacks") / "bookworm")
    assert list_stacks(store) == []
    with pytest.raises(NoStack):
        inspect_stack(stack, store)
    for kind in ("build", "run"):
        keep(store, with_labels(base_image(store), {KEY_LABEL: "x"}), stack.reference(kind))  # type: ignore[arg-type]
    keep(store, base_image(store), Reference.parse("pylife/other-run"))
    listed = list_stacks(store)
    assert [(row["build_image"], row["run_image"]) for row in listed] == [
        ("pylife/bookworm-build:latest", "pylife/bookworm-run:latest")
    ]
    whole = inspect_stack(stack, store)
    assert isinstance(whole, Stack)
    assert whole.as_dict()["images"]["run"]["digest"] == listed[0]["images"]["run"]["digest"]
    assert load_image(StorePlace(stack.reference("run")), Ports(store)).digest == whole.run_image.digest
