"""Platforms: os, architecture, variant."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from lifecycle.oci.errors import BadPlatform
from lifecycle.record import dataclass

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on; ``variant`` is empty when there is none.

    Source: OCI image-spec v1.1, image-index.md, "platform".
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform written as ``os/arch[/variant]`` or ``arch``, aliases (x86_64, aarch64, …) resolved."""
        parts = text.strip().split("/")
        if not 1 <= len(parts) <= 3 or not all(_PART.fullmatch(part) for part in parts):
            raise BadPlatform(f"{text!r} is not a platform")
        if len(parts) == 1:
            parts = ["linux", *parts]
        architecture, variant = _ALIASES.get(parts[1].lower(), (parts[1].lower(), ""))
        if len(parts) == 3:
            variant = parts[2].lower()
        return cls(parts[0].lower(), architecture, "" if (architecture, variant) == ("arm64", "v8") else variant)

    @classmethod
    def host(cls) -> Platform:
        """The platform of the running kernel."""
        return cls.parse(f"{os.uname().sysname.lower()}/{os.uname().machine}")

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Platform:
        def text(key: str) -> str:
            value = data.get(key, "")
            return value if isinstance(value, str) else ""

        return cls(text("os"), text("architecture"), text("variant"), text("os.version"))

    def to_json(self) -> dict[str, str]:
        fields = {
            "architecture": self.architecture,
            "os": self.os,
            "os.version": self.os_version,
            "variant": self.variant,
        }
        return {key: value for key, value in fields.items() if value}

    def satisfies(self, wanted: Platform) -> bool:
        """True when an image of this platform can serve ``wanted`` (an absent variant matches any)."""
        mine = "" if (self.architecture, self.variant) == ("arm64", "v8") else self.variant
        return (
            self.os == wanted.os
            and self.architecture == wanted.architecture
            and (not wanted.variant or not mine or mine == wanted.variant)
        )

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
