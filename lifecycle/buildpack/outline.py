"""What a build is going to do, as its buildpacks said while they looked at the app: the plan that people read.

A buildpack puts its decisions into ``metadata.pylife`` of a requirement of its build plan, where every lifecycle lets
them pass; one that says nothing is shown by its name alone. They are words for people: nothing is decided by them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.resolve import Detection

KEY = "pylife"
_LIMIT = 100
"""Entries that are kept of each part: a plan is read by people."""

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one buildpack decided.

    ``files`` it looked at, ``commands`` that it will run; rows of ``versions`` (name, version, why), ``layers`` (name,
    holds), ``processes`` (type, command, why) and ``problems`` (id, what) that will stop the build.
    """

    element: GroupElement
    files: tuple[str, ...] = ()
    versions: tuple[Row, ...] = ()
    layers: tuple[Row, ...] = ()
    commands: tuple[str, ...] = ()
    processes: tuple[Row, ...] = ()
    problems: tuple[Row, ...] = ()

    @classmethod
    def of(cls, detection: Detection) -> Decisions:
        """The decisions in the build plan of a detection; what is not of the form is left out."""
        requires = (require for offer in detection.plan.alternatives for require in offer.requires)
        said: object = next((require.metadata[KEY] for require in requires if KEY in require.metadata), None)
        part = said if isinstance(said, Mapping) else {}
        return cls(
            detection.element,
            files=_words(part.get("files")),
            versions=_rows(part.get("versions"), "name", "version", "why"),
            layers=_rows(part.get("layers"), "name", "holds"),
            commands=_words(part.get("commands")),
            processes=_rows(part.get("processes"), "type", "command", "why"),
            problems=_rows(part.get("problems"), "id", "what"),
        )

    def to_data(self) -> dict[str, Any]:
        parts = ("files", "versions", "layers", "commands", "processes", "problems")
        return {
            "id": self.element.id,
            "version": self.element.version,
            **{part: list(getattr(self, part)) for part in parts},
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """(label, text) of everything but the processes, for people."""
        if self.files:
            yield "looked at", ", ".join(self.files)
        yield from (("version", f"{row['name']} {row['version']}: {row['why']}") for row in self.versions)
        yield from (("layer", f"{row['name']}: {row['holds']}") for row in self.layers)
        yield from (("command", line) for line in self.commands)
        yield from (("problem", f"{row['what']} [{row['id']}]") for row in self.problems)


@dataclass(frozen=True, slots=True)
class Outline:
    """The plan of a build: what each buildpack of the group decided, and the processes that the image will have.

    ``others`` are the parts of the order that would have fitted too, by name.
    """

    buildpacks: tuple[Decisions, ...]
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, group: Sequence[GroupElement], detections: Iterable[Detection], others: Iterable[str] = ()) -> Outline:
        """The plan of a group, from the detections of its elements (and perhaps of more)."""
        found = {item.element.key: item for item in detections}
        return cls(tuple(Decisions.of(found[element.key]) for element in group if element.key in found), tuple(others))

    @property
    def processes(self) -> tuple[tuple[GroupElement, Row], ...]:
        """Who starts what, by type: a later buildpack's process takes the place of an earlier one's."""
        merged = {row["type"]: (item.element, row) for item in self.buildpacks for row in item.processes}
        return tuple(merged[type_] for type_ in sorted(merged))

    def to_data(self) -> dict[str, Any]:
        return {
            "buildpacks": [item.to_data() for item in self.buildpacks],
            "processes": [{**row, "buildpack": element.id} for element, row in self.processes],
            "also_matched": list(self.others),
        }

    def lines(self) -> tuple[str, ...]:
        """The plan for people: one block a buildpack, then the processes, then what else would have fitted."""
        lines = []
        for item in self.buildpacks:
            lines.append(f"{item.element.id} {item.element.version}")
            lines.extend(_table(item.rows()))
        if self.processes:
            lines.append("processes of the image")
            rows = [(row["type"], f"{row['command']}  ({_origin(element, row)})") for element, row in self.processes]
            lines.extend(_table(rows))
        if self.others:
            lines.append(
                f"also fits: {', '.join(self.others)} (the order's first is taken; --buildpack ID asks for another)"
            )
        return tuple(lines)


def _origin(element: GroupElement, row: Row) -> str:
    return f"{element.id}: {row['why']}" if row["why"] else element.id


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    held = list(rows)
    width = max((len(label) for label, _ in held), default=0)
    return [f"  {label.ljust(width)}  {text}" for label, text in held]


def _words(value: object) -> tuple[str, ...]:
    return tuple(_line(item) for item in value[:_LIMIT] if isinstance(item, str)) if isinstance(value, list) else ()


def _rows(value: object, *keys: str) -> tuple[Row, ...]:
    if not isinstance(value, list):
        return ()
    found = (item for item in value[:_LIMIT] if isinstance(item, Mapping))
    return tuple(
        {key: _line(item.get(key, "")) for key in keys} for item in found if isinstance(item.get(keys[0]), str)
    )


def _line(value: object) -> str:
    """A text on one line."""
    return " ".join(str(value).split("\n"))
