"""buildpack.toml and extension.toml as values, and the directory of a builder that holds many of them.

Source: CNB buildpack.md, "buildpack.toml (TOML)" and "Deprecations".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle.buildpack.api import Api, supported_api
from lifecycle.buildpack.target import Distro, Target
from lifecycle.errors import PylifeError
from lifecycle.toml import Table

_ID = re.compile(r"[A-Za-z0-9./-]+")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:[-+][0-9A-Za-z.+-]+)?")
_RESERVED = frozenset({"app", "config", "generated", "sbom"})
SBOM_FORMATS = ("application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json")


class BadDescriptor(PylifeError):
    """A buildpack.toml or extension.toml breaks the rules of the Buildpack API."""

    code = "buildpack.bad-descriptor"
    fix = "Correct the key that is named; `pylife explain buildpack.bad-descriptor` lists the keys and their rules."


class UnknownBuildpack(PylifeError):
    """An order or a group names a buildpack that the builder does not hold."""

    code = "buildpack.unknown"
    fix = "See `pylife builder inspect` for what the builder holds, or add the buildpack with --buildpack."


def escape_id(id_: str) -> str:
    """The directory name of a buildpack ID."""
    return id_.replace("/", "_")


def bad_id(id_: str) -> str | None:
    """Why ``id_`` is no buildpack ID, or None when it is one."""
    if not _ID.fullmatch(id_):
        return f"{id_!r} may only hold letters, digits, '.', '/' and '-'"
    if id_ in _RESERVED:
        return f"{id_!r} is reserved"
    if set(id_) <= {"."}:
        return f"{id_!r} is no name for a directory"
    return None


def bad_version(version: str) -> str | None:
    """Why ``version`` is no buildpack version, or None when it is one (a pre-release or build suffix is let pass)."""
    if not _VERSION.fullmatch(version):
        return f"{version!r} is not of the form X.Y.Z with whole numbers and no leading zeros"
    return None


@dataclass(frozen=True, slots=True)
class GroupElement:
    """One buildpack, or image extension, of a group: named in order.toml, recorded in group.toml.

    ``api`` and ``homepage`` are known once the descriptor has been read. ``exec_env`` limits the element to these
    execution environments (empty: all).
    """

    id: str
    version: str
    api: str = ""
    homepage: str = ""
    optional: bool = False
    extension: bool = False
    exec_env: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[bool, str]:
        """What may appear once in a group: kind and ID."""
        return (self.extension, self.id)

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


Order = tuple[tuple[GroupElement, ...], ...]


@dataclass(frozen=True, slots=True)
class License:
    """A licence of a buildpack: an SPDX expression, a place where its text is, or both."""

    type: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Buildpack:
    """A buildpack, or an image ``extension``, as its descriptor tells.

    ``dir`` is its absolute path inside the build root. ``order`` is empty except for composites, which have no
    executables. ``targets`` is empty when anything goes.
    """

    id: str
    version: str
    api: Api
    dir: str
    name: str = ""
    homepage: str = ""
    description: str = ""
    clear_env: bool = False
    extension: bool = False
    sbom_formats: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    order: Order = ()
    exec_env: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    licenses: tuple[License, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def is_composite(self) -> bool:
        return bool(self.order)

    @property
    def element(self) -> GroupElement:
        """This buildpack as a member of a group."""
        return GroupElement(self.id, self.version, str(self.api), self.homepage, self.extension, self.extension)

    def runs_in(self, exec_env: str) -> bool:
        """True when it takes part in the execution environment ``exec_env`` (its own list counts from API 0.12)."""
        if not exec_env or self.api < Api(0, 12):
            return True
        return not self.exec_env or "*" in self.exec_env or exec_env in self.exec_env

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


def parse_descriptor(raw: bytes, *, file: str, dir: str, has_build: bool = True, extension: bool = False) -> Buildpack:
    """The buildpack (or extension) in ``raw``; ``has_build`` tells whether its directory has ``bin/build``.

    Raises BadDescriptor with file and key, or UnsupportedApi (exit code 12).
    """
    top = Table.parse(raw, file, BadDescriptor)
    api = supported_api(top.required("api"), where=file)
    info = top.table("extension" if extension else "buildpack")
    order = parse_order(top, "order")
    targets = tuple(_target(table) for table in top.tables("targets"))
    stacks = tuple(table.required("id") for table in top.tables("stacks"))
    if order and extension:
        raise top.error("order", "an extension cannot hold an order")
    if order and (targets or stacks):
        raise top.error("order", "a composite buildpack cannot have targets or stacks: it has those of its parts")
    if not targets and not order:
        targets = _targets_of_stacks(stacks, api) or ((Target("linux"),) if has_build else ())
    return Buildpack(
        id=parse_id(info),
        version=parse_version(info),
        api=api,
        dir=dir,
        name=info.text("name"),
        homepage=info.text("homepage"),
        description=info.text("description"),
        clear_env=info.flag("clear-env"),
        extension=extension,
        sbom_formats=_sbom_formats(info),
        targets=targets,
        order=order,
        exec_env=_exec_env(info),
        keywords=info.strings("keywords"),
        licenses=tuple(License(table.text("type"), table.text("uri")) for table in info.tables("licenses")),
        metadata=top.mapping("metadata"),
    )


def parse_id(table: Table) -> str:
    """The buildpack ID at ``id`` of ``table``."""
    id_ = table.required("id")
    if reason := bad_id(id_):
        raise table.error("id", reason)
    return id_


def parse_version(table: Table) -> str:
    """The buildpack version at ``version`` of ``table``."""
    version = table.required("version")
    if reason := bad_version(version):
        raise table.error("version", reason)
    return version


def parse_order(top: Table, key: str, *, extension: bool = False) -> Order:
    """The order at ``key``: groups of elements, in file order. Extensions are always optional."""
    groups = []
    for group in top.tables(key):
        elements = tuple(
            GroupElement(
                parse_id(table),
                parse_version(table),
                optional=extension or table.flag("optional"),
                extension=extension,
                exec_env=table.strings("exec-env"),
            )
            for table in group.tables("group")
        )
        if not elements:
            raise group.error("group", "a group needs at least one entry")
        groups.append(elements)
    return tuple(groups)


def _target(table: Table) -> Target:
    distros = tuple(Distro(distro.text("name"), distro.text("version")) for distro in table.tables("distros"))
    variant = table.text("variant") or table.text("arch-variant")
    return Target(table.text("os"), table.text("arch"), variant, distros)


def _targets_of_stacks(stacks: tuple[str, ...], api: Api) -> tuple[Target, ...]:
    targets = []
    for stack in stacks:
        if stack == "*":
            targets.append(Target())
        elif stack == "io.buildpacks.stacks.bionic" and (api >= Api(0, 10) or len(stacks) == 1):
            targets.append(Target("linux", "amd64", "", (Distro("ubuntu", "18.04"),)))
    return tuple(targets)


def _sbom_formats(info: Table) -> tuple[str, ...]:
    formats = []
    for position, text in enumerate(info.strings("sbom-formats")):
        media_type = text.partition(";")[0].strip().lower()
        if media_type not in SBOM_FORMATS:
            raise info.error(f"sbom-formats[{position}]", f"{text!r} is none of {', '.join(SBOM_FORMATS)}")
        formats.append(media_type)
    return tuple(formats)


def _exec_env(info: Table) -> tuple[str, ...]:
    """Both spellings: the array of strings that tools read, and the array of tables that the specification shows."""
    items = info.data.get("exec-env")
    if isinstance(items, list) and items and isinstance(items[0], dict):
        return tuple(table.required("name") for table in info.tables("exec-env"))
    return info.strings("exec-env")


@dataclass(frozen=True, slots=True)
class BuildpackStore:
    """The buildpacks of a builder: host directory ``root``, seen inside the build root as ``at``.

    A buildpack is at ``<root>/<escaped id>/<version>/buildpack.toml``.
    """

    root: Path
    at: str = "/cnb/buildpacks"
    extension: bool = False

    @property
    def _file(self) -> str:
        return "extension.toml" if self.extension else "buildpack.toml"

    def get(self, id_: str, version: str) -> Buildpack:
        """The buildpack of that ID and version; raises UnknownBuildpack, BadDescriptor or UnsupportedApi."""
        place = f"{escape_id(id_)}/{version}"
        file = self.root / place / self._file
        if bad_id(id_) or bad_version(version) or not file.is_file():
            kind = "extension" if self.extension else "buildpack"
            held = ", ".join(f"{escape_id(id_)}@{known}" for known in self._versions(id_))
            raise UnknownBuildpack(
                f"There is no {kind} {id_}@{version} in the builder",
                why=f"it holds {held}" if held else f"{self.at}/{place}/{self._file} does not exist",
                where=str(file),
            )
        found = self.load(file, f"{self.at}/{place}")
        if (found.id, found.version) != (id_, version):
            raise BadDescriptor(
                f"{file} describes {found}", why=f"its directory is the place of {id_}@{version}", where=str(file)
            )
        return found

    def load(self, file: Path, inside: str) -> Buildpack:
        """The buildpack described by the host ``file``, whose directory is ``inside`` in the build root."""
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise BadDescriptor(f"{file} cannot be read", why=error.strerror, where=str(file)) from error
        has_build = (file.parent / "bin" / "build").exists()
        return parse_descriptor(raw, file=str(file), dir=inside, has_build=has_build, extension=self.extension)

    def __iter__(self) -> Iterator[Buildpack]:
        """Every buildpack held, by escaped ID and version in byte order."""
        for directory in sorted(_directories(self.root)):
            for version in sorted(_directories(self.root / directory)):
                file = self.root / directory / version / self._file
                if file.is_file():
                    yield self.load(file, f"{self.at}/{directory}/{version}")

    def _versions(self, id_: str) -> list[str]:
        return [] if bad_id(id_) else sorted(_directories(self.root / escape_id(id_)))


def _directories(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
