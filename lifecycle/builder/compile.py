"""The launcher's program, compiled where it will be shipped from: inside the build image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lifecycle.builder.share import launcher_sources
from lifecycle.errors import PylifeError
from lifecycle.events import Sink, step
from lifecycle.image import Image

if TYPE_CHECKING:
    from lifecycle.sandbox import RunResult, RunSpec
    from lifecycle.sandbox.run import OnLine
    from lifecycle.snapshot import Snapshotter
    from lifecycle.store import LocalStore

_FLAGS = (
    "-std=c11 -D_GNU_SOURCE -Os -static -s -ffunction-sections -fdata-sections -Wl,--gc-sections -Wl,--build-id=none"
)
_SCRIPT = f"""
for compiler in musl-gcc gcc cc; do
  command -v $compiler >/dev/null && exec $compiler {_FLAGS} -o launcher *.c
done
echo 'there is no C compiler' >&2
exit 127
"""
_PLACE = "/tmp/pylife-launcher"


class CannotCompile(PylifeError):
    """The launcher does not compile in the build image."""

    code = "launcher.cannot-compile"
    fix = "Use a build image with a C compiler and a static C library: musl-tools, or gcc with libc6-dev."


class Runs(Protocol):
    """The part of the sandbox that compiling needs."""

    def run(self, spec: RunSpec, on_line: OnLine) -> RunResult: ...


class Workshop(Protocol):
    """The ports that making a builder needs; an opened engine has them."""

    @property
    def store(self) -> LocalStore: ...

    @property
    def snapshotter(self) -> Snapshotter: ...

    @property
    def sandbox(self) -> Runs: ...

    @property
    def sink(self) -> Sink: ...


def compile_launcher(build_image: Image, workshop: Workshop) -> bytes:
    """The launcher as a static executable: the same bytes from the same build image. Raises CannotCompile."""
    from lifecycle.sandbox import RunSpec

    tail: deque[str] = deque(maxlen=20)
    with opened(build_image, workshop) as root, step(workshop.sink, "builder/launcher", "Compiling the launcher"):
        place = root / _PLACE.lstrip("/")
        place.mkdir(parents=True)
        for source in launcher_sources():
            (place / source.name).write_bytes(source.read_bytes())
        spec = RunSpec(
            ("/bin/sh", "-c", _SCRIPT),
            str(root),
            env={"PATH": build_image.config.env.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": "/tmp"},
            cwd=_PLACE,
            trust_host=False,
            timeout=120,
        )
        result = workshop.sandbox.run(spec, lambda stream, line: tail.append(line))
        if not result.ok:
            raise CannotCompile(
                "The launcher could not be compiled in the build image",
                why=tail[-1] if tail else f"the compiler ended with exit code {result.exit_code}",
                details="\n".join(tail),
            )
        return (place / "launcher").read_bytes()


@contextmanager
def opened(build_image: Image, workshop: Workshop) -> Iterator[Path]:
    """The root filesystem of the image, to work in: a host path, removed with the block."""
    for layer in build_image.layers:
        if not workshop.snapshotter.has(layer.diff_id):
            with step(workshop.sink, "stack/unpack", "Unpacking the build image"):
                workshop.snapshotter.unpack(layer.diff_id, layer.uncompressed)
    with workshop.snapshotter.prepare([layer.diff_id for layer in build_image.layers]) as root:
        yield root.path
