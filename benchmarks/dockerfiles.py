"""Dockerfiles built by pylife and by ``buildah build --layers``: the same files, the same base, both with it unpacked.

Before each first build both forget their caches: pylife's folder of records and file digests is removed, and both are
told ``--no-cache``. pylife stores what it makes compressed, Buildah does not.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_PYLIFE = Path(sys.executable).parent / "pylife"
_BASE = "pylife/bookworm-build"
_PEER_BASE = "localhost/pylife-bench-base"
SMALL_FILES = 20_000
LARGE_BYTES = 500_000_000

_APP = """FROM {base}
USER 0
WORKDIR /app
COPY requirements.txt ./
RUN mkdir vendor && while read -r name; do echo "$name" > vendor/"$name"; done < requirements.txt
COPY src/ src/
RUN gcc -O1 -o app src/*.c && ./app
ENV MODE=production
CMD ["/app/app"]
"""
_WORK = "i=0; while [ $i -lt 60 ]; do head -c 4000000 /dev/zero | sha256sum > /out; i=$((i+1)); done"


class Project:
    """A context with a Dockerfile, and how each builds it."""

    def __init__(self, place: Path, name: str, dockerfile: str) -> None:
        self.name = name
        self.context = place / name
        self.context.mkdir(parents=True)
        for file, base in (("Dockerfile", _BASE), ("Peerfile", _PEER_BASE)):
            (self.context / file).write_text(dockerfile.replace("{base}", base))
        (self.context / ".dockerignore").write_text("Dockerfile\nPeerfile\n")

    def ours(self, *more: str) -> Sequence[str]:
        return [
            *(str(_PYLIFE), "build", "-q", "--app", str(self.context), "--dockerfile"),
            *(str(self.context / "Dockerfile"), "--image", f"bench-{self.name}", *more),
        ]

    def theirs(self, *more: str) -> Sequence[str]:
        return [
            *("buildah", "build", "-q", "--layers", "--isolation", "chroot", "--pull-never", *more),
            *("-f", str(self.context / "Peerfile"), "-t", f"bench-{self.name}", str(self.context)),
        ]

    def first(self, *peer: str) -> tuple[Callable[[], Sequence[str]], dict[str, Callable[[], Sequence[str]]]]:
        """Commands that build everything."""

        def ours() -> Sequence[str]:
            shutil.rmtree(_home() / "cache", ignore_errors=True)
            return self.ours("--no-cache")

        return ours, {"buildah build": lambda: self.theirs("--no-cache", *peer)}

    def again(
        self, change: Callable[[], None] | None = None
    ) -> tuple[Callable[[], Sequence[str]], dict[str, Callable[[], Sequence[str]]]]:
        """Commands that build with the caches of the last build, after ``change``."""

        def prepared(command: Callable[[], Sequence[str]]) -> Callable[[], Sequence[str]]:
            def prepare() -> Sequence[str]:
                if change is None:  # nobody may have to build here
                    subprocess.run(command(), check=True, capture_output=True)
                else:
                    change()
                return command()

            return prepare

        return prepared(self.ours), {"buildah build": prepared(self.theirs)}


def _home() -> Path:
    if home := os.environ.get("PYLIFE_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pylife"


def peer_base(place: Path) -> None:
    """Give Buildah the build image of the default stack, as ``localhost/pylife-bench-base``."""
    base = place / "base.tar"
    subprocess.run([_PYLIFE, "copy", "-q", _BASE, f"oci-archive:{base}"], check=True, stdout=subprocess.DEVNULL)
    image = subprocess.run(
        ["buildah", "pull", "-q", f"oci-archive:{base}"], check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run(["buildah", "tag", image, _PEER_BASE], check=True)
    base.unlink()


def contests(place: Path) -> list[tuple[Any, ...]]:
    """(title, ours, peers) for each job."""
    place.mkdir()
    subprocess.run([_PYLIFE, "stack", "create", "-q"], check=True, stdout=subprocess.DEVNULL)
    peer_base(place)

    ten = Project(place, "ten", "FROM {base}\n" + "RUN true\n" * 10)
    app = _app(place)
    wide = Project(place, "wide", _wide())
    small = Project(place, "small", "FROM {base}\nCOPY . /tree/\n")
    small_files(small.context)
    large = Project(place, "large", "FROM {base}\nCOPY large.bin /\n")
    chance = random.Random(7)
    with (large.context / "large.bin").open("wb") as file:
        for _ in range(LARGE_BYTES // 1_000_000):  # half noise, half what compresses
            file.write(chance.randbytes(500_000) + b"all work and no play " * 23_810)
    counter = itertools.count(time.time_ns() // 1000)  # never a content that a cache knows from an earlier run
    source = app.context / "src" / "part7.c"

    def edit() -> None:
        source.write_text(f"long part7(void) {{ return {next(counter)}; }}\n")

    subprocess.run(ten.ours(), check=True, capture_output=True)  # unpacks the base
    return [
        ("ten RUN true: first build", *ten.first()),
        ("ten RUN true: unchanged", *ten.again()),
        ("a program of twenty sources: first build", *app.first()),
        ("a program of twenty sources: unchanged", *app.again()),
        ("a program of twenty sources: one changed", *app.again(edit)),
        ("four independent stages: first build (buildah --jobs 4)", *wide.first("--jobs", "4")),
        ("COPY of 20,000 small files: first build", *small.first()),
        ("COPY of 20,000 small files: unchanged", *small.again()),
        ("COPY of one file of 500 MB: first build", *large.first()),
        ("COPY of one file of 500 MB: unchanged", *large.again()),
    ]


def _app(place: Path) -> Project:
    project = Project(place, "app", _APP)
    (project.context / "requirements.txt").write_text("".join(f"package{n}\n" for n in range(50)))
    src = project.context / "src"
    src.mkdir()
    for number in range(20):
        (src / f"part{number}.c").write_text(f"long part{number}(void) {{ return {number}; }}\n")
    (src / "main.c").write_text("long part7(void);\nint main(void) { return part7() < 0; }\n")
    return project


def _wide() -> str:
    stages = "".join(f"FROM {{base}} AS s{n}\nUSER 0\nRUN echo {n} && {_WORK}\n" for n in range(4))
    return stages + "FROM scratch\n" + "".join(f"COPY --from=s{n} /out /out{n}\n" for n in range(4))


def small_files(root: Path) -> None:
    """Write 20,000 files of a few lines into 200 directories below ``root``."""
    chance = random.Random(3)
    for number in range(SMALL_FILES):
        directory = root / f"d{number % 200:03}"
        if number < 200:
            directory.mkdir()
        (directory / f"f{number}.txt").write_bytes(b"line %d\n" % number * chance.randint(1, 60))
