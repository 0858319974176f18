"""Which images a build works with: the builder, the run image, and what the last build made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lifecycle.app.ports import Ports
from lifecycle.errors import PylifeError
from lifecycle.events import Message
from lifecycle.image import Image
from lifecycle.image.errors import ImageNotFound
from lifecycle.image.places import Place, RegistryPlace, StorePlace, load_image, locate
from lifecycle.oci import Platform, Reference
from lifecycle.phases.analyze import RunImage
from lifecycle.phases.inputs import BadBuilder, Engine
from lifecycle.registry.errors import NotFound

BUILDER_METADATA = "io.buildpacks.builder.metadata"


class NoRunImage(PylifeError):
    """None of the names under which the builder knows its run image leads to an image."""

    code = "builder.no-run-image"
    fix = "Name the run image with --run-image, or make it reachable: `pylife pull` shows why it is not."


def builder_at_hand(name: str | None, ports: Ports) -> Image | None:
    """What ``resolve_builder`` gives, when nothing has to be made for it; of a remote image only documents are read."""
    name = name or ports.settings.builder.value
    if name is None or name.endswith(".toml"):
        from lifecycle.builder.defaults import current_builder

        return current_builder(name, ports.store)
    return load_image(locate(name, ports.images()), ports.images(), Platform.host())


def resolve_builder(name: str | None, ports: Ports, engine: Engine) -> Image:
    """The builder named by the flag, the project or the settings, else the default one, made when it is missing.

    A name that ends in ``.toml`` is a definition to make a builder from.
    """
    name = name or ports.settings.builder.value
    if name is None or name.endswith(".toml"):
        from lifecycle.builder.defaults import ensure_default_builder

        return ensure_default_builder(name, engine)
    image = load_image(locate(name, ports.images()), ports.images(), Platform.host())
    if BUILDER_METADATA not in image.config.labels:
        raise BadBuilder(f"{name} is not a builder", why=f"it has no label {BUILDER_METADATA}")
    return image


def resolve_run_image(name: str | None, builder: Image, targets: Sequence[RegistryPlace], ports: Ports) -> RunImage:
    """The run image: the one named, else the builder's; a mirror in the registry of ``targets`` is preferred.

    Source: CNB Platform API, "Run Image Resolution".
    """
    known = _run_images(builder)
    if name is not None:
        names = [name, *known.get(name, ())]
    elif known:
        first = next(iter(known))
        names = [first, *known[first]]
    else:
        raise NoRunImage("The builder names no run image")
    registries = [place.ref.registry for place in targets]
    preferred = sorted(names, key=lambda item: Reference.parse(item).registry not in registries)
    failures = []
    for candidate in preferred:
        try:
            image = load_image(locate(candidate, ports.images()), ports.images(), builder.platform)
        except PylifeError as error:
            failures.append(f"{candidate}: {error}")
            continue
        reference = Reference.parse(candidate)
        return RunImage(image, names[0], f"{reference.name}@{image.digest}", tuple(names[1:]))
    raise NoRunImage("No run image can be had", why="; ".join(failures))


def find_previous(name: str | None, place: Place, ports: Ports) -> Image | None:
    """The image of the last build, in the store or where it was pushed; None when there is none to be had."""
    if name is not None:
        return load_image(locate(name, ports.images()), ports.images())
    if not isinstance(place, RegistryPlace | StorePlace):
        return _load_if_there(place, ports)
    local = _load_if_there(StorePlace(place.ref), ports)
    if local is not None or isinstance(place, StorePlace):
        return local
    return _load_if_there(place, ports)


def _load_if_there(place: Place, ports: Ports) -> Image | None:
    try:
        return load_image(place, ports.images())
    except (ImageNotFound, NotFound):
        return None
    except PylifeError as error:
        ports.sink.emit(Message(f"The previous image {place} cannot be used: {error}", "warning"))
        return None


def _run_images(builder: Image) -> dict[str, tuple[str, ...]]:
    """Run image names with their mirrors, the default first, from the builder's label."""
    try:
        data: dict[str, Any] = json.loads(builder.config.labels[BUILDER_METADATA])
        images = data.get("images") or [data["stack"]["runImage"]]
        return {item["image"]: tuple(item.get("mirrors") or ()) for item in images}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
