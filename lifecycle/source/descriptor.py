"""project.toml: what a project says about how it is to be built.

Source: CNB spec extensions/project-descriptor.md, schema 0.2, and schema 0.1 as it was before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from lifecycle.record import dataclass
from lifecycle.source.errors import BadProjectDescriptor
from lifecycle.source.ignore import Filter
from lifecycle.toml import Table

FILE_NAME = "project.toml"
_SCHEMAS = ("0.1", "0.2")


@dataclass(frozen=True, slots=True)
class Script:
    """An inline buildpack: a script that is run as its bin/build."""

    api: str
    inline: str
    shell: str = "/bin/sh"


@dataclass(frozen=True, slots=True)
class BuildpackSource:
    """A buildpack that the project wants: by ``id`` with ``version``, by ``uri``, or written inline."""

    id: str = ""
    version: str = ""
    uri: str = ""
    script: Script | None = None


@dataclass(frozen=True, slots=True)
class ProjectDescriptor:
    """A project.toml.

    ``include`` and ``exclude`` are gitignore patterns, of which at most one list is not empty. ``group`` replaces the
    builder's order; ``pre`` and ``post`` are put around every group. ``env`` is set for buildpacks.
    """

    schema: str = "0.2"
    id: str = ""
    name: str = ""
    version: str = ""
    source_url: str = ""
    builder: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    group: tuple[BuildpackSource, ...] = ()
    pre: tuple[BuildpackSource, ...] = ()
    post: tuple[BuildpackSource, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def filter(self) -> Filter:
        """Which files of the source go into the build."""
        return Filter.of(include=self.include, exclude=self.exclude)


def load_project_descriptor(path: Path) -> ProjectDescriptor:
    """The descriptor at ``path``; raises BadProjectDescriptor with file and key."""
    return _descriptor(Table.load(path, BadProjectDescriptor))


def parse_project_descriptor(raw: bytes, file: str = FILE_NAME) -> ProjectDescriptor:
    """The descriptor in ``raw``; raises BadProjectDescriptor with file and key."""
    return _descriptor(Table.parse(raw, file, BadProjectDescriptor))


def find_project_descriptor(app: Path, given: Path | None = None) -> ProjectDescriptor | None:
    """The descriptor ``given``, else the app's own project.toml, else None."""
    if given is not None:
        return load_project_descriptor(given)
    own = app / FILE_NAME
    return load_project_descriptor(own) if own.is_file() else None


def _descriptor(top: Table) -> ProjectDescriptor:
    if "_" in top:
        schema = top.table("_").required("schema-version")
        if schema not in _SCHEMAS:
            raise top.table("_").error("schema-version", f"{schema!r} is not one of {', '.join(_SCHEMAS)}")
    elif "io" in top and "project" not in top:
        raise top.error("_", 'the table is required: write [_] and schema-version = "0.2"')
    else:
        schema = "0.1"
    return _schema_0_2(top) if schema == "0.2" else _schema_0_1(top)


def _schema_0_2(top: Table) -> ProjectDescriptor:
    project = top.table("_")
    build = top.table("io").table("buildpacks")
    include, exclude = _patterns(build)
    return ProjectDescriptor(
        "0.2",
        project.text("id"),
        project.text("name"),
        project.text("version"),
        project.text("source-url"),
        build.text("builder"),
        include,
        exclude,
        _group(build, "group"),
        _group(build.table("pre"), "group"),
        _group(build.table("post"), "group"),
        _env(build.table("build"), "env"),
        project.mapping("metadata"),
    )


def _schema_0_1(top: Table) -> ProjectDescriptor:
    project, build = top.table("project" if "project" in top else "_"), top.table("build")
    include, exclude = _patterns(build)
    return ProjectDescriptor(
        "0.1",
        project.text("id"),
        project.text("name"),
        project.text("version"),
        project.text("source-url"),
        build.text("builder"),
        include,
        exclude,
        _group(build, "buildpacks"),
        env=_env(build, "env"),
        metadata=top.mapping("metadata"),
    )


def _patterns(build: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    include, exclude = build.strings("include"), build.strings("exclude")
    if include and exclude:
        raise build.error("exclude", "include and exclude cannot be given together: keep one of them")
    return include, exclude


def _group(table: Table, key: str) -> tuple[BuildpackSource, ...]:
    return tuple(_buildpack(item) for item in table.tables(key))


def _buildpack(table: Table) -> BuildpackSource:
    given = [key for key in ("version", "uri", "script") if key in table]
    if len(given) > 1:
        raise table.error(given[1], f"{' and '.join(given)} cannot be given together: keep one of them")
    if not given and not table.text("id"):
        raise table.error("id", "a buildpack needs an id, a uri or a script")
    if given == ["version"]:
        table.required("id")
    script = None
    if "script" in table:
        inner = table.table("script")
        script = Script(inner.required("api"), inner.required("inline"), inner.text("shell", "/bin/sh"))
    return BuildpackSource(table.text("id"), table.text("version"), table.text("uri"), script)


def _env(table: Table, key: str) -> dict[str, str]:
    env: dict[str, str] = {}
    for item in table.tables(key):
        name = item.required("name")
        if "=" in name or "\0" in name or "/" in name:
            raise item.error("name", f"{name!r} is no name for a variable")
        value = item.text("value")
        if "\0" in value:
            raise item.error("value", "it holds a NUL character")
        env[name] = value
    return env
