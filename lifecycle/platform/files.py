"""The TOML files of the Platform API as values: group, plan, order, system, run, stack, project metadata, report.

``parse_…`` takes bytes, ``load_…`` a path, ``render_…`` gives bytes. Whether an absent file is an error is each
loader's to say.
Source: CNB platform.md, "Data Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.order import OrderFile, System, parse_order_file, parse_system
from lifecycle.buildpack.plan import Plan, PlanEntry, Require
from lifecycle.oci import BadReference, Digest, Reference
from lifecycle.platform.errors import BadContractFile
from lifecycle.record import dataclass
from lifecycle.toml import Table, dump


@dataclass(frozen=True, slots=True)
class GroupFile:
    """group.toml: the buildpacks, and the image extensions, that take part in the build."""

    buildpacks: tuple[GroupElement, ...] = ()
    extensions: tuple[GroupElement, ...] = ()

    @classmethod
    def of(cls, group: Iterable[GroupElement]) -> GroupFile:
        """The two kinds of a detected group, order kept."""
        elements = tuple(group)
        return cls(
            tuple(element for element in elements if not element.extension),
            tuple(element for element in elements if element.extension),
        )


def parse_group(raw: bytes, file: str) -> GroupFile:
    """The group in ``raw``; extensions come out marked as such and optional."""
    top = Table.parse(raw, file, BadContractFile)
    return GroupFile(_group(top, "group", False), _group(top, "group-extensions", True))


def _group(top: Table, key: str, extension: bool) -> tuple[GroupElement, ...]:
    return tuple(
        GroupElement(
            table.required("id"),
            table.required("version"),
            table.text("api"),
            table.text("homepage"),
            optional=extension or table.flag("optional"),
            extension=extension,
        )
        for table in top.tables(key)
    )


def render_group(group: GroupFile) -> bytes:
    """group.toml; neither ``optional`` nor ``extension`` is written, since both follow from the place."""
    data: dict[str, Any] = {"group": [_element(element) for element in group.buildpacks]}
    if group.extensions:
        data["group-extensions"] = [_element(element) for element in group.extensions]
    return dump(data)


def _element(element: GroupElement) -> dict[str, Any]:
    data = {"id": element.id, "version": element.version, "api": element.api, "homepage": element.homepage}
    return {key: value for key, value in data.items() if value}


def parse_plan(raw: bytes, file: str) -> Plan:
    """The resolved plan in ``raw``."""
    entries = []
    for table in Table.parse(raw, file, BadContractFile).tables("entries"):
        providers = tuple(
            GroupElement(item.required("id"), item.text("version"), extension=item.flag("extension"))
            for item in table.tables("providers")
        )
        requires = (Require(item.required("name"), item.mapping("metadata")) for item in table.tables("requires"))
        entries.append(PlanEntry(providers, tuple(requires)))
    return Plan(tuple(entries))


def render_plan(plan: Plan) -> bytes:
    """plan.toml."""

    def provider(element: GroupElement) -> dict[str, Any]:
        data: dict[str, Any] = {"id": element.id, "version": element.version}
        return {**data, "extension": True} if element.extension else data

    return dump(
        {
            "entries": [
                {
                    "providers": [provider(element) for element in entry.providers],
                    "requires": [require.to_toml() for require in entry.requires],
                }
                for entry in plan.entries
            ]
        }
    )


def load_order(path: Path) -> OrderFile:
    """The order.toml at ``path``, which must be there."""
    return parse_order_file(read(path), str(path))


def load_system(path: Path) -> System:
    """The system.toml at ``path``; without one there are no system buildpacks."""
    return parse_system(read(path), str(path)) if path.exists() else System()


def find_order(given: Path | None, layers_dir: Path, default: Path = Path("/cnb/order.toml")) -> Path:
    """The order.toml to use: the one ``given``, else the one in the layers directory, else the builder's."""
    if given is not None:
        return given
    own = layers_dir / "order.toml"
    return own if own.exists() else default


@dataclass(frozen=True, slots=True)
class RunImage:
    """A run image and the other names under which it can be had."""

    image: str
    mirrors: tuple[str, ...] = ()

    def has_name(self, image: str) -> bool:
        """True when ``image``, its digest aside, is one of these names."""
        wanted = name_without_digest(image)
        return any(name_without_digest(name) == wanted for name in (self.image, *self.mirrors))


def name_without_digest(image: str) -> str:
    """``image`` in full (``docker.io/library/x:latest``) without its digest; as given when it is no reference."""
    try:
        reference = Reference.parse(image.partition("@")[0])
    except BadReference:
        return image
    return f"{reference.registry}/{reference.repository}:{reference.tag or 'latest'}"


@dataclass(frozen=True, slots=True)
class RunFile:
    """run.toml: the run images of a builder; the first is the default."""

    images: tuple[RunImage, ...] = ()

    def find(self, image: str) -> RunImage | None:
        """The entry that has ``image`` as one of its names."""
        return next((entry for entry in self.images if entry.has_name(image)), None)


def parse_run(raw: bytes, file: str) -> RunFile:
    """The run images in ``raw``."""
    top = Table.parse(raw, file, BadContractFile)
    return RunFile(tuple(_run_image(table) for table in top.tables("images")))


def render_run(run: RunFile) -> bytes:
    """run.toml."""
    return dump({"images": [{"image": item.image, "mirrors": list(item.mirrors)} for item in run.images]})


def parse_stack(raw: bytes, file: str) -> RunImage | None:
    """The run image in a stack.toml, the form before Platform API 0.12; None when it names none."""
    top = Table.parse(raw, file, BadContractFile)
    return _run_image(top.table("run-image")) if "run-image" in top else None


def render_stack(run_image: RunImage) -> bytes:
    """stack.toml."""
    return dump({"run-image": {"image": run_image.image, "mirrors": list(run_image.mirrors)}})


def _run_image(table: Table) -> RunImage:
    return RunImage(table.required("image"), table.strings("mirrors"))


def load_run(path: Path) -> RunFile:
    """The run.toml at ``path``; without one no run image is known."""
    return parse_run(read(path), str(path)) if path.exists() else RunFile()


@dataclass(frozen=True, slots=True)
class ProjectSource:
    """Where the app's source came from: ``type`` (``git``), ``version`` and ``metadata`` as free tables."""

    type: str = ""
    version: Mapping[str, Any] = field(default_factory=dict, hash=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_data(self) -> dict[str, Any]:
        """The ``source`` table, empty parts left out; also the shape of the image label."""
        data = {"type": self.type, "version": dict(self.version), "metadata": dict(self.metadata)}
        return {key: value for key, value in data.items() if value}


def parse_project_metadata(raw: bytes, file: str) -> ProjectSource | None:
    """The source in a project-metadata.toml; None when it tells nothing."""
    top = Table.parse(raw, file, BadContractFile)
    if "source" not in top:
        return None
    source = top.table("source")
    return ProjectSource(source.text("type"), source.mapping("version"), source.mapping("metadata"))


def render_project_metadata(source: ProjectSource | None) -> bytes:
    """project-metadata.toml."""
    return dump({} if source is None else {"source": source.to_data()})


@dataclass(frozen=True, slots=True)
class Report:
    """report.toml: what was exported. ``manifest_size`` is in bytes, 0 when there is no manifest."""

    tags: tuple[str, ...]
    digest: Digest | None = None
    image_id: str = ""
    manifest_size: int = 0


def render_report(report: Report) -> bytes:
    """report.toml."""
    image: dict[str, Any] = {"tags": list(report.tags)}
    if report.image_id:
        image["image-id"] = report.image_id
    if report.digest is not None:
        image["digest"] = str(report.digest)
    if report.manifest_size:
        image["manifest-size"] = report.manifest_size
    return dump({"image": image})


def parse_report(raw: bytes, file: str) -> Report:
    """The report in ``raw``."""
    image = Table.parse(raw, file, BadContractFile).table("image")
    digest = image.text("digest")
    return Report(
        image.strings("tags"),
        Digest.parse(digest) if digest else None,
        image.text("image-id"),
        image.integer("manifest-size"),
    )


def read(path: Path) -> bytes:
    """The bytes of the contract file at ``path``; raises BadContractFile when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadContractFile(f"{path} cannot be read", why=error.strerror, where=str(path)) from error
