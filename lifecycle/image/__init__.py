"""Images as values: made of layers, edited by functions, loaded from and saved to every place they can be."""

from lifecycle.image.diff import ImageDiff, diff
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
from lifecycle.image.filesystem import filesystem
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
from lifecycle.image.validate import Finding, validate, validate_place

__all__ = [
    "BlobLayer",
    "DirPlace",
    "DockerArchivePlace",
    "Finding",
    "Image",
    "ImageDiff",
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
    "diff",
    "empty",
    "filesystem",
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
    "validate",
    "validate_place",
    "with_aligned_history",
    "with_annotations",
    "with_config",
    "with_dialect",
    "with_env",
    "with_labels",
    "write_layer",
]
