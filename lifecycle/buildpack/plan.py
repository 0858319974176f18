"""The build plan: what the buildpacks of a group offer and ask of each other.

Source: CNB buildpack.md, "Phase #1: Detection" and "Build Plan (TOML)", "Buildpack Plan (TOML)".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.errors import PylifeError
from lifecycle.toml import Table, dump


class BadBuildPlan(PylifeError):
    """The build plan that bin/detect wrote is not valid."""

    code = "buildpack.bad-build-plan"
    fix = "Report it to the buildpack's author: `pylife detect --explain` shows which buildpack wrote the plan."


@dataclass(frozen=True, slots=True)
class Require:
    """One dependency that is asked for, by name, with the asker's own metadata."""

    name: str
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_toml(self) -> dict[str, object]:
        return {"name": self.name, "metadata": dict(self.metadata)}


@dataclass(frozen=True, slots=True)
class Offer:
    """One alternative of a build plan: the names it provides and what it requires."""

    provides: tuple[str, ...] = ()
    requires: tuple[Require, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What one buildpack's detect asks for: alternatives, the first being the top level of the file."""

    alternatives: tuple[Offer, ...]


NO_WISHES = BuildPlan((Offer(),))


def parse_build_plan(raw: bytes, file: str, *, extension: bool = False) -> BuildPlan:
    """The build plan in ``raw``; raises BadBuildPlan with file and key. An extension cannot require."""
    top = Table.parse(raw, file, BadBuildPlan)
    return BuildPlan((_offer(top, extension), *(_offer(table, extension) for table in top.tables("or"))))


def _offer(table: Table, extension: bool) -> Offer:
    provides = tuple(item.required("name") for item in table.tables("provides"))
    requires = []
    for item in table.tables("requires"):
        if extension:
            raise item.error("name", "an image extension may provide but not require")
        metadata = item.mapping("metadata")
        if "version" in item and "version" in metadata:
            raise item.error("version", "a version is given here and in metadata; only metadata.version counts")
        if "version" in item:
            raise item.error("version", "a version belongs in metadata: write it as metadata.version")
        requires.append(Require(item.required("name"), metadata))
    return Offer(provides, tuple(requires))


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One dependency of the resolved plan: who provides it, and every request for it."""

    providers: tuple[GroupElement, ...]
    requires: tuple[Require, ...]

    @property
    def name(self) -> str:
        return self.requires[0].name if self.requires else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The resolved plan of a group, plan.toml: entries in the order in which their names first appear."""

    entries: tuple[PlanEntry, ...] = ()

    def entries_for(self, element: GroupElement) -> tuple[Require, ...]:
        """The requests that ``element`` can meet, which become its Buildpack Plan."""
        return tuple(
            require
            for entry in self.entries
            if any(provider.key == element.key for provider in entry.providers)
            for require in entry.requires
        )

    def without(self, met: Iterable[str]) -> Plan:
        """The plan left when the names in ``met`` are dealt with: later providers do not see them."""
        done = set(met)
        return Plan(tuple(entry for entry in self.entries if not any(item.name in done for item in entry.requires)))


EMPTY_PLAN = Plan()


def render_buildpack_plan(requires: Iterable[Require]) -> bytes:
    """The Buildpack Plan file that bin/build reads."""
    return dump({"entries": [require.to_toml() for require in requires]})


def plan_of(offers: Iterable[tuple[GroupElement, Offer]]) -> Plan:
    """The plan of a group whose offers fit: one entry per name that is asked for."""
    providers: dict[str, list[GroupElement]] = {}
    requires: dict[str, list[Require]] = {}
    for element, offer in offers:
        plain = replace(element, api="", homepage="", optional=False, exec_env=())
        for name in offer.provides:
            known = providers.setdefault(name, [])
            if plain not in known:
                known.append(plain)
        for require in offer.requires:
            requires.setdefault(require.name, []).append(require)
    entries = (PlanEntry(tuple(who), tuple(requires[name])) for name, who in providers.items() if name in requires)
    return Plan(tuple(entries))
