"""Targets: what a buildpack supports, what a base image is, and whether the two meet.

Source: CNB buildpack.md, "Targets" and "Target Data"; cnb RFC 0096.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifecycle.oci import Platform

DISTRO_NAME_LABEL = "io.buildpacks.base.distro.name"
DISTRO_VERSION_LABEL = "io.buildpacks.base.distro.version"
TARGET_ID_LABEL = "io.buildpacks.base.id"


@dataclass(frozen=True, slots=True)
class Distro:
    """An operating system distribution, as ``ID`` and ``VERSION_ID`` of /etc/os-release; empty parts match any."""

    name: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name or 'any distro'} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Target:
    """One target that a buildpack declares; empty parts match any."""

    os: str = ""
    arch: str = ""
    variant: str = ""
    distros: tuple[Distro, ...] = ()

    def __str__(self) -> str:
        text = "/".join(part for part in (self.os or "any", self.arch or "any", self.variant) if part)
        return f"{text} ({' or '.join(map(str, self.distros))})" if self.distros else text


@dataclass(frozen=True, slots=True)
class BaseTarget:
    """What a run image is: platform, distribution when known, and the ``id`` of its base when labelled."""

    os: str
    arch: str
    variant: str = ""
    distro: Distro | None = None
    id: str = ""

    @classmethod
    def of_image(cls, platform: Platform, labels: Mapping[str, str]) -> BaseTarget:
        """The target of an image with this platform and these labels."""
        distro = None
        if DISTRO_NAME_LABEL in labels or DISTRO_VERSION_LABEL in labels:
            distro = Distro(labels.get(DISTRO_NAME_LABEL, ""), labels.get(DISTRO_VERSION_LABEL, ""))
        variant = platform.variant
        return cls(platform.os, platform.architecture, variant, distro, labels.get(TARGET_ID_LABEL, ""))

    def or_distro(self, distro: Distro | None) -> BaseTarget:
        """This target, with ``distro`` (read from the build image's os-release) where it has none of its own."""
        if self.distro is not None or distro is None:
            return self
        return BaseTarget(self.os, self.arch, self.variant, distro, self.id)

    def satisfies(self, target: Target) -> bool:
        """True when this base can carry a buildpack that declares ``target``."""
        if not (_meets(self.os, target.os) and _meets(self.arch, target.arch) and _meets(self.variant, target.variant)):
            return False
        if not target.distros:
            return True
        mine = self.distro
        return mine is not None and any(
            _meets(mine.name, distro.name) and _meets(mine.version, distro.version) for distro in target.distros
        )

    def satisfies_any(self, targets: Iterable[Target]) -> bool:
        """True when one of ``targets`` is satisfied, or when there are none (anything goes)."""
        wanted = tuple(targets)
        return not wanted or any(self.satisfies(target) for target in wanted)

    def variables(self) -> dict[str, str]:
        """The ``CNB_TARGET_*`` variables; the optional ones only when known."""
        distro = self.distro or Distro()
        optional = {
            "CNB_TARGET_ARCH_VARIANT": self.variant,
            "CNB_TARGET_DISTRO_NAME": distro.name,
            "CNB_TARGET_DISTRO_VERSION": distro.version,
        }
        known = {name: value for name, value in optional.items() if value}
        return {"CNB_TARGET_OS": self.os, "CNB_TARGET_ARCH": self.arch, **known}

    def __str__(self) -> str:
        text = "/".join(part for part in (self.os, self.arch, self.variant) if part)
        return f"{text} ({self.distro})" if self.distro else text


def _meets(mine: str, wanted: str) -> bool:
    return not mine or not wanted or mine == wanted


def parse_os_release(raw: bytes) -> Distro | None:
    """The distribution that an os-release file names, or None when it names neither ID nor VERSION_ID."""
    values: dict[str, str] = {}
    for line in raw.decode(errors="replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name in ("ID", "VERSION_ID"):
            try:
                values[name] = "".join(shlex.split(value))
            except ValueError:  # an unbalanced quote: take it as written
                values[name] = value.strip("\"'")
    if not any(values.values()):
        return None
    return Distro(values.get("ID", ""), values.get("VERSION_ID", ""))
