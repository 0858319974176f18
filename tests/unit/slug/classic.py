"""Tiny classic buildpacks, really run: a world with the paths of a build, and what it told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classic_buildpack import write_buildpack

from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug import pipeline
from lifecycle.slug.buildpack import ClassicBuildpack
from lifecycle.slug.direct import DirectRunner
from lifecycle.slug.moments import Line, Moment
from lifecycle.slug.paths import Paths
from lifecycle.slug.pipeline import Compiled, SlugInputs


@dataclass
class World:
    """A host directory with the places of a build; it is its own journal."""

    top: Path
    moments: list[Moment] = field(default_factory=list)
    buildpacks: list[ClassicBuildpack] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = ("app", "env", "build", "cache", "imported", "buildpacks")
        self.paths = Paths(**{name: str(self.top / name) for name in names})
        for name in names:
            (self.top / name).mkdir(parents=True)
        self.root = BuildRoot(Path("/"))
        self.runner = DirectRunner()

    def tell(self, moment: Moment) -> None:
        self.moments.append(moment)

    def source(self, files: Mapping[str, str | bytes], *, mode: int = 0o644) -> None:
        """Put files into the build directory."""
        for name, content in files.items():
            path = self.top / "build" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            path.chmod(mode)

    def buildpack(self, name: str, *, mode: int = 0o755, **scripts: str) -> ClassicBuildpack:
        """Add a buildpack to the order; without a ``detect`` it takes every app, without ``compile`` it does nothing.

        ``test_compile`` stands for ``test-compile``.
        """
        scripts = {key.replace("_", "-"): text for key, text in scripts.items()}
        scripts.setdefault("detect", f"echo {name.capitalize()}")
        scripts.setdefault("compile", "true")
        directory = self.top / "buildpacks" / f"{len(self.buildpacks):02}_{name}"
        made = ClassicBuildpack(name, str(write_buildpack(directory, scripts, mode=mode)))
        self.buildpacks.append(made)
        return made

    def build(self, **inputs: Any) -> Compiled:
        return pipeline.compile_slug(self.inputs(**inputs), self.root, self.runner, self.paths, None, self)

    def test(self, **inputs: Any) -> int:
        return pipeline.test_app(self.inputs(**inputs), self.root, self.runner, self.paths, None, self)

    def inputs(self, **more: Any) -> SlugInputs:
        given = {"buildpacks": tuple(self.buildpacks), "stack": "heroku-24", "variables": {"PATH": os.environ["PATH"]}}
        return SlugInputs(**{**given, **more})

    @property
    def lines(self) -> list[str]:
        """What buildpacks and hooks wrote to stdout and stderr."""
        return [moment.text for moment in self.moments if isinstance(moment, Line)]

    def told(self, kind: type[Any]) -> list[Any]:
        return [moment for moment in self.moments if isinstance(moment, kind)]

    def app(self, name: str) -> str:
        return (self.top / "app" / name).read_text()
