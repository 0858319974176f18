"""When the slugbuilder and the slugrunner in the store are taken as they are, and when they are made anew."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.archive import Entry, Kind
from lifecycle.builder import slug
from lifecycle.builder.definition import StackDefinition, load_stack
from lifecycle.builder.installation import digest, own_files
from lifecycle.builder.modules import UnusablePython
from lifecycle.builder.slug import REQUIREMENTS_LABEL, ensure_slug_images, find_slug_images, slug_reference
from lifecycle.builder.stack import KEY_LABEL, PACKAGES_LABEL, image_key
from lifecycle.events import NullSink
from lifecycle.image import Image, Ports, StorePlace, append, empty, save, with_labels, write_layer
from lifecycle.oci import History, ImageConfig, Platform, Reference
from lifecycle.store import LocalStore

STACK = """
id = "org.example.tiny"
name = "tiny"
suite = "bookworm"
distro = { name = "debian", version = "12" }
user = { name = "slug", uid = 2000, gid = 2000, home = "/app" }
pylife = true
[run]
packages = ["python3"]
[build]
packages = ["python3"]
"""
PINS = f"click=={importlib.metadata.version('click')} no-such-thing<3,>=2"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def stack(tmp_path: Path) -> StackDefinition:
    (tmp_path / "stack.toml").write_text(STACK)
    return load_stack(tmp_path)


def keep(store: LocalStore, image: Image, ref: Reference) -> None:
    save(image, StorePlace(ref), Ports(store), NullSink())


def base(store: LocalStore, stack: StackDefinition, kind: str, packages: str = '{"python3":"3.11.2-1+b1"}') -> Image:
    layer = write_layer([(Entry(kind.encode(), Kind.DIR, 0o755), None)], store)
    image = append(empty(ImageConfig.empty(Platform.host())), [(layer, History("1980-01-01T00:00:01Z", kind))])
    key = image_key(stack, kind, None)  # type: ignore[arg-type]
    image = with_labels(image, {KEY_LABEL: key, PACKAGES_LABEL: packages})
    keep(store, image, stack.reference(kind))  # type: ignore[arg-type]
    return image


def keep_current(store: LocalStore, stack: StackDefinition, pins: str = PINS) -> list[Image]:
    """Both images as they would be made now, as far as their labels tell."""
    images = []
    for kind in ("build", "run"):
        below = base(store, stack, kind)
        labels = {KEY_LABEL: slug._key(below, digest(own_files())), REQUIREMENTS_LABEL: pins}
        images.append(with_labels(below, labels))
        keep(store, images[-1], slug_reference(stack, kind))  # type: ignore[arg-type]
    return images


def ensure(store: LocalStore, stack: StackDefinition) -> list[Image]:
    """The workshop has no sandbox: whatever wants to make something fails on the spot."""
    return list(ensure_slug_images(stack, SimpleNamespace(store=store, sink=NullSink())))  # type: ignore[arg-type]


def test_images_are_called_like_their_stack(stack: StackDefinition) -> None:
    assert slug_reference(stack, "build").familiar == "pylife/tinybuilder:latest"
    assert slug_reference(stack, "run").familiar == "pylife/tinyrunner:latest"


def test_current_images_are_found(store: LocalStore, stack: StackDefinition) -> None:
    assert find_slug_images(stack, store) is None
    made = keep_current(store, stack)
    assert [image.digest for image in ensure(store, stack)] == [image.digest for image in made]
    found = find_slug_images(stack, store)
    assert found is not None
    assert [image.digest for image in found] == [image.digest for image in made]


def test_a_changed_pylife_makes_them_anew(
    store: LocalStore, stack: StackDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_current(store, stack)
    (tmp_path / "new.py").write_text("x = 1\n")
    files = {**own_files(), "lifecycle/new.py": str(tmp_path / "new.py")}
    monkeypatch.setattr(slug, "own_files", lambda: files)
    with pytest.raises(AttributeError, match=r"snapshotter|sandbox"):
        ensure(store, stack)


def test_another_version_of_what_pylife_depends_on_makes_them_anew(store: LocalStore, stack: StackDefinition) -> None:
    keep_current(store, stack, pins="click==0.1")
    with pytest.raises(AttributeError, match=r"snapshotter|sandbox"):
        ensure(store, stack)


def test_a_changed_image_below_makes_them_anew(store: LocalStore, stack: StackDefinition) -> None:
    keep_current(store, stack)
    base(store, stack, "run", '{"python3":"3.11.3"}')
    with pytest.raises(AttributeError, match=r"snapshotter|sandbox"):
        ensure(store, stack)


def test_an_image_without_python_is_told(store: LocalStore, stack: StackDefinition) -> None:
    with pytest.raises(UnusablePython, match="without Python"):
        slug._python(base(store, stack, "build", '{"bash":"5"}'))
