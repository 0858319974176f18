"""The engine, opened: this process enters its namespaces, then sandbox and snapshotter are made upon them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.app.ports import Ports
from lifecycle.errors import PylifeError
from lifecycle.events import step
from lifecycle.sandbox import Isolation, Rung, Sandbox, enter, entered, probe
from lifecycle.snapshot import Yard, open_snapshotter
from lifecycle.store.errors import disk_errors

if TYPE_CHECKING:
    from lifecycle.image import Image
    from lifecycle.phases.inputs import Engine


class BadAuthorities(PylifeError):
    """A file of certificate authorities that a build was to trust cannot be read."""

    code = "build.bad-ca-file"
    exit_code = 2
    fix = "Give --ca-file (or the setting ca_file) a readable PEM file."


def enter_rung(ports: Ports) -> Rung:
    """The rung that this process works on from now on: the best that the host allows, entered with the first call.

    Must come before the process has a second thread. Raises NoIsolation when the host allows no rung.
    """
    os.umask(0o022)
    with disk_errors(ports.home):
        ports.home.mkdir(parents=True, exist_ok=True)
    rung = entered()
    if rung is None:
        rung = probe(Isolation.parse(ports.settings.isolation.value), ports.home)
        enter(rung)
    return rung


def open_sandbox(rung: Rung, ports: Ports) -> Sandbox:
    """The sandbox on ``rung``, which trusts what the host does and the settings name. Raises BadAuthorities."""
    files, certificates = ports.settings.ca_file.value, None
    if files:
        from lifecycle.transport.settings import joined_bundle

        try:
            certificates = str(joined_bundle(files, ports.home / "remotes"))
        except OSError as error:
            raise BadAuthorities(f"{error.filename} cannot be read", why=error.strerror) from error
    return Sandbox(rung, ports.sink, certificates)


@contextmanager
def open_engine(ports: Ports) -> Iterator[Engine]:
    """The ports of a buildpack build. The store is held as long as the block lasts: no ``gc`` takes a blob in use."""
    from lifecycle.phases.inputs import Engine

    rung = enter_rung(ports)
    with (
        open_sandbox(rung, ports) as sandbox,
        ports.store.hold(),
        closing(open_snapshotter(ports.home, rung)) as snapshotter,
    ):
        yield Engine(snapshotter, sandbox, rung, ports.store, ports.sink)


def unpack(image: Image, name: str, engine: Engine) -> None:
    """Unpack the layers of ``image`` that are not there yet; ``name`` is what people call it."""
    missing = [layer for layer in image.layers if not engine.snapshotter.has(layer.diff_id)]
    if missing:
        with step(engine.sink, "unpack", f"Unpack {name}") as told:
            for number, layer in enumerate(missing, 1):
                engine.snapshotter.unpack(layer.diff_id, layer.uncompressed)
                told.progress(number, len(missing), "layers")


@contextmanager
def scratch(ports: Ports) -> Iterator[Path]:
    """An empty directory under $PYLIFE_HOME that is removed with the block, or at the next start after a kill."""
    yard = Yard(str(ports.home / "scratch"))
    yard.sweep()
    place, lock = yard.claim()
    try:
        yield Path(place)
    finally:
        yard.drop(place, lock)
