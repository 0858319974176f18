"""builder.toml as a value: which buildpacks on which build image, tried in which order.

Source: CNB distribution.md, "Builder"; the file's keys as the ecosystem's packaging tool reads them. ``[stack] uri``,
the directory of a stack.toml, is pylife's own: with it the builder's images need not exist before.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.builder.definition import StackDefinition, load_stack, only
from lifecycle.builder.files import Files, ordered, tree
from lifecycle.builder.wrap import is_classic, wrapped
from lifecycle.buildpack.descriptor import (
    Buildpack,
    GroupElement,
    Order,
    UnknownBuildpack,
    escape_id,
    parse_descriptor,
    parse_id,
    parse_version,
)
from lifecycle.buildpack.order import verify
from lifecycle.errors import PylifeError
from lifecycle.toml import Table

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SUFFIXES = ("default", "override", "append", "prepend")
SDK = "sdk"
"""A directory of this name beside buildpacks holds Python packages that they share: copied into each one's ``lib``."""


class BadBuilderFile(PylifeError):
    """A builder.toml breaks its rules."""

    code = "builder.bad-definition"
    fix = "Correct the key that is named; the builder.toml that comes with pylife is an example."


class UnsupportedSource(PylifeError):
    """A builder.toml takes something from a place that pylife does not take it from."""

    code = "builder.unsupported-source"
    fix = "Put the buildpack into a directory beside builder.toml and name that as its uri."


@dataclass(frozen=True, slots=True)
class Packed:
    """A buildpack as it goes into a builder: its directory, and that of the SDK when it has one.

    ``wrapped`` are the files of a classic buildpack with what makes it a Cloud Native one, in place of both.
    """

    directory: Path
    buildpack: Buildpack
    sdk: Path | None = None
    wrapped: Files | None = field(default=None, hash=False, repr=False)

    def files(self) -> Files:
        """Everything that the layer is made of, by its name below the buildpack's directory."""
        if self.wrapped is not None:
            return self.wrapped
        return {**tree(self.directory), **(tree(self.sdk, "lib/") if self.sdk is not None else {})}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of every build with the builder: a file in /cnb/build-config/env."""

    name: str
    value: str
    suffix: str = "default"
    delimiter: str = ""


@dataclass(frozen=True, slots=True)
class RunImageName:
    """A run image's name, and where else it can be had."""

    image: str
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuilderDefinition:
    """A builder before it is made. ``stack`` is None when ``build_image`` names an image that exists already."""

    file: Path
    description: str
    buildpacks: tuple[Packed, ...]
    order: Order
    build_image: str
    run_images: tuple[RunImageName, ...]
    stack_id: str = ""
    stack: StackDefinition | None = None
    env: tuple[Variable, ...] = ()
    raw: bytes = field(default=b"", repr=False)

    def key(self, *more: str) -> str:
        """A hash of the file, of all that it takes from its directory, and of ``more``."""
        total = hashlib.sha256(self.raw)
        for packed in self.buildpacks:
            files = packed.files()
            for name in ordered(files):
                content = files[name]
                mode = 0 if isinstance(content, bytes) else os.lstat(content).st_mode & 0o111
                total.update(f"\0{packed.buildpack}/{name}\0{mode}\0".encode(errors="surrogateescape"))
                if isinstance(content, bytes):
                    total.update(content)
                elif content.is_symlink():
                    total.update(os.fsencode(os.readlink(content)))
                elif content.is_file():
                    total.update(content.read_bytes())
        for text in more:
            total.update(f"\0{text}".encode())
        return total.hexdigest()


def load_builder(file: Path) -> BuilderDefinition:
    """The builder in ``file``; raises BadBuilderFile, BadStack, BadDescriptor, UnknownBuildpack, CyclicOrder or
    UnsupportedSource."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadBuilderFile(f"{file} cannot be read", why=error.strerror, where=str(file)) from error
    top = Table.parse(raw, str(file), BadBuilderFile)
    only(top, "description", "buildpacks", "order", "build", "run", "stack", "targets")
    for target in top.tables("targets"):
        only(target, "os", "arch", "variant", "distros")
    buildpacks = tuple(_packed(table, file.parent) for table in top.tables("buildpacks"))
    if not buildpacks:
        raise top.error("buildpacks", "a builder needs at least one buildpack")
    places: dict[tuple[str, str], str] = {}
    for position, item in enumerate(buildpacks):
        place = (escape_id(item.buildpack.id), item.buildpack.version)
        if place in places:
            raise top.error(f"buildpacks[{position}]", f"{item.buildpack} and {places[place]} have one place")
        places[place] = str(item.buildpack)
    order = _order(top, [item.buildpack for item in buildpacks])
    _verify(order, [item.buildpack for item in buildpacks])
    stack, stack_id, build_image, run_images = _images(top, file.parent)
    return BuilderDefinition(
        file=file,
        description=top.text("description"),
        buildpacks=tuple(sorted(buildpacks, key=lambda item: str(item.buildpack))),
        order=order,
        build_image=build_image,
        run_images=run_images,
        stack_id=stack_id,
        stack=stack,
        env=tuple(_variable(table) for table in top.table("build").tables("env")),
        raw=raw,
    )


def _verify(order: Order, buildpacks: Sequence[Buildpack]) -> None:
    """See to it that the builder has all that its composite buildpacks are made of; raises UnknownBuildpack."""
    held = {(item.id, item.version): item for item in buildpacks}

    def lookup(element: GroupElement) -> Buildpack:
        if (element.id, element.version) not in held:
            makers = [str(item) for item in buildpacks for group in item.order if element in group]
            raise UnknownBuildpack(
                f"The builder would have no {element}, of which {' and '.join(makers)} is made",
                why=f"its buildpacks are {', '.join(map(str, buildpacks))}",
                fix="Add it to [[buildpacks]], or correct the [[order]] of the composite buildpack.",
            )
        return held[(element.id, element.version)]

    verify(order, lookup)


def load_packed(directory: Path) -> Packed:
    """The buildpack in ``directory`` with the SDK beside it, when its own ``lib`` expects one."""
    file = directory / "buildpack.toml"
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadBuilderFile(
            f"{directory} holds no buildpack", why=f"{file}: {error.strerror}", where=str(directory)
        ) from error
    has_build = (directory / "bin" / "build").exists()
    return Packed(directory, parse_descriptor(raw, file=str(file), dir="", has_build=has_build), find_sdk(directory))


def find_sdk(directory: Path) -> Path | None:
    """The SDK beside the buildpack in ``directory``, when its own ``lib`` expects one."""
    sdk = directory.parent / SDK
    return sdk if sdk.is_dir() and (directory / "lib").is_dir() else None


def _packed(table: Table, base: Path) -> Packed:
    only(table, "id", "version", "uri", "image")
    uri = table.text("uri") or table.text("image")
    if not uri:
        raise table.error("uri", "it is required: the directory of the buildpack")
    if "image" in table or "://" in uri.removeprefix("file://") or uri.endswith((".tgz", ".cnb", ".tar")):
        raise UnsupportedSource(
            f"The buildpack {uri} cannot be put into a builder",
            why="builders are made of directories",
            where=f"{table.file}: {table.path}",
        )
    directory = (base / uri.removeprefix("file://")).resolve()
    if is_classic(directory):
        return _wrapped(table, directory)
    packed = load_packed(directory)
    for key, found in (("id", packed.buildpack.id), ("version", packed.buildpack.version)):
        if table.text(key, found) != found:
            raise table.error(key, f"{uri} has {key} {found!r}, not {table.text(key)!r}")
    return packed


def _wrapped(table: Table, directory: Path) -> Packed:
    """A classic buildpack, under the ID and version that the table gives it."""
    found = wrapped(directory, id=table.text("id"), version=table.text("version"))
    return Packed(directory, parse_descriptor(found.descriptor, file=table.file, dir=""), wrapped=found.files)


def _images(top: Table, base: Path) -> tuple[StackDefinition | None, str, str, tuple[RunImageName, ...]]:
    """The stack to make, or the names of images that exist."""
    build, run, stack = top.table("build"), top.table("run"), top.table("stack")
    only(build, "image", "env")
    only(run, "images")
    only(stack, "id", "uri", "build-image", "run-image", "run-image-mirrors")
    runs = []
    for table in run.tables("images"):
        only(table, "image", "mirrors")
        runs.append(RunImageName(table.required("image"), table.strings("mirrors")))
    if "uri" in stack:
        definition = load_stack((base / stack.required("uri")).resolve())
        if stack.text("id", definition.id) != definition.id:
            raise stack.error("id", f"the stack is {definition.id!r}")
        if "image" in build or "build-image" in stack:
            raise stack.error("uri", "the build image is named too; keep one of the two")
        own = RunImageName(definition.reference("run").familiar, stack.strings("run-image-mirrors"))
        return definition, definition.id, definition.reference("build").familiar, tuple(runs) or (own,)
    image = build.text("image") or stack.text("build-image")
    if not image:
        raise top.error("build.image", "it is required, unless [stack] uri names a stack to make")
    if not runs and "run-image" in stack:
        runs = [RunImageName(stack.required("run-image"), stack.strings("run-image-mirrors"))]
    if not runs:
        raise top.error("run.images", "at least one run image is required")
    return None, stack.text("id"), image, tuple(runs)


def _order(top: Table, buildpacks: Sequence[Buildpack]) -> Order:
    """The order, in which a version may be left out where the builder has only one."""
    groups = []
    for group in top.tables("order"):
        only(group, "group")
        elements = tuple(_element(table, buildpacks) for table in group.tables("group"))
        if not elements:
            raise group.error("group", "a group needs at least one entry")
        groups.append(elements)
    if not groups:
        raise top.error("order", "it is required: without a group nothing can be detected")
    return tuple(groups)


def _element(table: Table, buildpacks: Sequence[Buildpack]) -> GroupElement:
    only(table, "id", "version", "optional", "exec-env")
    id_ = parse_id(table)
    versions = sorted({item.version for item in buildpacks if item.id == id_})
    version = parse_version(table) if "version" in table else versions[0] if len(versions) == 1 else ""
    if version not in versions:
        held = ", ".join(versions) or f"no version of it, but {', '.join(sorted({item.id for item in buildpacks}))}"
        raise table.error("version" if versions else "id", f"the builder has {held}")
    return GroupElement(id_, version, optional=table.flag("optional"), exec_env=table.strings("exec-env"))


def _variable(table: Table) -> Variable:
    only(table, "name", "value", "suffix", "delim")
    name, suffix = table.required("name"), table.text("suffix") or "default"
    if not _VARIABLE.fullmatch(name):
        raise table.error("name", f"{name!r} is no name of a variable")
    if suffix not in _SUFFIXES:
        raise table.error("suffix", f"{suffix!r} is none of {', '.join(_SUFFIXES)}")
    return Variable(name, table.text("value"), suffix, table.text("delim"))
