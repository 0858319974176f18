"""The layers that make a build image into a builder, as members of archives.

Source: CNB distribution.md, "Builder" and "Buildpackage"; the order and names of layers as packaging tools write them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lifecycle.archive import Entry, Kind, Member
from lifecycle.builder.config import BuilderDefinition, Packed, RunImageName
from lifecycle.builder.files import is_program
from lifecycle.buildpack.api import BUILDPACK_APIS
from lifecycle.buildpack.descriptor import Order, escape_id
from lifecycle.toml import dump

PLATFORM_APIS = tuple(f"0.{minor}" for minor in range(7, 16))
"""The Platform APIs whose images the launcher starts."""


def directories(uid: int, gid: int) -> Iterator[Member]:
    """The directories of the platform's contract; those of the build belong to the CNB user."""
    for name in ("cnb", "cnb/build-config", "cnb/build-config/env", "cnb/buildpacks", "cnb/extensions"):
        yield Entry(name.encode(), Kind.DIR, 0o755), None
    yield Entry(b"layers", Kind.DIR, 0o755, uid, gid), None
    for name in ("platform", "platform/env"):
        yield Entry(name.encode(), Kind.DIR, 0o755), None
    yield Entry(b"workspace", Kind.DIR, 0o755, uid, gid), None


def apis() -> dict[str, dict[str, list[str]]]:
    """The supported APIs, in the shape of lifecycle.toml's ``apis`` and of the label."""
    return {
        "buildpack": {"deprecated": [], "supported": [str(api) for api in BUILDPACK_APIS]},
        "platform": {"deprecated": [], "supported": list(PLATFORM_APIS)},
    }


def lifecycle(launcher: bytes, version: str) -> Iterator[Member]:
    """/cnb/lifecycle with the launcher and its descriptor, and the old place's link to it."""
    descriptor = dump({"lifecycle": {"version": version}, "apis": apis()})
    yield Entry(b"cnb/lifecycle", Kind.DIR, 0o755), None
    yield Entry(b"cnb/lifecycle/launcher", Kind.FILE, 0o755, size=len(launcher)), launcher
    yield Entry(b"cnb/lifecycle/lifecycle.toml", Kind.FILE, 0o644, size=len(descriptor)), descriptor
    yield Entry(b"lifecycle", Kind.SYMLINK, 0o777, linkname=b"/cnb/lifecycle"), None


def buildpack(packed: Packed) -> Iterator[Member]:
    """One buildpack at its place in /cnb/buildpacks: owned by root, modes made plain, the SDK copied into ``lib``."""
    found = packed.buildpack
    at = f"cnb/buildpacks/{escape_id(found.id)}".encode()
    yield Entry(at, Kind.DIR, 0o755), None
    at += b"/" + found.version.encode()
    yield Entry(at, Kind.DIR, 0o755), None
    files = packed.files()
    names = set(files) | {str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."}
    for name in sorted(names, key=lambda item: item.split("/")):
        yield _member(at, name, files.get(name))


def _member(at: bytes, name: str, content: Path | bytes | None) -> Member:
    """``content`` is None for a directory that only its files tell of."""
    full = at + b"/" + os.fsencode(name)
    if content is None:
        return Entry(full, Kind.DIR, 0o755), None
    if isinstance(content, bytes):
        return Entry(full, Kind.FILE, 0o755 if is_program(name) else 0o644, size=len(content)), content
    path = content
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode):
        return Entry(full, Kind.DIR, 0o755), None
    if stat.S_ISLNK(status.st_mode):
        return Entry(full, Kind.SYMLINK, 0o777, linkname=os.fsencode(os.readlink(path))), None
    runs = status.st_mode & 0o111 or is_program(name)
    data = path.read_bytes()
    return Entry(full, Kind.FILE, 0o755 if runs else 0o644, size=len(data)), data


def settings(definition: BuilderDefinition) -> Iterator[Member]:
    """order.toml, run.toml, stack.toml and the variables of every build."""
    files = {f"cnb/build-config/env/{item.name}.{item.suffix}".encode(): item.value.encode() for item in definition.env}
    files |= {
        f"cnb/build-config/env/{item.name}.delim".encode(): item.delimiter.encode()
        for item in definition.env
        if item.delimiter
    }
    files[b"cnb/order.toml"] = dump({"order": order_data(definition.order)})
    files[b"cnb/run.toml"] = dump({"images": [run_data(item) for item in definition.run_images]})
    files[b"cnb/stack.toml"] = dump({"run-image": run_data(definition.run_images[0])})
    for name in sorted(files):
        yield Entry(name, Kind.FILE, 0o644, size=len(files[name])), files[name]


def order_data(order: Order) -> list[dict[str, object]]:
    """The order as data, the same in order.toml and in the label."""
    groups: list[dict[str, object]] = []
    for group in order:
        elements: list[dict[str, object]] = []
        for element in group:
            item: dict[str, object] = {"id": element.id, "version": element.version}
            if element.optional:
                item["optional"] = True
            if element.exec_env:
                item["exec-env"] = list(element.exec_env)
            elements.append(item)
        groups.append({"group": elements})
    return groups


def run_data(image: RunImageName) -> dict[str, object]:
    """A run image as data, the same in run.toml, stack.toml and the label."""
    return {"image": image.image, "mirrors": list(image.mirrors)}
