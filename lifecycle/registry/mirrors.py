"""Where a name is really read from: ``--registry-map`` replaces it, ``--registry-mirror`` is asked first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lifecycle.errors import UsageError
from lifecycle.oci import Reference
from lifecycle.record import dataclass


class BadRewrite(UsageError):
    """A registry mirror or map is not written as FROM=TO."""

    code = "registry.bad-rewrite"
    fix = "Write it as HOST[/PREFIX]=HOST[/PREFIX], for example --registry-mirror docker.io=mirror.example/hub."


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Names that begin with ``origin`` are found under ``target``; both are ``host[:port][/path]``."""

    origin: str
    target: str

    @classmethod
    def parse(cls, text: str, option: str) -> Rewrite:
        """The rewrite written as ``FROM=TO``; a mirror without ``FROM=`` stands for docker.io."""
        origin, equals, target = text.strip().partition("=")
        if not equals and option == "--registry-mirror":
            origin, target = "docker.io", origin
        origin, target = (part.strip().rstrip("/") for part in (origin, target))
        for part in (origin, target):
            host = part.partition("/")[0]
            if not host or "://" in part or any(letter.isspace() for letter in part):
                raise BadRewrite(
                    f"{option} {text!r} is not HOST=HOST", why=f"{part!r} is no host with an optional path"
                )
        return cls("docker.io" + origin[15:] if origin.partition("/")[0] == "index.docker.io" else origin, target)

    def apply(self, ref: Reference) -> Reference | None:
        """``ref`` under the target, or None when it does not begin with the origin."""
        if ref.name != self.origin and not ref.name.startswith(self.origin + "/"):
            return None
        rest = ref.name[len(self.origin) :].lstrip("/")
        host, _, prefix = self.target.partition("/")
        repository = "/".join(part for part in (prefix, rest) if part)
        return replace(ref, registry=host, repository=repository) if repository else None


def map_reference(ref: Reference, maps: Sequence[Rewrite]) -> Reference:
    """``ref`` after the map with the longest fitting origin; the same reference when none fits."""
    for rewrite in sorted(maps, key=lambda item: len(item.origin), reverse=True):
        if mapped := rewrite.apply(ref):
            return mapped
    return ref


def read_places(ref: Reference, maps: Sequence[Rewrite], mirrors: Sequence[Rewrite]) -> tuple[Reference, ...]:
    """The places to read ``ref`` from, in order: its mirrors as given, then where its map says it lives."""
    origin = map_reference(ref, maps)
    found = [mirror for rewrite in mirrors if (mirror := rewrite.apply(ref))]
    return (*dict.fromkeys(item for item in found if item.name != origin.name), origin)
