"""A builder image: the build image, and on it the contract's directories, the launcher, buildpacks and their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import lifecycle
from lifecycle.archive import Member, Profile
from lifecycle.builder import layers
from lifecycle.builder.config import BuilderDefinition, Packed
from lifecycle.builder.stack import CREATED, KEY_LABEL
from lifecycle.buildpack.descriptor import Buildpack
from lifecycle.errors import PylifeError
from lifecycle.image import Image, Layer, append, with_aligned_history, with_config, write_layer
from lifecycle.oci import History
from lifecycle.store import LocalStore

METADATA = "io.buildpacks.builder.metadata"
LAYERS = "io.buildpacks.buildpack.layers"
ORDER = "io.buildpacks.buildpack.order"


class NoUser(PylifeError):
    """A build image does not say who builds."""

    code = "builder.no-user"
    fix = "Set CNB_USER_ID and CNB_GROUP_ID in the build image's environment to numbers above 0."


def create_builder(
    definition: BuilderDefinition,
    build_image: Image,
    launcher: bytes,
    store: LocalStore,
    *,
    key: str = "",
    profile: Profile = Profile.GZIP_FAST,
) -> Image:
    """The builder, its layers in the store; the same inputs give the same digest. Raises NoUser."""
    uid, gid = _owner(build_image)

    def layer(members: Iterable[Member], what: str) -> tuple[Layer, History]:
        written = write_layer(members, store, profile=profile, dialect=build_image.dialect)
        return written, History(CREATED, what)

    packed = [(item, layer(layers.buildpack(item), f"Buildpack: {item.buildpack}")) for item in definition.buildpacks]
    image = append(
        with_aligned_history(build_image),
        [
            layer(layers.directories(uid, gid), "Directories"),
            layer(layers.lifecycle(launcher, lifecycle.__version__), "Lifecycle: launcher"),
            *(pair for _, pair in packed),
            layer(layers.settings(definition), "Order, run images and build configuration"),
        ],
    )
    labels = {
        **image.config.labels,
        METADATA: _json(_metadata(definition)),
        LAYERS: _json(_layers([(item, pair[0]) for item, pair in packed])),
        ORDER: _json(layers.order_data(definition.order)),
        "io.buildpacks.lifecycle.version": lifecycle.__version__,
        "io.buildpacks.lifecycle.apis": _json(layers.apis()),
        "org.opencontainers.image.title": definition.description or "builder",
        KEY_LABEL: key,
    }
    if definition.stack_id:
        labels["io.buildpacks.stack.id"] = definition.stack_id
    config = image.config.with_container(
        User=f"{uid}:{gid}",
        WorkingDir="/layers",
        Labels={name: labels[name] for name in sorted(labels) if labels[name]},
    )
    return with_config(image, config.with_data(created=CREATED))


def _owner(build_image: Image) -> tuple[int, int]:
    """The CNB user and group of a build image. Source: CNB platform.md, "Build Image"."""
    found = []
    for name in ("CNB_USER_ID", "CNB_GROUP_ID"):
        value = build_image.config.env.get(name, "")
        if not value.isascii() or not value.isdigit() or not 0 < int(value) < 1 << 31:
            raise NoUser(f"The build image has {name} {value!r}", why="builds run as this user, which cannot be root")
        found.append(int(value))
    return found[0], found[1]


def _metadata(definition: BuilderDefinition) -> Mapping[str, Any]:
    apis = layers.apis()
    return {
        "description": definition.description,
        "buildpacks": [_named(item.buildpack) for item in definition.buildpacks],
        "extensions": [],
        "stack": {"runImage": layers.run_data(definition.run_images[0])},
        "images": [layers.run_data(item) for item in definition.run_images],
        "lifecycle": {
            "version": lifecycle.__version__,
            "api": {kind: apis[kind]["supported"][0] for kind in apis},
            "apis": apis,
        },
        "createdBy": {"name": "pylife", "version": lifecycle.__version__},
    }


def _named(buildpack: Buildpack) -> dict[str, str]:
    fields = {"id": buildpack.id, "version": buildpack.version, "homepage": buildpack.homepage}
    return {key: value for key, value in fields.items() if value}


def _layers(packed: Iterable[tuple[Packed, Layer]]) -> dict[str, dict[str, Any]]:
    """What the label of layers says: id → version → what it is, and which layer holds it."""
    found: dict[str, dict[str, Any]] = {}
    for item, layer in packed:
        buildpack = item.buildpack
        data: dict[str, Any] = {
            "api": str(buildpack.api),
            "homepage": buildpack.homepage,
            "name": buildpack.name,
            "order": layers.order_data(buildpack.order),
            "targets": [_target(target) for target in buildpack.targets],
        }
        entry = {key: value for key, value in data.items() if value}
        found.setdefault(buildpack.id, {})[buildpack.version] = entry | {"layerDiffID": str(layer.diff_id)}
    return found


def _target(target: Any) -> dict[str, Any]:
    data = {
        "os": target.os,
        "arch": target.arch,
        "variant": target.variant,
        "distros": [{"name": item.name, "version": item.version} for item in target.distros],
    }
    return {key: value for key, value in data.items() if value}


def _json(data: object) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)
