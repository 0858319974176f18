"""Which variables and arguments an instruction sees.

Source: Docker's Dockerfile reference, "Understand how ARG and FROM interact". Where its prose and BuildKit differ,
BuildKit holds: the last writer wins between ARG and ENV, and a stage inherits the arguments of the stage below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lifecycle.oci import Platform
from lifecycle.record import dataclass

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
"""Usable in RUN without ARG, and then in neither history nor cache key; in lower case too."""

CONTROLS = (
    "BUILDKIT_CACHE_MOUNT_NS",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    "BUILDKIT_DOCKERFILE_CHECK",
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_MULTI_PLATFORM",
    "BUILDKIT_SANDBOX_HOSTNAME",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
    "BUILDKIT_SYNTAX",
    "SOURCE_DATE_EPOCH",
)
"""Build arguments that steer the build itself; no ARG need declare them."""

_NEVER_VARIABLES = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")


@dataclass(frozen=True, slots=True)
class StageScope:
    """What holds at one point of a stage.

    ``env`` is everything that words and RUN see: image variables and arguments in the order in which they were first
    set, the last value winning. ``arguments`` are the names declared with ARG so far, with the value given there;
    ``variables`` the names that an ENV (or the base image) set last.
    """

    env: Mapping[str, str]
    arguments: Mapping[str, str | None]
    variables: frozenset[str]

    @classmethod
    def of_image(cls, env: Mapping[str, str]) -> StageScope:
        """The scope at the top of a stage on an image with these variables."""
        return cls(dict(env), {}, frozenset(env))

    def set(self, pairs: Iterable[tuple[str, str]]) -> StageScope:
        """After an ENV."""
        changes = dict(pairs)
        return replace(self, env={**self.env, **changes}, variables=self.variables | changes.keys())

    def declare(self, name: str, value: str | None) -> StageScope:
        """After an ARG; None is an argument that was given no value anywhere: an older value stays."""
        declared = replace(self, arguments={**self.arguments, name: value})
        if value is None or name in _NEVER_VARIABLES:
            return declared
        return replace(declared, env={**self.env, name: value}, variables=self.variables - {name})

    @property
    def visible_arguments(self) -> dict[str, str]:
        """The arguments as history lists them: with the value that a RUN sees."""
        return {name: self.env.get(name, value or "") for name, value in self.arguments.items()}

    def names(self) -> Iterable[tuple[str, str, str]]:
        """Every variable as (``argument`` or ``variable``, name, value), sorted by name: what a step depends on."""
        for name, value in sorted(self.env.items()):
            yield "variable" if name in self.variables else "argument", name, value


def platform_arguments(target: Platform, build: Platform, stage: str, given: Mapping[str, str]) -> dict[str, str]:
    """The arguments that every build has; a stage sees one after declaring it. Build arguments override them."""
    values = {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": build.os_version,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": str(target),
        "TARGETOS": target.os,
        "TARGETOSVERSION": target.os_version,
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage or "default",
    }
    return {name: given.get(name, value) for name, value in values.items()}


def proxies(build_args: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables among the build arguments, in both spellings as programs look for them."""
    found = {}
    for name, value in build_args.items():
        if name.upper() in PROXIES:
            found[name.upper()] = found[name.lower()] = value
    return found
