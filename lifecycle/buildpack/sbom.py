"""Where the software bills of materials that buildpacks write belong.

Source: CNB buildpack.md, "Software-Bill-of-Materials"; platform.md, "Software-Bill-of-Materials".
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lifecycle.buildpack.descriptor import Buildpack, GroupElement, escape_id
from lifecycle.buildpack.json_data import compact_json
from lifecycle.buildpack.layers import BuiltLayer, layers_path
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError

_MEDIA_TYPES = {
    "cdx": "application/vnd.cyclonedx+json",
    "spdx": "application/spdx+json",
    "syft": "application/vnd.syft+json",
}


class BadSbom(PylifeError):
    """A buildpack wrote an SBOM file of a format that it did not declare, or that nobody knows."""

    code = "buildpack.bad-sbom"
    exit_code = 52
    fix = "Report it to the buildpack's author: the format must be listed in sbom-formats of buildpack.toml."


class SbomKind(Enum):
    """Who an SBOM is for: the app image, the platform, or the next build."""

    LAUNCH = "launch"
    BUILD = "build"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class SbomFile:
    """One SBOM file and its place: copied from inside path ``source`` to inside path ``target``."""

    kind: SbomKind
    source: str
    target: str


def sbom_files(
    root: BuildRoot, layers_dir: str, buildpack: Buildpack, layers: Sequence[BuiltLayer]
) -> tuple[SbomFile, ...]:
    """The SBOM files that ``buildpack`` left and where each goes, in byte order; raises BadSbom.

    A launch layer's goes to launch, any other's to build; a cache layer's to cache as well. A file that belongs to no
    layer counts for nothing.
    """
    base = layers_path(layers_dir, buildpack.id)
    types = {layer.name: layer.types for layer in layers if layer.declared}
    found = []
    for name in root.names(base):
        owner, dot, rest = name.rpartition(".sbom.")
        if not dot or not rest.endswith(".json") or not owner:
            continue
        if owner in ("launch", "build"):
            kinds, layer = [SbomKind(owner)], ""
        elif owner in types:
            kinds, layer = [SbomKind.LAUNCH if types[owner].launch else SbomKind.BUILD], f"{owner}/"
            kinds += [SbomKind.CACHE] if types[owner].cache else []
        else:
            continue
        media_type = _MEDIA_TYPES.get(rest.removesuffix(".json"))
        if media_type is None:
            raise BadSbom(f"{base}/{name} is no SBOM file", why="it must end in .cdx.json, .spdx.json or .syft.json")
        if media_type not in buildpack.sbom_formats:
            raise BadSbom(f"{base}/{name} is not expected", why=f"{buildpack} does not declare {media_type}")
        for kind in kinds:
            target = f"{layers_dir}/sbom/{kind.value}/{escape_id(buildpack.id)}/{layer}sbom.{rest}"
            found.append(SbomFile(kind, f"{base}/{name}", target))
    return tuple(found)


def place_sboms(root: BuildRoot, files: Iterable[SbomFile]) -> None:
    """Copy each file to its place; what is there already is replaced."""
    for file in files:
        data = root.read(file.source)
        if data is None:
            raise BadSbom(f"{file.source} cannot be read", why="it is a link to nothing")
        root.make_dirs(file.target.rpartition("/")[0])
        root.write(file.target, data)


def write_legacy_sboms(
    root: BuildRoot, layers_dir: str, launch: Sequence[dict[str, Any]], build: Sequence[dict[str, Any]]
) -> None:
    """Write ``sbom.legacy.json`` for launch and build, which every image from Platform API 0.9 has.

    Without entries it holds ``null``, byte for byte what the official lifecycle writes, so that the SBOM layer of an
    app without SBOMs has the same digest from either.
    """
    for kind, entries in (("launch", launch), ("build", build)):
        root.make_dirs(f"{layers_dir}/sbom/{kind}")
        text = compact_json(list(entries) or None) + "\n"
        root.write(f"{layers_dir}/sbom/{kind}/sbom.legacy.json", text.encode())


def restore_sboms(
    root: BuildRoot, layers_dir: str, group: Iterable[GroupElement], owner: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Give the layers of ``group`` their SBOM files back from ``<layers>/sbom``, which is then deleted.

    Cache files count first and launch files replace them. Only buildpacks that have a layers directory already get
    theirs; ``owner`` (uid, gid) may change them. Returns the inside paths written.
    """
    written: dict[str, None] = {}
    for kind in (SbomKind.CACHE, SbomKind.LAUNCH):
        for element in group:
            base = f"{layers_dir}/sbom/{kind.value}/{escape_id(element.id)}"
            home = layers_path(layers_dir, element.id)
            if not root.is_dir(home):
                continue
            for layer in root.names(base):
                if not root.is_dir(f"{base}/{layer}"):
                    continue
                for name in root.names(f"{base}/{layer}"):
                    data = root.read(f"{base}/{layer}/{name}") if name.startswith("sbom.") else None
                    if data is not None:
                        root.write(f"{home}/{layer}.{name}", data, owner=owner)
                        written[f"{home}/{layer}.{name}"] = None
    remove_sboms(root, layers_dir)
    return tuple(written)


def remove_sboms(root: BuildRoot, layers_dir: str) -> None:
    """Delete ``<layers>/sbom`` with everything in it; absent is fine."""
    place = root.host(f"{layers_dir}/sbom", follow=False)
    if os.path.islink(place):
        os.unlink(place)
    elif os.path.lexists(place):
        shutil.rmtree(place)
