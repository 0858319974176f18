"""Apps built by pylife's buildpacks, and by ``buildah build --layers`` with a careful hand-written Dockerfile.

Same base image, same packages, and on both sides download caches that are warm: pylife's shared caches, the
Dockerfile's cache mounts. A first build is of an app that was never built; the change is one line of one source file.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.dockerfiles import peer_base
from lifecycle.sandbox.host import ca_bundle

_ROOT = Path(__file__).resolve().parent.parent
_PYLIFE = Path(sys.executable).parent / "pylife"
_JAVA_TRUST = "/etc/ssl/certs/java/cacerts"
_PEERS = Path(__file__).resolve().parent / "peers"


class App:
    """A copy of a sample and its peer's Dockerfile; ``edited`` is the source file that changes."""

    def __init__(self, place: Path, sample: str, dockerfile: str, edited: str, comment: str) -> None:
        self.sample = sample
        self.context = place / sample
        shutil.copytree(_ROOT / "samples" / sample, self.context)
        self.dockerfile = place / f"{sample}.Dockerfile"
        shutil.copyfile(_PEERS / dockerfile, self.dockerfile)
        self._edited = self.context / edited
        self._comment = comment
        self._numbers = itertools.count(time.time_ns() // 1000)
        self._name = f"bench-{sample}"

    def first(self) -> tuple[Callable[[], Sequence[str]], dict[str, Callable[[], Sequence[str]]]]:
        """Commands that build what was never built."""

        def ours() -> Sequence[str]:
            self._name = f"bench-{self.sample}-{next(self._numbers)}"  # no image and no layers of an earlier build
            return self._ours()

        return ours, {"buildah build": lambda: self._theirs("--no-cache")}

    def changed(self) -> tuple[Callable[[], Sequence[str]], dict[str, Callable[[], Sequence[str]]]]:
        """Commands that build after a change of one line."""

        def changing(command: Callable[[], Sequence[str]]) -> Callable[[], Sequence[str]]:
            def prepare() -> Sequence[str]:
                with self._edited.open("a") as file:
                    file.write(self._comment.format(next(self._numbers)))
                return command()

            return prepare

        return changing(self._ours), {"buildah build": changing(self._theirs)}

    def _ours(self) -> Sequence[str]:
        return [str(_PYLIFE), "build", "-q", "--app", str(self.context), "--image", self._name]

    def _theirs(self, *more: str) -> Sequence[str]:
        bundle = ca_bundle()  # a proxy's certificate, say, which pylife's builds trust by themselves
        trust = ["--volume", f"{bundle}:/etc/ssl/certs/ca-certificates.crt:ro"] if bundle else []
        if self.sample.startswith("java"):
            trust += ["--volume", f"{os.path.realpath(_JAVA_TRUST)}:/run/truststore:ro"]
        return [
            *("buildah", "build", "-q", "--layers", "--isolation", "chroot", "--pull-never", *trust, *more),
            *("-f", str(self.dockerfile), "-t", f"bench-{self.sample}", str(self.context)),
        ]

    def warm(self) -> None:
        """Build once on both sides, for the download caches."""
        for command in (self._ours(), self._theirs()):
            subprocess.run(command, check=True, capture_output=True)


def contests(place: Path) -> list[tuple[Any, ...]]:
    """(title, ours, peers) for each job."""
    place.mkdir()
    subprocess.run([_PYLIFE, "builder", "create", "-q"], check=True, stdout=subprocess.DEVNULL)
    peer_base(place)
    found: list[tuple[Any, ...]] = []
    for app in (
        App(place, "python-django", "django.Dockerfile", "board/views.py", "# {}\n"),
        App(place, "node-express", "express.Dockerfile", "lib/app.js", "// {}\n"),
        App(place, "java-spring", "spring.Dockerfile", "src/main/java/app/tides/Tides.java", "// {}\n"),
    ):
        app.warm()
        found += [
            (f"{app.sample}: first build", *app.first()),
            (f"{app.sample}: one line changed", *app.changed()),
        ]
    return found
