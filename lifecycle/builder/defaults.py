"""The builder that a build uses when none is named: made on first use, and again when what it is made of changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import lifecycle
from lifecycle.builder.compile import Workshop, compile_launcher
from lifecycle.builder.config import BuilderDefinition, load_builder
from lifecycle.builder.create import LAYERS, METADATA, ORDER, create_builder
from lifecycle.builder.share import launcher_sources, shared
from lifecycle.builder.stack import KEY_LABEL, ensure_stack, find_current, image_dict
from lifecycle.errors import PylifeError
from lifecycle.events import Message, Sink, step
from lifecycle.image import Image, Ports, Registry, StorePlace, load, load_image, locate, save
from lifecycle.oci import Reference
from lifecycle.store import LocalStore
from lifecycle.store.partial import locked

DEFAULT = Reference.parse("pylife/builder:latest")
_FORMAT = "1"


class NotMade(PylifeError):
    """The builder of a builder.toml is not in the local store."""

    code = "builder.not-made"
    fix = "Make it: pylife builder create (a build does so by itself)"


class NoMetadata(PylifeError):
    """An image that was to be shown as a builder lacks the labels of one."""

    code = "builder.no-metadata"
    fix = "Name a builder image; `pylife inspect NAME` shows what the image is."


def builder_reference(definition: BuilderDefinition) -> Reference:
    """Under which name the builder of a file is kept: the shipped one's is the default."""
    path = definition.file.resolve()
    if path == shared("builder.toml").resolve():
        return DEFAULT
    return DEFAULT.with_tag(f"toml-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}")


def ensure_default_builder(
    file: str | Path | None, workshop: Workshop, *, registry: Registry | None = None, mirror: str | None = None
) -> Image:
    """The builder of ``file``, or of the builder.toml that comes with pylife: from the store when it is current.

    The stack is made when it is missing or its definition changed, the builder when its definition, a buildpack, the
    launcher or the build image did. ``mirror`` is where Debian packages come from (by default what
    PYLIFE_DEBIAN_MIRROR says). Raises what reading the files, ``create_stack`` and ``compile_launcher`` raise.
    """
    definition = load_builder(Path(file) if file else shared("builder.toml"))
    ref = builder_reference(definition)
    current = _current(definition, ref, workshop.store)
    if current is not None:
        return current
    with alone(workshop.store, workshop.sink):
        current = _current(definition, ref, workshop.store)  # another process may have made it meanwhile
        return current or make_builder(definition, ref, workshop, registry=registry, mirror=mirror)


def current_builder(file: str | Path | None, store: LocalStore) -> Image | None:
    """What ``ensure_default_builder`` gives, when nothing has to be made for it."""
    definition = load_builder(Path(file) if file else shared("builder.toml"))
    return _current(definition, builder_reference(definition), store)


def make_builder(
    definition: BuilderDefinition,
    ref: Reference,
    workshop: Workshop,
    *,
    registry: Registry | None = None,
    mirror: str | None = None,
) -> Image:
    """Make the builder, with its stack where that is needed, and name it ``ref`` in the store."""
    ports = Ports(workshop.store, registry)
    with workshop.store.hold():
        if definition.stack is not None:
            source = os.environ.get("PYLIFE_DEBIAN_MIRROR", "") if mirror is None else mirror
            base = ensure_stack(definition.stack, workshop.store, workshop.sink, mirror=source).build_image
        else:
            base = load_image(locate(definition.build_image, ports), ports)
        launcher = compile_launcher(base, workshop)
        with step(workshop.sink, "builder/create", f"Making the builder {ref.familiar}") as handle:
            image = create_builder(definition, base, launcher, workshop.store, key=_key(definition, base))
            save(image, StorePlace(ref), ports, workshop.sink)
            handle.detail = f"{len(definition.buildpacks)} buildpacks"
    return image


def _key(definition: BuilderDefinition, base: Image) -> str:
    sources = [hashlib.sha256(path.read_bytes()).hexdigest() for path in launcher_sources()]
    return definition.key(_FORMAT, lifecycle.__version__, str(base.digest), *sources)


def _current(definition: BuilderDefinition, ref: Reference, store: LocalStore) -> Image | None:
    """The builder in the store, if it is what making it now would give."""
    if store.get(ref) is None:
        return None
    image = load(StorePlace(ref), Ports(store))
    if not isinstance(image, Image):
        return None
    if definition.stack is None:
        known = Reference.parse(definition.build_image).with_default_tag()
        base = load(StorePlace(known), Ports(store)) if store.get(known) else None
    else:
        base = find_current(definition.stack, "build", store)
        if find_current(definition.stack, "run", store) is None:
            return None
    if not isinstance(base, Image) or image.config.labels.get(KEY_LABEL) != _key(definition, base):
        return None
    return image if all(store.blobs.has(layer.descriptor.digest) for layer in image.layers) else None


@contextmanager
def alone(store: LocalStore, sink: Sink) -> Iterator[None]:
    """Only one process at a time makes stacks and builders; the others wait and find them made."""
    path = store.root / ".pylife" / "making"
    path.touch()
    with ExitStack() as held:
        try:
            held.enter_context(locked(path, wait=False))
        except BlockingIOError:
            sink.emit(Message("Waiting for another pylife that is making images"))
            held.enter_context(locked(path))
        yield


def made_builder(file: str | Path | None, store: LocalStore) -> tuple[Reference, Image]:
    """The builder of ``file`` (the shipped builder.toml by default) as it is in the store; raises NotMade."""
    ref = builder_reference(load_builder(Path(file) if file else shared("builder.toml")))
    if store.get(ref) is None:
        raise NotMade(f"The builder {ref.familiar} is not in the local store")
    return ref, load_image(StorePlace(ref), Ports(store))


def inspect_builder(image: Image, ref: Reference) -> dict[str, Any]:
    """A builder as plain data: what ``pylife builder create|inspect --json`` shows. Raises NoMetadata."""
    labels = image.config.labels
    try:
        metadata, groups = json.loads(labels[METADATA]), json.loads(labels[ORDER])
        held = json.loads(labels.get(LAYERS, "{}"))
    except (KeyError, ValueError) as error:
        raise NoMetadata(
            f"{ref.familiar} is not a builder", why=f"its label {METADATA} or {ORDER} is missing"
        ) from error
    shown = image_dict(ref, image)
    del shown["labels"]
    buildpacks = []
    for item in metadata.get("buildpacks", []):
        known = held.get(item["id"], {}).get(item["version"], {})
        order = {"order": known["order"]} if known.get("order") else {}
        buildpacks.append({**item, **{key: known.get(key) for key in ("name", "api")}, **order})
    return {
        **shown,
        "description": metadata.get("description", ""),
        "stack": labels.get("io.buildpacks.stack.id", ""),
        "lifecycle": metadata.get("lifecycle", {}),
        "run_images": metadata.get("images") or [metadata.get("stack", {}).get("runImage", {})],
        "buildpacks": buildpacks,
        "order": groups,
    }
