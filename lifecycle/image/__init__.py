"""Images as values: made of layers, edited by functions, loaded from and saved to every place they can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.image.edit import (
        aligned_history,
        append,
        empty,
        flatten,
        rebase,
        with_aligned_history,
        with_annotations,
        with_config,
        with_dialect,
        with_env,
        with_labels,
    )
    from lifecycle.image.image import Image, ImageIndex
    from lifecycle.image.layer import BlobLayer, Layer, RemoteLayer, known_layer, write_layer
    from lifecycle.image.places import (
        DirPlace,
        DockerArchivePlace,
        OciArchivePlace,
        OciPlace,
        Place,
        RegistryPlace,
        StorePlace,
        copy,
        load,
        load_image,
        locate,
        parse_place,
        save,
        send,
    )
    from lifecycle.image.ports import Ports, Registry
    from lifecycle.image.source import index_of, select
    from lifecycle.image.transfer import Transfer

__getattr__ = exports(
    __name__,
    {
        "edit": (
            "aligned_history",
            "append",
            "empty",
            "flatten",
            "rebase",
            "with_aligned_history",
            "with_annotations",
            "with_config",
            "with_dialect",
            "with_env",
            "with_labels",
        ),
        "image": (
            "Image",
            "ImageIndex",
        ),
        "layer": (
            "BlobLayer",
            "Layer",
            "RemoteLayer",
            "known_layer",
            "write_layer",
        ),
        "places": (
            "DirPlace",
            "DockerArchivePlace",
            "OciArchivePlace",
            "OciPlace",
            "Place",
            "RegistryPlace",
            "StorePlace",
            "copy",
            "load",
            "load_image",
            "locate",
            "parse_place",
            "save",
            "send",
        ),
        "ports": (
            "Ports",
            "Registry",
        ),
        "source": (
            "index_of",
            "select",
        ),
        "transfer": ("Transfer",),
    },
)

__all__ = [
    "BlobLayer",
    "DirPlace",
    "DockerArchivePlace",
    "Image",
    "ImageIndex",
    "Layer",
    "OciArchivePlace",
    "OciPlace",
    "Place",
    "Ports",
    "Registry",
    "RegistryPlace",
    "RemoteLayer",
    "StorePlace",
    "Transfer",
    "aligned_history",
    "append",
    "copy",
    "empty",
    "flatten",
    "index_of",
    "known_layer",
    "load",
    "load_image",
    "locate",
    "parse_place",
    "rebase",
    "save",
    "select",
    "send",
    "with_aligned_history",
    "with_annotations",
    "with_config",
    "with_dialect",
    "with_env",
    "with_labels",
    "write_layer",
]
