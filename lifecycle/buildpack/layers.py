"""Layers of a buildpack: their types and metadata, what is in a layers directory, and what is kept between builds.

Source: CNB buildpack.md, "Layer Types" and "Layer Content Metadata (TOML)"; platform.md, "Restore" and "Export".
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.buildpack.descriptor import GroupElement, escape_id
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.oci import Digest
from lifecycle.toml import Table, dump

_FORBIDDEN = frozenset({"build", "launch", "store"})
_FLAGS = ("build", "launch", "cache")


class BadLayer(PylifeError):
    """A layer, or its <layer>.toml, is not as the Buildpack API wants it."""

    code = "buildpack.bad-layer"
    exit_code = 52
    fix = "Report it to the buildpack's author: the named layer breaks the Buildpack API."


class LayerCannotBeReused(PylifeError):
    """A buildpack declares a layer without contents that no previous image can supply."""

    code = "buildpack.layer-cannot-be-reused"
    exit_code = 62
    fix = "Build once with --clear-cache; if it comes back, report it to the buildpack's author."


@dataclass(frozen=True, slots=True)
class LayerTypes:
    """When a layer is there: for later buildpacks, in the app image, in the next build."""

    build: bool = False
    launch: bool = False
    cache: bool = False

    @property
    def ignored(self) -> bool:
        """True when the layer is for nothing, so that its directory is set aside."""
        return not (self.build or self.launch or self.cache)

    def __str__(self) -> str:
        return "+".join(name for name in _FLAGS if getattr(self, name)) or "ignored"


@dataclass(frozen=True, slots=True)
class LayerMetadata:
    """What <layer>.toml holds: types, and the buildpack's own table ``data``, in TOML's value types."""

    types: LayerTypes
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer as an app image's label or a cache remembers it: ``diff_id`` of its tar and its metadata."""

    diff_id: Digest | None
    metadata: LayerMetadata

    @property
    def types(self) -> LayerTypes:
        return self.metadata.types


@dataclass(frozen=True, slots=True)
class StoredBuildpack:
    """The layers of one buildpack by name, and its store.toml table (None when it wrote none)."""

    id: str
    version: str
    layers: Mapping[str, StoredLayer] = field(default_factory=dict, hash=False)
    store: Mapping[str, Any] | None = field(default=None, hash=False)


def stored(buildpacks: Sequence[StoredBuildpack], id_: str) -> StoredBuildpack:
    """The entry of buildpack ``id_`` (the first, as the official tools read it), or one without layers."""
    return next((item for item in buildpacks if item.id == id_), StoredBuildpack(id_, ""))


def parse_layer_toml(raw: bytes, file: str) -> LayerMetadata:
    """The layer's metadata in ``raw``; raises BadLayer with file and key."""
    top = Table.parse(raw, file, BadLayer)
    for flag in _FLAGS:
        if flag in top:
            raise top.error(flag, f"since Buildpack API 0.6 it belongs in the table [types]: write types.{flag}")
    types = top.table("types")
    return LayerMetadata(LayerTypes(*(types.flag(flag) for flag in _FLAGS)), top.mapping("metadata"))


def render_restored_toml(data: Mapping[str, Any]) -> bytes:
    """The <layer>.toml put back before a build: metadata only, since types are the buildpack's to say again."""
    return dump({"metadata": data})


def bad_layer_name(name: str) -> str | None:
    """Why ``name`` cannot be a layer, or None when it can."""
    if name in _FORBIDDEN:
        return f"the name {name!r} is reserved for {name}.toml"
    if not name or name in (".", "..") or not name.isprintable() or "/" in name:
        return f"{name!r} is no name for a layer"
    return None


@dataclass(frozen=True, slots=True)
class BuiltLayer:
    """A layer found after a build, at inside path ``path``.

    ``present`` tells whether its directory exists, ``declared`` whether its <layer>.toml does.
    """

    buildpack: GroupElement
    name: str
    path: str
    metadata: LayerMetadata
    present: bool
    declared: bool = True

    @property
    def types(self) -> LayerTypes:
        return self.metadata.types

    @property
    def identifier(self) -> str:
        """``<buildpack id>:<layer>``, by which the image's layers are ordered and named."""
        return f"{self.buildpack.id}:{self.name}"


def layers_path(layers_dir: str, id_: str) -> str:
    """The inside path of a buildpack's layers directory."""
    return f"{layers_dir}/{escape_id(id_)}"


def read_layers(root: BuildRoot, layers_dir: str, element: GroupElement) -> tuple[BuiltLayer, ...]:
    """The layers that ``element`` left, in byte order of their names: directories and ``*.toml``, nothing else.

    A directory without a toml has no types. Raises BadLayer for a forbidden name or a malformed toml.
    """
    base = layers_path(layers_dir, element.id)
    directories, tomls = set(), set()
    for name in root.names(base):
        place = root.host(f"{base}/{name}", follow=False)
        if os.path.isdir(place) and not os.path.islink(place):
            directories.add(name)
        elif name.endswith(".toml"):
            tomls.add(name.removesuffix(".toml"))
    layers = []
    for name in sorted(directories | (tomls - _FORBIDDEN), key=os.fsencode):
        if reason := bad_layer_name(name):
            if name not in tomls and name not in _FORBIDDEN:
                continue  # a directory that was never declared is no layer, whatever it is called
            raise BadLayer(f"{element} made a layer called {name}", why=reason, where=f"{base}/{name}")
        raw = root.read(f"{base}/{name}.toml") if name in tomls else None
        metadata = LayerMetadata(LayerTypes()) if raw is None else parse_layer_toml(raw, f"{base}/{name}.toml")
        layers.append(BuiltLayer(element, name, f"{base}/{name}", metadata, name in directories, raw is not None))
    return tuple(layers)


def set_aside(root: BuildRoot, layers: Sequence[BuiltLayer]) -> tuple[str, ...]:
    """Rename the directory of every layer that has a toml without types to ``<layer>.ignore``; returns their paths.

    One that was restored from the cache lies below overlayfs, which renames no directory from there: nobody needs its
    content any more, and it is removed instead of copied.
    """
    moved = []
    for layer in layers:
        if layer.present and layer.declared and layer.types.ignored:
            source, target = root.host(layer.path, follow=False), root.host(f"{layer.path}.ignore", follow=False)
            if os.path.lexists(target):
                continue
            try:
                os.rename(source, target)
                moved.append(f"{layer.path}.ignore")
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                shutil.rmtree(source)
    return tuple(moved)
