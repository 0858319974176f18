"""What buildpacks declare for the app image: processes, labels, slices; and what they leave unmet or want stored.

Source: CNB buildpack.md, "launch.toml (TOML)", "build.toml (TOML)", "store.toml (TOML)".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lifecycle.buildpack import json_data
from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import Buildpack
from lifecycle.buildpack.plan import Require
from lifecycle.errors import PylifeError
from lifecycle.toml import Table

_TYPE = re.compile(r"[A-Za-z0-9._-]+")
_LIST_COMMANDS = Api(0, 9)
_WORKING_DIR = Api(0, 8)


class BadLaunchToml(PylifeError):
    """A launch.toml breaks the rules of the Buildpack API."""

    code = "buildpack.bad-launch-toml"
    exit_code = 52
    fix = "Report it to the buildpack's author; the key that is named shows what to correct."


class BadBuildToml(PylifeError):
    """A build.toml breaks the rules of the Buildpack API."""

    code = "buildpack.bad-build-toml"
    exit_code = 52
    fix = "Report it to the buildpack's author: each unmet.name must be in the plan that the buildpack was given."


class BadStoreToml(PylifeError):
    """A store.toml is not a TOML document with a metadata table."""

    code = "buildpack.bad-store-toml"
    exit_code = 52
    fix = "Report it to the buildpack's author."


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the app image.

    ``command`` is never empty; its first element is the executable, the rest are always passed, ``args`` can be
    replaced by the user. Not ``direct`` means through a shell (Buildpack API before 0.9). ``default`` is a wish; which
    one wins is in ``LaunchMetadata.default_type``.
    """

    type: str
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    direct: bool = True
    default: bool = False
    buildpack_id: str = ""
    working_dir: str = ""
    exec_env: tuple[str, ...] = ()

    def runs_in(self, exec_env: str) -> bool:
        """True when the process is meant for the execution environment ``exec_env``."""
        return not exec_env or not self.exec_env or "*" in self.exec_env or exec_env in self.exec_env

    def for_platform(self, api: Api) -> Process:
        """The process as Platform API ``api`` can say it: before 0.10 a command is one word, the rest arguments."""
        if api >= Api(0, 10) or len(self.command) < 2:
            return self
        return replace(self, command=self.command[:1], args=self.command[1:] + self.args)


@dataclass(frozen=True, slots=True)
class Label:
    """An image label that a buildpack sets."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Globs (Go's ``filepath.Match``) of app files that get a layer of their own."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Launch:
    """What one buildpack's launch.toml holds. ``warnings`` are sentences about what is ignored.

    ``bom`` is the deprecated bill of materials, as JSON data.
    """

    processes: tuple[Process, ...] = ()
    labels: tuple[Label, ...] = ()
    slices: tuple[Slice, ...] = ()
    bom: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


def parse_launch_toml(raw: bytes, file: str, buildpack: Buildpack) -> Launch:
    """The launch.toml in ``raw`` by the rules of the buildpack's API; raises BadLaunchToml with file and key."""
    top = Table.parse(raw, file, BadLaunchToml)
    warnings: list[str] = []
    processes = tuple(_process(table, buildpack, warnings) for table in top.tables("processes"))
    _check_processes(processes, top)
    labels = tuple(Label(table.required("key"), table.text("value")) for table in top.tables("labels"))
    slices = tuple(Slice(table.strings("paths")) for table in top.tables("slices"))
    return Launch(processes, labels, slices, _bom(top, buildpack), tuple(warnings))


def _bom(top: Table, buildpack: Buildpack) -> tuple[dict[str, Any], ...]:
    """The entries of the deprecated bom array as the legacy SBOM file shows them."""
    entries = []
    for table in top.tables("bom"):
        if "version" in table:
            raise table.error("version", "a version belongs in metadata: write it as metadata.version")
        metadata = json_data.encode(table.mapping("metadata"))[0] if "metadata" in table else None
        of = {"id": buildpack.id, "version": buildpack.version}
        entries.append({"name": table.required("name"), "metadata": metadata, "buildpack": of})
    return tuple(entries)


def _check_processes(processes: tuple[Process, ...], top: Table) -> None:
    seen: set[str] = set()
    defaults = [process.type for process in processes if process.default]
    if len(defaults) > 1:
        raise top.error("processes", f"only one process may be the default, but {', '.join(defaults)} are")
    for process in processes:
        if process.type in seen:
            raise top.error("processes", f"the type {process.type!r} is declared twice")
        seen.add(process.type)


def _process(table: Table, buildpack: Buildpack, warnings: list[str]) -> Process:
    type_ = table.required("type")
    if not _TYPE.fullmatch(type_) or type_ in (".", ".."):
        raise table.error("type", f"{type_!r} may only hold letters, digits, '.', '_' and '-'")
    direct = True
    if buildpack.api >= _LIST_COMMANDS:
        if "direct" in table:
            raise table.error("direct", f"Buildpack API {buildpack.api} does not know it: every process is direct")
        if isinstance(table.data.get("command"), str):
            raise table.error("command", f"since Buildpack API 0.9 it is an array; this buildpack has {buildpack.api}")
        command = table.strings("command")
    else:
        if isinstance(table.data.get("command"), list):
            raise table.error("command", f"before Buildpack API 0.9 it is a string; this buildpack has {buildpack.api}")
        command = (table.required("command"),)
        direct = table.flag("direct")
    if not command or not command[0]:
        raise table.error("command", "it is required: the executable to start")
    working_dir = table.text("working-dir")
    if working_dir and buildpack.api < _WORKING_DIR:
        warnings.append(
            f"{buildpack} gives process {type_} a working-dir, which Buildpack API {buildpack.api} does not have: "
            "it is ignored"
        )
        working_dir = ""
    return Process(
        type_,
        command,
        table.strings("args"),
        direct,
        table.flag("default"),
        buildpack.id,
        working_dir,
        table.strings("exec-env"),
    )


@dataclass(frozen=True, slots=True)
class LaunchMetadata:
    """What all buildpacks together declare.

    ``processes`` are sorted by type; ``default_type`` is empty when there is none. ``labels`` are in the order in which
    buildpacks gave them; a key given twice counts as given last (``label_map``).
    """

    processes: tuple[Process, ...] = ()
    default_type: str = ""
    labels: tuple[Label, ...] = ()
    slices: tuple[Slice, ...] = ()
    warnings: tuple[str, ...] = ()

    def label_map(self) -> dict[str, str]:
        return {label.key: label.value for label in self.labels}

    def process(self, type_: str) -> Process | None:
        """The process of that type."""
        return next((process for process in self.processes if process.type == type_), None)


def merge_launches(launches: Iterable[Launch]) -> LaunchMetadata:
    """The declarations of all buildpacks, in build order: a later process replaces an earlier one of its type.

    The last default wins; a default type that is declared again without ``default`` is no default any more.
    """
    processes: dict[str, Process] = {}
    default_type = ""
    labels: list[Label] = []
    slices: list[Slice] = []
    warnings: list[str] = []
    for launch in launches:
        for process in launch.processes:
            if process.default:
                default_type = process.type
            elif process.type == default_type:
                default_type = ""
                warnings.append(
                    f"{process.buildpack_id} redefines the default process {process.type} without marking it as "
                    "default: the image has no default process from it"
                )
            processes[process.type] = replace(process, default=False)
        labels.extend(launch.labels)
        slices.extend(launch.slices)
        warnings.extend(launch.warnings)
    ordered = tuple(processes[type_] for type_ in sorted(processes, key=os.fsencode))
    return LaunchMetadata(ordered, default_type, tuple(labels), tuple(slices), tuple(warnings))


@dataclass(frozen=True, slots=True)
class BuildToml:
    """What one buildpack's build.toml holds: names left to later buildpacks; the deprecated ``bom`` as JSON data."""

    unmet: tuple[str, ...] = ()
    bom: tuple[dict[str, Any], ...] = ()


def parse_build_toml(raw: bytes, file: str, buildpack: Buildpack, received: Sequence[Require]) -> BuildToml:
    """The build.toml in ``raw``; each unmet name must be in the plan that the buildpack ``received``."""
    top = Table.parse(raw, file, BadBuildToml)
    names = []
    known = {require.name for require in received}
    for table in top.tables("unmet"):
        name = table.required("name")
        if name not in known:
            raise table.error("name", f"{name!r} is not in the plan that the buildpack was given")
        names.append(name)
    return BuildToml(tuple(names), _bom(top, buildpack))


def parse_store_toml(raw: bytes, file: str) -> dict[str, Any]:
    """The metadata that the buildpack wants back in the next build."""
    return Table.parse(raw, file, BadStoreToml).mapping("metadata")
