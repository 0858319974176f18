"""The JSON labels through which one build speaks to the next, to rebase and to other tools.

Encoders write the key order of the official lifecycle. Decoders take what any lifecycle wrote; a label that cannot be
understood is no error but a reason to build without it.
Source: CNB platform.md, "Labels" and "Metadata labels".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.buildpack import json_data
from lifecycle.buildpack.json_data import compact_json
from lifecycle.buildpack.layers import LayerMetadata, LayerTypes, StoredBuildpack, StoredLayer, bad_layer_name
from lifecycle.errors import PylifeError
from lifecycle.oci import Digest

LIFECYCLE_METADATA = "io.buildpacks.lifecycle.metadata"
BUILD_METADATA = "io.buildpacks.build.metadata"
PROJECT_METADATA = "io.buildpacks.project.metadata"
CACHE_METADATA = "io.buildpacks.lifecycle.cache.metadata"
EXEC_ENV = "io.buildpacks.exec-env"
REBASABLE = "io.buildpacks.rebasable"
STACK_ID = "io.buildpacks.stack.id"


@dataclass(frozen=True, slots=True)
class RunImageMetadata:
    """What rebase needs: the diffID of the run image's last layer, its reference, and the names it goes by."""

    top_layer: str = ""
    reference: str = ""
    image: str = ""
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppMetadata:
    """The label ``io.buildpacks.lifecycle.metadata``: which layer of the app image is what."""

    app: tuple[Digest, ...] = ()
    sbom: Digest | None = None
    buildpacks: tuple[StoredBuildpack, ...] = ()
    config: Digest | None = None
    launcher: Digest | None = None
    process_types: Digest | None = None
    run_image: RunImageMetadata = field(default_factory=RunImageMetadata)
    stack_run_image: RunImageMetadata | None = None

    def to_data(self) -> dict[str, Any]:
        """The label as plain data, keys in the official order."""
        run = self.run_image
        data: dict[str, Any] = {"app": [_sha(digest) for digest in self.app]}
        if self.sbom is not None:
            data["sbom"] = _sha(self.sbom)
        data["buildpacks"] = [_buildpack_data(item) for item in self.buildpacks]
        data["config"] = _sha(self.config)
        data["launcher"] = _sha(self.launcher)
        data["process-types"] = _sha(self.process_types)
        data["runImage"] = {"topLayer": run.top_layer, "reference": run.reference, **_names(run)}
        if self.stack_run_image is not None:
            data["stack"] = {"runImage": _names(self.stack_run_image)}
        return data

    def encode(self) -> str:
        return compact_json(self.to_data())


@dataclass(frozen=True, slots=True)
class CacheMetadata:
    """The cache's own list: the layers it holds, and that of the cached SBOM files."""

    sbom: Digest | None = None
    buildpacks: tuple[StoredBuildpack, ...] = ()

    def encode(self) -> str:
        return compact_json(
            {"sbom": _sha(self.sbom), "buildpacks": [_buildpack_data(item) for item in self.buildpacks]}
        )


class Undecodable(Exception):
    """Why a label's data cannot be used; turned into a reason, never shown as an error."""


def decode_app_metadata(text: str | None) -> tuple[AppMetadata | None, str]:
    """The label's value, or None and the reason why there is none to use."""
    try:
        return _app_metadata(_object(text)), ""
    except Undecodable as error:
        return None, str(error)
    except RecursionError:
        return None, "it is nested too deeply"


def decode_cache_metadata(text: str | None) -> tuple[CacheMetadata | None, str]:
    """The cache's list, or None and the reason why there is none to use."""
    try:
        data = _object(text)
        return CacheMetadata(_digest_at(data, "sbom"), _buildpacks(data)), ""
    except Undecodable as error:
        return None, str(error)
    except RecursionError:
        return None, "it is nested too deeply"


def own_layers(text: str | None) -> frozenset[Digest]:
    """The diffIDs of the layers that the lifecycle put on the run image, from the label; empty without one."""
    metadata, _ = decode_app_metadata(text)
    if metadata is None:
        return frozenset()
    single = (metadata.sbom, metadata.config, metadata.launcher, metadata.process_types)
    launch = (layer.diff_id for item in metadata.buildpacks for layer in item.layers.values())
    return frozenset(digest for digest in (*metadata.app, *single, *launch) if digest is not None)


def encode_project_metadata(data: Mapping[str, Any]) -> str:
    """The label ``io.buildpacks.project.metadata``: ``{}`` when nothing is known about the source."""
    return compact_json(json_data.encode(data)[0])


def _app_metadata(data: Mapping[str, Any]) -> AppMetadata:
    app = data.get("app") or ()
    app_shas = [item for item in app if isinstance(item, Mapping)] if isinstance(app, list) else []
    stack = _mapping(data, "stack")
    return AppMetadata(
        app=tuple(digest for item in app_shas if (digest := _digest(item.get("sha"))) is not None),
        sbom=_digest_at(data, "sbom"),
        buildpacks=_buildpacks(data),
        config=_digest_at(data, "config"),
        launcher=_digest_at(data, "launcher"),
        process_types=_digest_at(data, "process-types"),
        run_image=_run_image(_mapping(data, "runImage")),
        stack_run_image=_run_image(_mapping(stack, "runImage")) if stack else None,
    )


def _sha(digest: Digest | None) -> dict[str, str]:
    return {"sha": "" if digest is None else str(digest)}


def _names(run: RunImageMetadata) -> dict[str, Any]:
    names: dict[str, Any] = {"image": run.image} if run.image else {}
    return {**names, "mirrors": list(run.mirrors)} if run.mirrors else names


def _buildpack_data(item: StoredBuildpack) -> dict[str, Any]:
    layers = {name: _layer_data(item.layers[name]) for name in sorted(item.layers)}
    data: dict[str, Any] = {"key": item.id, "version": item.version, "layers": layers}
    if item.store is not None:
        store, types = json_data.encode(item.store)
        data["store"] = {"metadata": store, **({"types": types} if types else {})}
    return data


def _layer_data(layer: StoredLayer) -> dict[str, Any]:
    data, types = json_data.encode(layer.metadata.data)
    flags = layer.types
    entry = {**_sha(layer.diff_id), "data": data, "build": flags.build, "launch": flags.launch, "cache": flags.cache}
    # What JSON cannot hold, beside the data: other tools ignore the key.
    return {**entry, "dataTypes": types} if types else entry


def _object(text: str | None) -> Mapping[str, Any]:
    if not text:
        raise Undecodable("there is none")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise Undecodable("it is not JSON") from None
    if not isinstance(data, dict):
        raise Undecodable("it is not a JSON object")
    return data


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Undecodable(f"{key} is not an object")
    return value


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Undecodable(f"{key} is not a string")
    return value


def _flag(data: Mapping[str, Any], key: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise Undecodable(f"{key} is not a boolean")
    return value


def _digest(value: object) -> Digest | None:
    if value in (None, ""):
        return None
    try:
        return Digest.parse(value)
    except PylifeError as error:
        raise Undecodable(str(error)) from None


def _digest_at(data: Mapping[str, Any], key: str) -> Digest | None:
    return _digest(_mapping(data, key).get("sha"))


def _list(data: Mapping[str, Any], key: str) -> Iterable[Mapping[str, Any]]:
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise Undecodable(f"{key} is not an array of objects")
    return value


def _buildpacks(data: Mapping[str, Any]) -> tuple[StoredBuildpack, ...]:
    found = []
    for item in _list(data, "buildpacks"):
        layers = _mapping(item, "layers")
        for name in layers:
            if reason := bad_layer_name(name):
                raise Undecodable(reason)
        store = _mapping(item, "store") if item.get("store") is not None else None
        found.append(
            StoredBuildpack(
                _text(item, "key"),
                _text(item, "version"),
                {name: _layer(_mapping(layers, name)) for name in layers},
                None if store is None else json_data.decode(store.get("metadata"), store.get("types")),
            )
        )
    return tuple(found)


def _layer(data: Mapping[str, Any]) -> StoredLayer:
    types = LayerTypes(_flag(data, "build"), _flag(data, "launch"), _flag(data, "cache"))
    metadata = LayerMetadata(types, json_data.decode(data.get("data"), data.get("dataTypes")))
    return StoredLayer(_digest(data.get("sha")), metadata)


def _run_image(data: Mapping[str, Any]) -> RunImageMetadata:
    mirrors = [] if data.get("mirrors") is None else data["mirrors"]
    if not isinstance(mirrors, list) or not all(isinstance(item, str) for item in mirrors):
        raise Undecodable("mirrors is not an array of strings")
    return RunImageMetadata(_text(data, "topLayer"), _text(data, "reference"), _text(data, "image"), tuple(mirrors))
