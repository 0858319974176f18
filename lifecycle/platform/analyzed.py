"""analyzed.toml: what is known of the previous image and of the run image before anything is built.

Source: CNB platform.md, "analyzed.toml (TOML)".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from lifecycle.buildpack.labels import AppMetadata, RunImageMetadata
from lifecycle.buildpack.layers import LayerMetadata, LayerTypes, StoredBuildpack, StoredLayer, bad_layer_name
from lifecycle.buildpack.target import BaseTarget, Distro
from lifecycle.oci import BadDigest, Digest
from lifecycle.platform.errors import BadContractFile
from lifecycle.platform.files import read
from lifecycle.record import dataclass
from lifecycle.toml import Table, dump


@dataclass(frozen=True, slots=True)
class AnalyzedRunImage:
    """The run image: ``reference`` with digest, ``image`` as it was asked for, whether extensions change it."""

    reference: str = ""
    image: str = ""
    extend: bool = False
    target: BaseTarget | None = None


@dataclass(frozen=True, slots=True)
class Analyzed:
    """The analysis; ``previous_image`` and ``build_image`` are references, empty when there is none."""

    previous_image: str = ""
    build_image: str = ""
    metadata: AppMetadata = field(default_factory=AppMetadata)
    run_image: AnalyzedRunImage | None = None


def load_analyzed(path: Path) -> Analyzed:
    """The analyzed.toml at ``path``; an empty analysis when there is none."""
    return parse_analyzed(read(path), str(path)) if path.exists() else Analyzed()


def parse_analyzed(raw: bytes, file: str) -> Analyzed:
    """The analysis in ``raw``; raises BadContractFile with file and key."""
    top = Table.parse(raw, file, BadContractFile)
    run = top.table("run-image")
    run_image = None
    if "run-image" in top:
        target = _target(run.table("target")) if "target" in run else None
        run_image = AnalyzedRunImage(run.text("reference"), run.text("image"), run.flag("extend"), target)
    return Analyzed(
        top.table("image").text("reference"),
        top.table("build-image").text("reference"),
        _metadata(top.table("metadata")),
        run_image,
    )


def render_analyzed(analyzed: Analyzed) -> bytes:
    """analyzed.toml."""
    data: dict[str, Any] = {}
    if analyzed.previous_image:
        data["image"] = {"reference": analyzed.previous_image}
    if analyzed.build_image:
        data["build-image"] = {"reference": analyzed.build_image}
    data["metadata"] = _metadata_data(analyzed.metadata)
    if (run := analyzed.run_image) is not None:
        table: dict[str, Any] = {"reference": run.reference}
        if run.image:
            table["image"] = run.image
        if run.extend:
            table["extend"] = True
        if run.target is not None:
            table["target"] = _target_data(run.target)
        data["run-image"] = table
    return dump(data)


def _target(table: Table) -> BaseTarget:
    distro = None
    if "distro" in table:
        distro = Distro(table.table("distro").text("name"), table.table("distro").text("version"))
    variant = table.text("arch-variant") or table.text("variant")
    return BaseTarget(table.text("os"), table.text("arch"), variant, distro, table.text("id"))


def _target_data(target: BaseTarget) -> dict[str, Any]:
    data: dict[str, Any] = {"id": target.id} if target.id else {}
    data |= {"os": target.os, "arch": target.arch}
    if target.variant:
        data["arch-variant"] = target.variant
    if target.distro is not None:
        data["distro"] = {"name": target.distro.name, "version": target.distro.version}
    return data


def _sha(table: Table) -> Digest | None:
    text = table.text("sha")
    if not text:
        return None
    try:
        return Digest.parse(text)
    except BadDigest as error:
        raise table.error("sha", str(error)) from error


def _metadata(table: Table) -> AppMetadata:
    stack = table.table("stack")
    return AppMetadata(
        app=tuple(digest for item in table.tables("app") if (digest := _sha(item)) is not None),
        sbom=_sha(table.table("sbom")),
        buildpacks=tuple(_buildpack(item) for item in table.tables("buildpacks")),
        config=_sha(table.table("config")),
        launcher=_sha(table.table("launcher")),
        process_types=_sha(table.table("process-types")),
        run_image=_run_image(table.table("run-image")),
        stack_run_image=_run_image(stack.table("run-image")) if "stack" in table else None,
    )


def _run_image(table: Table) -> RunImageMetadata:
    return RunImageMetadata(
        table.text("top-layer"), table.text("reference"), table.text("image"), table.strings("mirrors")
    )


def _buildpack(table: Table) -> StoredBuildpack:
    layers, store = table.table("layers"), table.table("store")
    for name in layers.data:
        if reason := bad_layer_name(name):
            raise layers.error(name, reason)
    return StoredBuildpack(
        table.required("key"),
        table.text("version"),
        {name: _layer(layers.table(name)) for name in layers.data},
        store.mapping("metadata") if "store" in table else None,
    )


def _layer(table: Table) -> StoredLayer:
    types = LayerTypes(table.flag("build"), table.flag("launch"), table.flag("cache"))
    return StoredLayer(_sha(table), LayerMetadata(types, table.mapping("metadata")))


def _sha_data(digest: Digest | None) -> dict[str, str]:
    return {"sha": "" if digest is None else str(digest)}


def _metadata_data(metadata: AppMetadata) -> dict[str, Any]:
    data: dict[str, Any] = {"app": [_sha_data(digest) for digest in metadata.app]}
    if metadata.sbom is not None:
        data["sbom"] = _sha_data(metadata.sbom)
    data["buildpacks"] = [_buildpack_data(item) for item in metadata.buildpacks]
    data["config"] = _sha_data(metadata.config)
    data["launcher"] = _sha_data(metadata.launcher)
    data["process-types"] = _sha_data(metadata.process_types)
    run = metadata.run_image
    data["run-image"] = {"top-layer": run.top_layer, "reference": run.reference, **_names(run)}
    if metadata.stack_run_image is not None:
        data["stack"] = {"run-image": _names(metadata.stack_run_image)}
    return data


def _names(run: RunImageMetadata) -> dict[str, Any]:
    data: Mapping[str, Any] = {"image": run.image, "mirrors": list(run.mirrors)}
    return {key: value for key, value in data.items() if value}


def _buildpack_data(item: StoredBuildpack) -> dict[str, Any]:
    data: dict[str, Any] = {
        "key": item.id,
        "version": item.version,
        "layers": {
            name: {
                **_sha_data(layer.diff_id),
                "metadata": dict(layer.metadata.data),
                "build": layer.types.build,
                "launch": layer.types.launch,
                "cache": layer.types.cache,
            }
            for name, layer in sorted(item.layers.items())
        },
    }
    if item.store is not None:
        data["store"] = {"metadata": dict(item.store)}
    return data
