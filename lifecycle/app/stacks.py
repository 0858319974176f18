"""``pylife stack`` and ``pylife builder`` as functions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lifecycle.app.engine import open_engine
from lifecycle.app.ports import Ports
from lifecycle.builder.config import load_builder
from lifecycle.builder.defaults import (
    builder_reference,
    ensure_default_builder,
    inspect_builder,
    made_builder,
    make_builder,
)
from lifecycle.builder.definition import StackDefinition, load_stack
from lifecycle.builder.share import shared
from lifecycle.builder.slug import ensure_slug_images, find_slug_images, slug_reference
from lifecycle.builder.stack import Stack, create_stack, ensure_stack, image_dict, inspect_stack, list_stacks
from lifecycle.image import StorePlace, load_image, locate, save
from lifecycle.oci import Reference

DEFAULT_STACK = "bookworm"


def stack_definition(name: str) -> StackDefinition:
    """The stack of a directory, or of that name among those that come with pylife."""
    path = Path(name)
    return load_stack(path if path.exists() else shared("stacks") / name)


def make_stack(name: str, ports: Ports, *, force: bool = False, mirror: str | None = None) -> dict[str, Any]:
    """The stack's images as plain data, made when they are missing or their definition changed; always with
    ``force``."""
    definition = stack_definition(name)
    source = os.environ.get("PYLIFE_DEBIAN_MIRROR", "") if mirror is None else mirror
    with open_engine(ports) as engine:
        if force:
            create_stack(definition, ports.store, ports.sink, mirror=source)
        made = ensure_stack(definition, ports.store, ports.sink, mirror=source)
        if definition.pylife:
            ensure_slug_images(definition, engine, mirror=source)
    return _as_dict(made, ports)


def show_stack(name: str, ports: Ports) -> dict[str, Any]:
    """The stack as it is in the store."""
    return _as_dict(inspect_stack(stack_definition(name), ports.store), ports)


def _as_dict(stack: Stack, ports: Ports) -> dict[str, Any]:
    """The stack as plain data, with the images that hold pylife under ``builder`` and ``runner``."""
    data, definition = stack.as_dict(), stack.definition
    found = find_slug_images(definition, ports.store) if definition.pylife else None
    if found is not None:
        data["images"] |= {
            "builder": image_dict(slug_reference(definition, "build"), found.builder),
            "runner": image_dict(slug_reference(definition, "run"), found.runner),
        }
    return data


def stacks(ports: Ports) -> list[dict[str, Any]]:
    """Every stack in the store."""
    return list_stacks(ports.store)


def create_builder(
    file: Path | None, ports: Ports, *, tag: str | None = None, force: bool = False, mirror: str | None = None
) -> dict[str, Any]:
    """The builder of ``file`` (the default one's without), from the store when it is current; as plain data."""
    ref = Reference.parse(tag) if tag else None
    with open_engine(ports) as engine:
        definition = load_builder(file or shared("builder.toml"))
        own = builder_reference(definition)
        registry = ports.images().registry
        if force:
            image = make_builder(definition, own, engine, registry=registry, mirror=mirror)
        else:
            image = ensure_default_builder(file, engine, registry=registry, mirror=mirror)
        if ref is not None:
            save(image, StorePlace(ref), ports.images(), ports.sink)
    return inspect_builder(image, ref or own)


def show_builder(name: str | None, ports: Ports) -> dict[str, Any]:
    """The builder of that name (the default one without) as plain data."""
    if name is None:
        ref, image = made_builder(None, ports.store)
        return inspect_builder(image, ref)
    return inspect_builder(load_image(locate(name, ports.images()), ports.images()), Reference.parse(name))
