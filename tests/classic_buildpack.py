"""Tiny classic buildpacks in shell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_buildpack(directory: Path, scripts: Mapping[str, str], *, mode: int = 0o755) -> Path:
    """A buildpack whose bin/ has ``scripts``; each is a bash script unless it begins with ``#!`` itself."""
    (directory / "bin").mkdir(parents=True)
    for name, text in scripts.items():
        path = directory / "bin" / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/bash\n{text}\n")
        path.chmod(mode)
    return directory
