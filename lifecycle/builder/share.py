"""Where the data that comes with pylife is: buildpacks, stacks, the default builder.toml, pages of errors."""

from __future__ import annotations

from pathlib import Path

import lifecycle

SHARED = ("buildpacks", "builder.toml", "checks", "errors", "stacks")
"""Everything that comes with pylife beside its modules."""
_IN_CHECKOUT = {"checks": "docs/checks", "errors": "docs/errors"}


def shared(name: str) -> Path:
    """The path of ``name`` (one of SHARED): in a checkout the repository's own file, in an installation the copy
    inside the package."""
    package = Path(lifecycle.__file__).resolve().parent
    installed = package / "share" / name
    return installed if installed.exists() else package.parent / _IN_CHECKOUT.get(name, name)


def launcher_sources() -> tuple[Path, ...]:
    """The C sources of the launcher, sorted by name."""
    return tuple(sorted((Path(lifecycle.__file__).resolve().parent / "launcher").glob("*.[ch]")))
