"""What COPY, ADD and WORKDIR put into a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.lazy import exports

if TYPE_CHECKING:
    from lifecycle.dockerfile.copying.memory import Memory
    from lifecycle.dockerfile.copying.placing import place, place_all, workdir
    from lifecycle.dockerfile.copying.selection import Selection, select
    from lifecycle.dockerfile.copying.sources import Source
    from lifecycle.dockerfile.copying.spec import CopySpec, Inline

__getattr__ = exports(
    __name__,
    {
        "memory": ("Memory",),
        "placing": ("place", "place_all", "workdir"),
        "selection": ("Selection", "select"),
        "sources": ("Source",),
        "spec": ("CopySpec", "Inline"),
    },
)

__all__ = ["CopySpec", "Inline", "Memory", "Selection", "Source", "place", "place_all", "select", "workdir"]
