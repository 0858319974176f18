"""The record of a build: ``<layers>/config/metadata.toml`` for the launcher, and the build metadata label.

Source: CNB platform.md, "metadata.toml (TOML)" and "``io.buildpacks.build.metadata`` (JSON)".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.buildpack.api import Api
from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.json_data import compact_json
from lifecycle.buildpack.launch import Label, LaunchMetadata, Process, Slice
from lifecycle.errors import PylifeError
from lifecycle.toml import Table, dump

_LIST_COMMANDS = Api(0, 10)


class BadBuildMetadata(PylifeError):
    """A metadata.toml, or the build metadata label of an image, cannot be understood."""

    code = "buildpack.bad-build-metadata"
    fix = "Build the app again: the file is written anew by every build."


@dataclass(frozen=True, slots=True)
class LauncherVersion:
    """Which launcher is in the image; empty parts are unknown."""

    version: str = ""
    repository: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class BuildMetadata:
    """What a build made: the group that took part, and what it declared for launch."""

    buildpacks: tuple[GroupElement, ...] = ()
    extensions: tuple[GroupElement, ...] = ()
    launch: LaunchMetadata = field(default_factory=LaunchMetadata)

    def to_toml(self, api: Api) -> bytes:
        """metadata.toml in the form of Platform API ``api``."""
        data: dict[str, Any] = {}
        if self.launch.default_type:
            data["buildpack-default-process-type"] = self.launch.default_type
        data["buildpacks"] = [_element_toml(element) for element in self.buildpacks]
        if self.extensions:
            data["extensions"] = [_element_toml(element) for element in self.extensions]
        data["labels"] = [{"key": label.key, "value": label.value} for label in self.launch.labels]
        data["processes"] = [process_data(process, api, id_key="buildpack-id") for process in self.launch.processes]
        data["slices"] = [{"paths": list(item.paths)} for item in self.launch.slices]
        return dump(data)

    def to_label(self, api: Api, launcher: LauncherVersion) -> str:
        """The value of the label ``io.buildpacks.build.metadata``, keys in the official order."""
        data: dict[str, Any] = {"buildpacks": [_element_json(element) for element in self.buildpacks]}
        if self.extensions:
            data["extensions"] = [_element_json(element) for element in self.extensions]
        git = {"repository": launcher.repository, "commit": launcher.commit}
        data["launcher"] = {"version": launcher.version, "source": {"git": git}}
        data["processes"] = [process_data(process, api, id_key="buildpackID") for process in self.launch.processes]
        if self.launch.default_type:
            data["buildpack-default-process-type"] = self.launch.default_type
        if api < Api(0, 9):
            data = {"bom": None, **data}
        return compact_json(data)


def process_data(process: Process, api: Api, *, id_key: str) -> dict[str, Any]:
    """One process as metadata.toml (``id_key`` = ``buildpack-id``) or the label (``buildpackID``) writes it."""
    shown = process.for_platform(api)
    data: dict[str, Any] = {
        "type": shown.type,
        "command": list(shown.command) if api >= _LIST_COMMANDS else shown.command[0],
        "args": list(shown.args),
        "direct": shown.direct,
        id_key: shown.buildpack_id,
    }
    if shown.working_dir:
        data["working-dir"] = shown.working_dir
    if shown.exec_env:
        data["exec-env"] = list(shown.exec_env)
    return data


def _element_toml(element: GroupElement) -> dict[str, str]:
    data = {"id": element.id, "version": element.version, "api": element.api, "homepage": element.homepage}
    return {key: value for key, value in data.items() if value}


def _element_json(element: GroupElement) -> dict[str, str]:
    data = {"id": element.id, "version": element.version}
    return {**data, "homepage": element.homepage} if element.homepage else data


def parse_build_metadata(raw: bytes, file: str) -> BuildMetadata:
    """The metadata.toml in ``raw``, commands in either form; raises BadBuildMetadata."""
    top = Table.parse(raw, file, BadBuildMetadata)
    launch = LaunchMetadata(
        tuple(_process(table, id_key="buildpack-id") for table in top.tables("processes")),
        top.text("buildpack-default-process-type"),
        tuple(Label(table.required("key"), table.text("value")) for table in top.tables("labels")),
        tuple(Slice(table.strings("paths")) for table in top.tables("slices")),
    )
    return BuildMetadata(_elements(top, "buildpacks", False), _elements(top, "extensions", True), launch)


def parse_build_label(text: str, where: str) -> BuildMetadata:
    """The build metadata label of an image (``where`` names it); raises BadBuildMetadata."""
    import json

    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadBuildMetadata("The build metadata label is not JSON", where=where) from error
    if not isinstance(data, Mapping):
        raise BadBuildMetadata("The build metadata label is not a JSON object", where=where)
    top = Table({key: value for key, value in data.items() if value is not None}, where, BadBuildMetadata)
    processes = tuple(_process(table, id_key="buildpackID") for table in top.tables("processes"))
    launch = LaunchMetadata(processes, top.text("buildpack-default-process-type"))
    return BuildMetadata(_elements(top, "buildpacks", False), _elements(top, "extensions", True), launch)


def _elements(top: Table, key: str, extension: bool) -> tuple[GroupElement, ...]:
    return tuple(
        GroupElement(
            table.required("id"),
            table.text("version"),
            table.text("api"),
            table.text("homepage"),
            optional=extension,
            extension=extension,
        )
        for table in top.tables(key)
    )


def _process(table: Table, *, id_key: str) -> Process:
    command = table.data.get("command")
    words = (command,) if isinstance(command, str) else table.strings("command")
    return Process(
        table.required("type"),
        words,
        table.strings("args"),
        table.flag("direct"),
        False,
        table.text(id_key),
        table.text("working-dir"),
        table.strings("exec-env"),
    )
