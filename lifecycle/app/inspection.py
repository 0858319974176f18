"""What an image is, as plain data: for ``pylife inspect`` and for library users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle.buildpack.labels import BUILD_METADATA, LIFECYCLE_METADATA, decode_app_metadata
from lifecycle.buildpack.metadata import BadBuildMetadata, parse_build_label
from lifecycle.image.image import Image, ImageIndex
from lifecycle.image.places import Place
from lifecycle.oci import mediatypes


def describe(found: Image | ImageIndex, place: Place) -> dict[str, Any]:
    """Everything about an image or index that its documents say; no layer is read. Sizes are in bytes as stored."""
    common = {"name": str(place), "digest": str(found.digest), "media_type": found.descriptor.media_type}
    return common | (_image(found) if isinstance(found, Image) else _index(found))


def _index(index: ImageIndex) -> dict[str, Any]:
    members = [
        {"platform": str(item.platform or ""), "digest": str(item.digest), "media_type": item.media_type}
        for item in index.index.manifests
        if item.media_type in mediatypes.MANIFESTS | mediatypes.INDEXES
    ]
    return {"annotations": dict(index.index.annotations), "images": members}


def _image(image: Image) -> dict[str, Any]:
    config = image.config
    lines = [line for line in config.history if not line.empty_layer]
    told = lines if len(lines) == len(image.layers) else [None] * len(image.layers)
    layers = [
        {
            "digest": str(layer.descriptor.digest),
            "diff_id": str(layer.diff_id),
            "media_type": layer.descriptor.media_type,
            "size": layer.descriptor.size,
            "created_by": line.created_by if line else "",
        }
        for layer, line in zip(image.layers, told, strict=True)
    ]
    return {
        "platform": str(image.platform),
        "size": image.size,
        "created": config.created,
        "user": config.user,
        "working_dir": config.working_dir,
        "entrypoint": list(config.entrypoint),
        "cmd": list(config.cmd),
        "env": config.env,
        "ports": list(config.exposed_ports),
        "volumes": list(config.volumes),
        "labels": config.labels,
        "annotations": dict(image.annotations),
        "layers": layers,
        "config": dict(config.data),
        **_build(config.labels),
    }


def _build(labels: Mapping[str, str]) -> dict[str, Any]:
    """What the labels of a buildpacks build say; empty for another image, or one whose labels make no sense."""
    result: dict[str, Any] = {}
    if BUILD_METADATA in labels:
        try:
            made = parse_build_label(labels[BUILD_METADATA], BUILD_METADATA)
        except BadBuildMetadata:
            return {}
        result["buildpacks"] = [{"id": item.id, "version": item.version} for item in made.buildpacks]
        result["processes"] = [
            {
                "type": item.type,
                "command": list(item.command),
                "args": list(item.args),
                "direct": item.direct,
                "default": item.type == made.launch.default_type,
                "buildpack": item.buildpack_id,
                "working_dir": item.working_dir,
            }
            for item in made.launch.processes
        ]
    metadata, _ = decode_app_metadata(labels.get(LIFECYCLE_METADATA))
    if metadata is not None:
        run = metadata.run_image
        result["run_image"] = {"name": run.image, "reference": run.reference, "top_layer": run.top_layer}
    return result


def raw_document(found: Image | ImageIndex) -> str:
    """The manifest's or index's own text, byte for byte."""
    raw = found.manifest.raw if isinstance(found, Image) else found.index.raw
    return raw.decode()
